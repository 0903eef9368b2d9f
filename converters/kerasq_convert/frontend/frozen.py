"""A SavedModel as one flat TensorFlow graph: functions inlined, variables and all that depends only on them folded.

The variables are found by the saver that every SavedModel carries; no Python object is revived. So models of any Keras are read
alike, those saved after training included, whose optimizers today's object loader refuses.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasq_convert.errors import ConversionError, first_line
from kerasq_convert.frontend.channels_first import with_channels_last
from kerasq_convert.frontend.constants import Constants, replace_variables
from kerasq_convert.frontend.input_sizes import InputSizes
from kerasq_convert.frontend.loops import unroll_loops
from kerasq_convert.frontend.saved_model import SavedSignature, read_signature
from kerasq_convert.frontend.shapes import find_shapes
from kerasq_convert.frontend.tensor_lists import resolve_lists


@dataclasses.dataclass(frozen=True)
class FrozenGraph:
    """A flat graph, traced for batch 1.

    Attributes:
        operations: `tf.Operation`s in topological order.
        inputs: Name of each input, with its tensor.
        outputs: Name of each output, with its tensor.
        constants: Values of the tensors that depend on no input, by tensor name.
        states: Names of the variables that a call assigns and the outputs follow from; no file keeps them between calls.
    """

    operations: list[Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    constants: Mapping[str, np.ndarray]
    states: tuple[str, ...] = ()


def freeze(folder: pathlib.Path, source: str, signature: str | None = None, sizes: InputSizes | None = None) -> FrozenGraph:
    """Reads a signature of the SavedModel in `folder`, which error messages call `source`; the serving one if none is named.

    Raises:
        ConversionError: The folder is damaged, has no usable signature, does more than compute, or has an input of unknown size.
    """
    saved = read_signature(folder, source, signature)
    inputs = {name: (info.dtype, info.tensor_shape) for name, info in _ordered(saved.signature.inputs)}
    fixed = (sizes or InputSizes()).fixed(source, {name: _declared(shape) for name, (_, shape) in inputs.items()})
    shapes = {name: [1, *fixed[name]] for name in inputs}
    flat = _flat(saved, source)
    _free_batch(flat, {shape.dim[0].size for _, shape in inputs.values() if shape.dim})
    with_channels_last(flat)
    replace_variables(flat)
    try:
        frozen = _imported(flat, saved, shapes)
        while unroll_loops(flat, frozen.constants):
            resolve_lists(flat, frozen.constants)
            frozen = _imported(flat, saved, shapes)
    except ValueError as error:
        said = ", ".join(f"{name!r} of {shape}" for name, shape in fixed.items())
        raise ConversionError(source, [f"it can't take inputs of these sizes, {said} ({first_line(error)})"]) from error
    # Seeds of random numbers are whole numbers.
    states = (op.name for op in frozen.operations if op.name in saved.assigned and op.outputs[0].dtype.is_floating)
    return dataclasses.replace(frozen, states=tuple(sorted(states)))


def _imported(flat: Any, saved: SavedSignature, shapes: Mapping[str, list[int]]) -> FrozenGraph:
    """What a flat GraphDef computes from inputs of these shapes.

    Raises:
        ValueError: TensorFlow can't compute it for them.
    """
    import tensorflow as tf

    outputs = {name: info.name for name, info in _ordered(saved.signature.outputs)}
    graph = tf.Graph()
    with graph.as_default():
        placeholders = {
            name: tf.compat.v1.placeholder(tf.as_dtype(info.dtype), shapes[name], name="kerasq_input")
            for name, info in _ordered(saved.signature.inputs)
        }
        feeds = {saved.signature.inputs[name].name: placeholder for name, placeholder in placeholders.items()}
        imported = tf.graph_util.import_graph_def(flat, input_map=feeds, return_elements=list(outputs.values()), name="")
    shown = dict(zip(outputs, imported, strict=True))
    operations = _needed(graph, shown.values())
    find_shapes(graph, operations, saved.variables, placeholders.values())
    return FrozenGraph(operations, placeholders, shown, Constants(graph, operations, saved.variables, placeholders.values()))


def serving_function(folder: pathlib.Path) -> tuple[list[Any], Callable[..., dict[str, Any]], int]:
    """The serving signature of the SavedModel in `folder` as a function, with the batch as open as the signature leaves it.

    Returns:
        Its inputs, as `tf.Tensor`s of a graph, in the signature's order; a callable that takes one tensor for each and returns
        the outputs by name; and the number of weights that it uses.

    Raises:
        ConversionError: As `freeze`, but for the sizes of inputs, which are not looked at.
    """
    import tensorflow as tf

    saved = read_signature(folder, str(folder))
    flat = _flat(saved, str(folder))
    replace_variables(flat)
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(flat, name=""), [])
    inputs = [info.name for _, info in _ordered(saved.signature.inputs)]
    used = [node.name for node in flat.node if node.op == "Placeholder" and node.name in saved.variables]
    outputs = {name: info.name for name, info in _ordered(saved.signature.outputs)}
    function = imported.prune([*inputs, *(f"{name}:0" for name in used)], list(outputs.values()))
    weights = [tf.constant(saved.variables[name]) for name in used]
    count = sum(_size(weight) for weight in weights) + sum(map(_weights_in, function.graph.get_operations()))

    def run(*values: Any) -> dict[str, Any]:
        return dict(zip(outputs, function(*values, *weights), strict=True))

    return function.inputs[: len(inputs)], run, count


def _size(weight: Any) -> int:
    """Values of a variable, unless it is none of floating point, or a scalar (a seed, a counter)."""
    return weight.shape.num_elements() if weight.dtype.is_floating and weight.shape.rank else 0


def _weights_in(operation: Any) -> int:
    """Weights in an operation of a frozen graph: its constants but integers (axes, shapes) and scalars (epsilons, limits)."""
    return _size(operation.outputs[0]) if operation.type == "Const" else 0


def _flat(saved: SavedSignature, source: str) -> Any:
    """The signature's GraphDef without function calls; variables are still nodes without a value."""
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
    from tensorflow.python.grappler import tf_optimizer

    _make_inlinable(saved.definition)
    ends = (saved.signature.inputs, saved.signature.outputs)
    graph = meta_graph_pb2.MetaGraphDef(graph_def=saved.definition)
    graph.collection_def["train_op"].node_list.value.extend(info.name for infos in ends for info in infos.values())
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1  # small graphs too
    rewriting.optimizers.append("function")
    # Nothing is assigned in what is left, so the order of what keeps state doesn't matter.
    rewriting.function_optimization = rewriter_config_pb2.RewriterConfig.AGGRESSIVE
    try:
        return tf_optimizer.OptimizeGraph(config, graph)
    except Exception as error:
        raise ConversionError(source, [f"TensorFlow can't read this SavedModel ({first_line(error)})"]) from error


