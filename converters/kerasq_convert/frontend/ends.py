"""The ends of a network: in which order its inputs come, and what its author calls inputs and outputs.

A signature of a SavedModel is a mapping: it keeps no order. But the function behind it does: the signature's own function, whose
arguments are sorted by name, calls the one that was traced, whose arguments stand in the model's order; and the object graph
records how that one's arguments and results were nested. SavedModels of Keras 3, of Keras 2 and of `tf.Module`s are built so.
Graphs of TensorFlow 1 have no functions: their order stays unknown.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kerasq_convert.frontend.frozen import FrozenGraph
from kerasq_convert.frontend.saved_model import meta_graph
from kerasq_convert.graph import Graph

_COUNTED = re.compile(r"output_\d+")  # what TensorFlow calls the outputs of a list


@dataclasses.dataclass(frozen=True)
class Ends:
    """What a SavedModel tells of one signature.

    Attributes:
        order: The signature's inputs, in the model's order where that is known, else by name.
        ordered: Whether it is.
        input_names: What the author calls them: a key where the model takes a dict.
        output_names: Keys of the outputs, in the signature's order, where the model returns a dict; else nothing.
    """

    order: list[str]
    ordered: bool
    input_names: list[str]
    output_names: list[str]


def read_ends(folder: pathlib.Path, inputs: Sequence[str], outputs: Sequence[str], signature: str | None = None) -> Ends:
    """The ends of a signature of the SavedModel in `folder`, which `freeze` has read.

    Args:
        inputs, outputs: The signature's, by name.
        signature: Its name; `None`: the serving one.
    """
    meta = meta_graph(folder, str(folder))
    signature_def = next(
        signature_def
        for name, signature_def in meta.signature_def.items()
        if signature in (None, name) and set(signature_def.inputs) == set(inputs) and set(signature_def.outputs) == set(outputs)
    )
    function, order = _traced(meta.graph_def, signature_def)
    is_ordered = order is not None or len(inputs) == 1
    order = order or list(inputs)
    traced = meta.object_graph_def.concrete_functions.get(function) if function else None
    names = order if traced is None else _argument_names(traced.canonicalized_input_signature, order)
    is_keras = "serve" in meta.signature_def  # the endpoint of Keras' export
    return Ends(order, is_ordered, names, list(outputs) if _returns_dict(traced, outputs, is_keras) else [])


def in_model_order(frozen: FrozenGraph, ends: Ends, names: Sequence[str] = ()) -> FrozenGraph:
    """The graph with its inputs in the model's order, under `names` where these are known."""
    own = names if len(set(names)) == len(ends.order) else ends.order
    inputs = {name: frozen.inputs[key] for name, key in zip(own, ends.order, strict=True)}
    return dataclasses.replace(frozen, inputs=inputs)


def with_names(graph: Graph, ends: Ends) -> Graph:
    """The converter's graph with the names of its inputs and outputs, and a note where an order had to be made up."""
    notes = graph.notes
    if not ends.ordered:
        notes += (f"the SavedModel does not tell the order of its inputs: they come as {', '.join(map(repr, graph.inputs))}",)
    # Keys, where the model takes a dict; else the inputs have their own names already.
    names = ends.input_names if ends.input_names != ends.order else list(graph.inputs)
    named = dataclasses.replace(graph, input_names=tuple(names), output_names=tuple(ends.output_names))
    return dataclasses.replace(named, ordered=ends.ordered, notes=notes)


def _traced(definition: Any, signature: Any) -> tuple[str | None, list[str] | None]:
    """The function that was traced for a signature, and the signature's inputs in the order of its arguments."""
    nodes = {node.name: node for node in definition.node}
    functions = {function.signature.name: function for function in definition.library.function}
    node = nodes.get(_node(next(iter(signature.outputs.values())).name))
    while node is not None and node.op == "Identity":
        node = nodes.get(_node(node.input[0]))
    wrapper = None if node is None else functions.get(_called(node))
    if node is None or wrapper is None:
        return None, None
    keys = {_node(info.name): key for key, info in signature.inputs.items()}
    pairs = zip(wrapper.signature.input_arg, node.input, strict=False)  # control inputs come last
    arguments = {argument.name: keys.get(_node(name)) for argument, name in pairs}
    for inner in wrapper.node_def:
        order = [key for name in inner.input if (key := arguments.get(_node(name))) is not None]
        if _called(inner) in functions and sorted(order) == sorted(keys.values()):
            return _called(inner), order
    return None, None


def _node(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]


def _called(node: Any) -> str:
    return node.attr["f"].func.name if "f" in node.attr else ""


def _argument_names(signature: Any, order: list[str]) -> list[str]:
    """The keys of a model that takes one dict, or keyword arguments; else the names that there are."""
    positional, keywords = (value for value in signature.tuple_value.values)
    arguments = [value for value in positional.tuple_value.values if next(_tensors(value), None) is not None]
    if len(arguments) == 1 and arguments[0].HasField("dict_value"):
        names = list(_tensors(arguments[0]))
    else:
        names = [] if arguments else list(_tensors(keywords))
    return names if len(set(names)) == len(order) else order


def _tensors(value: Any, path: str = "") -> Iterator[str]:
    """The paths of the tensors in a nested value, keys sorted as where TensorFlow flattens it."""
    kind = value.WhichOneof("kind")
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        yield path
    elif kind == "dict_value":
        for key, inner in sorted(value.dict_value.fields.items()):
            yield from _tensors(inner, f"{path}/{key}" if path else key)
    elif kind in ("list_value", "tuple_value"):
        for position, inner in enumerate(getattr(value, kind).values):
            yield from _tensors(inner, f"{path}/{position}" if path else str(position))


def _returns_dict(traced: Any, outputs: Iterable[str], is_keras: bool) -> bool:
    """Whether the model returns a dict: with one output only Keras models do, as any other signature must name what it gives."""
    names = list(outputs)
    is_dict = not all(map(_COUNTED.fullmatch, names)) if traced is None else traced.output_signature.HasField("dict_value")
    return is_dict and (len(names) > 1 or (is_keras and traced is not None))
