"""A SavedModel as one flat TensorFlow graph: functions inlined, variables and all that depends only on them folded.

The graph-mode loader restores the variables by the saver that every SavedModel carries; no Python object is revived. So
models of any Keras are read alike, those saved after training included, whose optimizers today's object loader refuses.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import secrets
from typing import Any

import numpy as np

from kerasq_convert.errors import ConversionError, first_line
from kerasq_convert.frontend.foldable import is_foldable


@dataclasses.dataclass(frozen=True)
class FrozenGraph:
    """A flat graph, traced for batch 1.

    Attributes:
        operations: `tf.Operation`s in topological order.
        inputs: Name of each input, with its tensor.
        outputs: Name of each output, with its tensor.
        constants: Values of the tensors that depend on no input, by tensor name.
    """

    operations: list[Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    constants: dict[str, np.ndarray]


def freeze(folder: pathlib.Path, source: str, signature: str | None = None) -> FrozenGraph:
    """Reads a signature of the SavedModel in `folder`, which error messages call `source`; the serving one if none is named.

    Raises:
        ConversionError: The folder is damaged, has no usable signature, or an input has an unknown size.
    """
    import tensorflow as tf

    definition, inputs, outputs = _inlined(folder, source, signature)
    _free_batch(definition, {shape.dim[0].size for _, _, shape in inputs.values() if shape.dim})
    graph = tf.Graph()
    with graph.as_default():
        placeholders = {
            name: tf.compat.v1.placeholder(dtype, _batch_of_one(source, name, shape), name="kerasq_input")
            for name, (_, dtype, shape) in inputs.items()
        }
        imported = tf.graph_util.import_graph_def(
            definition,
            input_map={inputs[name][0]: placeholder for name, placeholder in placeholders.items()},
            return_elements=list(outputs.values()),
            name="",
        )
    shown = dict(zip(outputs, imported, strict=True))
    operations = _needed(graph, shown.values())
    return FrozenGraph(operations, placeholders, shown, _constants(graph, operations))


def serving_function(folder: pathlib.Path) -> Any:
    """The serving signature of the SavedModel in `folder` as a function, with the batch as open as the signature leaves it.

    Returns:
        A `tf.ConcreteFunction` without variables: `inputs` and `outputs` are its tensors in the signature's order; called with
        one tensor per input, it returns the list of outputs.

    Raises:
        ConversionError: As `freeze`, but for the sizes of inputs, which are not looked at.
    """
    import tensorflow as tf

    definition, inputs, outputs = _inlined(folder, str(folder))
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=""), [])
    return imported.prune([name for name, _, _ in inputs.values()], list(outputs.values()))


def _inlined(
    folder: pathlib.Path, source: str, name: str | None = None
) -> tuple[Any, dict[str, tuple[str, Any, Any]], dict[str, str]]:
    """The signature's GraphDef with variables as constants and without function calls; its inputs and outputs."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants as constants

    try:
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
            signature = _signature(source, meta.signature_def, name)
            inputs = {name: (info.name, tf.as_dtype(info.dtype), info.tensor_shape) for name, info in _ordered(signature.inputs)}
            outputs = {name: info.name for name, info in _ordered(signature.outputs)}
            nodes = sorted({name.split(":")[0] for name in outputs.values()})
            definition = session.graph_def
            _drop_assignments(definition)
            frozen = constants.convert_variables_to_constants_from_session_graph(session, definition, nodes)
        _make_inlinable(frozen)
        wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(frozen, name=""), [])
        pruned = wrapped.prune([name for name, _, _ in inputs.values()], list(outputs.values()))
        flat = constants.convert_variables_to_constants_v2(pruned)
    except ConversionError:
        raise
    except Exception as error:
        problem = f"TensorFlow can't read this SavedModel ({first_line(error)})"
        raise ConversionError(source, [problem]) from error
    return flat.graph.as_graph_def(), inputs, outputs


def _drop_assignments(definition: Any) -> None:
    """Nothing is stored while a network runs: augmentation layers advance their seeds even where they do nothing else."""
    for function in definition.library.function:
        for node in function.node_def:
            if node.op.startswith("Assign") and node.op.endswith("VariableOp"):
                controls = [name for name in node.input if name.startswith("^")]
                node.op = "NoOp"
                node.ClearField("input")
                node.ClearField("attr")
                node.input.extend(controls)


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


def _signature(source: str, signatures: Any, wanted: str | None) -> Any:
    usable = {name: signature for name, signature in signatures.items() if signature.outputs and signature.inputs}
    for name in ("serving_default", "serve") if wanted is None else (wanted,):
        if name in usable:
            return usable[name]
    if len(usable) == 1 and wanted is None:
        return next(iter(usable.values()))
    missing, known = "serving_default" if wanted is None else repr(wanted), ", ".join(sorted(usable)) or "none"
    remedy = "name one of these with --signature" if usable else "write the folder with model.export(folder)"
    raise ConversionError(source, [f"it has no signature {missing} (it has: {known}); {remedy}"])


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


def _batch_of_one(source: str, name: str, shape: Any) -> list[int]:
    sizes = [dimension.size for dimension in shape.dim]
    if shape.unknown_rank or not sizes or any(size < 1 for size in sizes[1:]):
        raise ConversionError(
            source,
            [
                f"input {name!r} has the shape {tuple(sizes)}: every size but the batch must be fixed. "
                "Build the model with keras.Input(shape) of the size that the device will see"
            ],
        )
    return [1, *sizes[1:]]


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


def _constants(graph: Any, operations: list[Any]) -> dict[str, np.ndarray]:
    """Values of every tensor that neither inputs nor chance reach, those of shapes included, which batch 1 makes constant."""
    import tensorflow as tf

    computed: dict[str, Any] = {}
    shapes: dict[str, np.ndarray] = {}
    has_flow = any(operation.type in ("Enter", "Merge") for operation in operations)
    for operation in operations:
        known = all(tensor.name in computed or tensor.name in shapes for tensor in operation.inputs)
        # Inside of a loop or a branch, constants have control inputs; outside of it they have no value.
        known = known and not (has_flow and (operation.control_inputs or operation.type == "Enter"))
        known = known and is_foldable(operation.type)
        for tensor in operation.outputs:
            if known and operation.type != "Placeholder" and tensor.dtype not in (tf.variant, tf.resource):
                computed[tensor.name] = tensor
            elif operation.type == "Shape" and operation.inputs[0].shape.is_fully_defined():
                shapes[tensor.name] = np.array(operation.inputs[0].shape.as_list(), tensor.dtype.as_numpy_dtype)
    if not computed:
        return shapes
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(computed, feed_dict=shapes) | shapes