def _make_inlinable(definition: Any) -> None:
    """Gives the graph's functions names of their own and lifts what keeps them from being inlined.

    A function of the same name may live in this process already, left by the tracing that exported the model. Keras compiles
    grouped convolutions apart, for the training's sake, in functions marked never to be inlined.
    """
    mark = f"_kerasq_{secrets.token_hex(4)}"
    functions = {function.signature.name for function in definition.library.function}
    holders = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    for holder in (*holders, *definition.library.function):
        for attribute in ("_noinline", "_XlaMustCompile"):
            if attribute in holder.attr:
                del holder.attr[attribute]
    for function in definition.library.function:
        function.signature.name += mark
    for gradient in definition.library.gradient:
        gradient.function_name += mark
        gradient.gradient_func += mark
    for node in holders:
        if node.op in functions:
            node.op += mark
        for attribute in node.attr.values():
            for called in (attribute.func, *attribute.list.func):
                if called.name in functions:
                    called.name += mark


def _ordered(infos: Any) -> list[tuple[str, Any]]:
    """Entries of a signature, which keeps no order, by name: output_2 before output_10."""
    return sorted(infos.items(), key=lambda item: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", item[0])])


def _free_batch(definition: Any, batches: set[int]) -> None:
    """Reshapes of a graph that was built for a batch of a fixed size, to the same shapes with a batch of one."""
    import tensorflow as tf

    fixed = {size for size in batches if size > 1}
    if not fixed:
        return
    readers: dict[str, list[tuple[str, int]]] = {}
    for node in definition.node:
        for place, name in enumerate(node.input):
            readers.setdefault(name.lstrip("^").split(":")[0], []).append((node.op, place))
    for node in definition.node:
        if node.op == "Const" and all(reader == ("Reshape", 1) for reader in readers.get(node.name, [("", 0)])):
            shape = tf.make_ndarray(node.attr["value"].tensor)
            if shape.size and int(shape.flat[0]) in fixed:
                one = np.concatenate([[1], shape[1:]]).astype(shape.dtype)
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(one))


def _declared(shape: Any) -> list[int | None] | None:
    """An input's sizes without the batch, as a signature has them."""
    return None if shape.unknown_rank else [dimension.size if dimension.size > 0 else None for dimension in shape.dim[1:]]


def _needed(graph: Any, outputs: Any) -> list[Any]:
    """The operations that the outputs depend on, in topological order."""
    needed, waiting = set(), [tensor.op for tensor in outputs]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting.extend(tensor.op for tensor in operation.inputs)
    ordered, placed = [], set()
    # Operations of an imported graph need not be in order: place each after its inputs.
    stack = sorted(needed, key=lambda operation: operation.name, reverse=True)
    while stack:
        operation = stack[-1]
        # What a loop (a recurrent layer) carries from one round to the next closes a cycle.
        missing = [tensor.op for tensor in operation.inputs if tensor.op not in placed and tensor.op.type != "NextIteration"]
        if operation in placed:
            stack.pop()
        elif missing:
            stack.extend(missing)
        else:
            placed.add(operation)
            ordered.append(operation)
            stack.pop()
    return [operation for operation in ordered if operation.type != "NextIteration"]
