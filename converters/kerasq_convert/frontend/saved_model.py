"""A SavedModel as it lies in its folder: the part of its graph that one signature needs, before TensorFlow is given any of it.

Nothing runs here. What is left is the signature's own part of the graph, every operation of which frontend/trust.py has accepted,
and the variables, whose values stay in the file until they are asked for.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from kerasq_convert.errors import ConversionError, first_line
from kerasq_convert.frontend import trust
from kerasq_convert.frontend.variables import Checkpoint, assigned, node_of, reached


@dataclasses.dataclass(frozen=True)
class SavedSignature:
    """One signature of a SavedModel.

    Attributes:
        definition: The GraphDef that computes its outputs, with the functions that this calls.
        signature: The SignatureDef.
        variables: Values by name of the variable's node, read at each access.
        assigned: Names of those that it assigns when it runs, which is left out.
    """

    definition: Any
    signature: Any
    variables: Checkpoint
    assigned: frozenset[str]


def read_signature(folder: pathlib.Path, source: str, name: str | None = None) -> SavedSignature:
    """Reads a signature of the SavedModel in `folder`, which error messages call `source`; the serving one if none is named.

    Raises:
        ConversionError: The folder is damaged, has no usable signature, or would do more than compute.
    """
    meta = meta_graph(folder, source)
    signature = _signature(source, meta.signature_def, name)
    variables = Checkpoint(folder, source, meta.graph_def, meta.saver_def)
    definition = _part(meta.graph_def, [info.name for info in signature.outputs.values()])
    start = _part(meta.graph_def, list(_initialisation(meta)))
    problems = [*trust.problems(_own_operations(definition)), *trust.problems(_own_operations(start), tables=True)]
    problems = problems or list(variables.problems(definition.node))
    if problems:
        raise ConversionError(source, list(dict.fromkeys(problems)))
    changed = frozenset(assigned(definition))
    _leave_out(definition)
    return SavedSignature(definition, signature, variables, changed)


def meta_graph(folder: pathlib.Path, source: str) -> Any:
    """The MetaGraphDef for serving."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except (DecodeError, OSError) as error:
        raise ConversionError(source, [f"TensorFlow can't read this SavedModel ({first_line(error)})"]) from error
    serving = [meta for meta in saved.meta_graphs if set(meta.meta_info_def.tags) == {"serve"}]
    if not serving:
        tags = ", ".join(sorted({"+".join(meta.meta_info_def.tags) or "none" for meta in saved.meta_graphs})) or "no graph"
        raise ConversionError(
            source, [f"it holds no graph tagged 'serve' (it holds: {tags}); write the folder with model.export(folder)"]
        )
    return serving[0]


def _signature(source: str, signatures: Any, wanted: str | None) -> Any:
    usable = {name: signature for name, signature in signatures.items() if signature.outputs and signature.inputs}
    for name in ("serving_default", "serve") if wanted is None else (wanted,):
        if name in usable:
            return usable[name]
    if len(usable) == 1 and wanted is None:
        return next(iter(usable.values()))
    missing, usable_names = "serving_default" if wanted is None else repr(wanted), ", ".join(sorted(usable)) or "none"
    remedy = "name one of these with --signature" if usable else "write the folder with model.export(folder)"
    raise ConversionError(source, [f"it has no signature {missing} (it has: {usable_names}); {remedy}"])


def _initialisation(meta: Any) -> Iterator[str]:
    """What the SavedModel wants to be run after loading. Nothing of it is; but one that would do harm is not to be trusted."""
    for key in ("saved_model_main_op", "legacy_init_op"):
        yield from meta.collection_def[key].node_list.value if key in meta.collection_def else ()
    if "__saved_model_init_op" in meta.signature_def:
        for info in meta.signature_def["__saved_model_init_op"].outputs.values():
            yield info.name


def _part(graph: Any, outputs: Iterable[str]) -> Any:
    """What of a GraphDef computes the tensors `outputs`: nodes and functions, devices left open."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    needed = reached((node_of(name) for name in outputs), lambda name: map(node_of, nodes[name].input) if name in nodes else ())
    called = reached(
        _functions_of([nodes[name] for name in needed if name in nodes]),
        lambda name: _functions_of(functions[name].node_def) if name in functions else (),
    )
    part = type(graph)(versions=graph.versions)
    part.node.extend(node for node in graph.node if node.name in needed)
    part.library.function.extend(function for function in graph.library.function if function.signature.name in called)
    for holder in (part.node, *(function.node_def for function in part.library.function)):
        for node in holder:
            node.device = ""
            if "_class" in node.attr:  # a wish to be near another node, which may not be here
                del node.attr["_class"]
    return part


def _functions_of(nodes: Iterable[Any]) -> Iterator[str]:
    """Names of the functions that nodes may call; an operation may bear the name of one."""
    for node in nodes:
        yield node.op
        yield from _functions_in(node.attr)


def _functions_in(attributes: Any) -> Iterator[str]:
    for attribute in attributes.values():
        for function in (attribute.func, *attribute.list.func):
            if function.name:
                yield function.name
                yield from _functions_in(function.attr)


def _own_operations(definition: Any) -> Iterator[Any]:
    """All nodes but the calls that bear a function's name."""
    functions = {function.signature.name for function in definition.library.function}
    for node in (*definition.node, *(node for function in definition.library.function for node in function.node_def)):
        if node.op not in functions:
            yield node


def _leave_out(definition: Any) -> None:
    """Nothing is stored or printed while a network runs: augmentation layers advance their seeds where they do nothing else."""
    for holder in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in holder:
            if node.op in trust.LEFT_OUT:
                controls = [name for name in node.input if name.startswith("^")]
                node.op = "NoOp"
                node.ClearField("input")
                node.ClearField("attr")
                node.input.extend(controls)
