"""The variables of a SavedModel: where each is in the checkpoint beside the graph, and its value, read when it is asked for.

The part of the graph that restores them (its saver) is read and not run: RestoreV2 names the entries of the checkpoint, and an
assignment, perhaps inside of a function, gives each to a variable. So no operation of an unknown graph opens a file, and
no more weights are in memory than are being converted.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasq_convert.errors import ConversionError, first_line

VARIABLES = frozenset(("VarHandleOp", "VariableV2", "Variable"))
ASSIGNING = frozenset(("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"))
_ASSIGNMENTS = frozenset(("AssignVariableOp", "Assign"))
_FORWARDING = frozenset(("Identity", "IdentityN", "DisableCopyOnRead"))
_CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))


class Checkpoint(Mapping[str, np.ndarray]):
    """Values of variables by the name of their node in the main graph; each access reads the file.

    Args:
        folder: The SavedModel.
        source: What error messages call it.
        graph: Its GraphDef.
        saver: Its SaverDef.
    """

    def __init__(self, folder: pathlib.Path, source: str, graph: Any, saver: Any):
        self._prefix, self._source = folder / "variables" / "variables", source
        self._keys = dict(_assignments(graph, saver.restore_op_name))
        self._opened: Any = None

    def __getitem__(self, variable: str) -> np.ndarray:
        key, reader = self._keys[variable], self._reader()
        try:
            return np.asarray(reader.get_tensor(key))
        except Exception as error:
            raise self._unreadable(error) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def problems(self, nodes: Iterable[Any]) -> Iterator[str]:
        """What is wrong with the values of variables among the nodes of a graph, without reading a value.

        Raises:
            ConversionError: The file can't be read.
        """
        for node in nodes:
            if node.op not in VARIABLES:
                continue
            stored = self._reader().get_variable_to_shape_map().get(self._keys.get(node.name))
            expected = [dimension.size for dimension in node.attr["shape"].shape.dim]
            if stored is None:
                yield f"its variable {node.name!r} has no value in variables/: export the model again"
            elif list(stored) != expected:
                yield f"its variable {node.name!r} has the shape {tuple(expected)}, but the values in variables/ {tuple(stored)}"

    def _reader(self) -> Any:
        if self._opened is None:
            import tensorflow as tf

            try:
                self._opened = tf.train.load_checkpoint(str(self._prefix))
            except Exception as error:
                raise self._unreadable(error) from error
        return self._opened

    def _unreadable(self, error: Exception) -> ConversionError:
        return ConversionError(self._source, [f"TensorFlow can't read this SavedModel's variables ({first_line(error)})"])


@dataclasses.dataclass(frozen=True)
class _Scope:
    """The nodes among which names are looked up: the main graph, or one call of a function.

    Attributes:
        nodes: By name.
        functions: All functions of the graph, by name.
        arguments: For a call, what each argument of the function refers to, and the scope of the caller.
    """

    nodes: Mapping[str, Any]
    functions: Mapping[str, Any]
    arguments: Mapping[str, str]
    caller: _Scope | None = None

    @classmethod
    def of(cls, graph: Any) -> _Scope:
        """A GraphDef, called by nobody."""
        functions = {function.signature.name: function for function in graph.library.function}
        return cls({node.name: node for node in graph.node}, functions, {})

    def origin(self, reference: str) -> tuple[Any, int]:
        """The node whose output `reference` names, through identities and arguments; and which output. (`None`, 0) if unknown."""
        scope: _Scope | None = self
        for _ in range(10_000):  # a damaged graph may refer in circles
            if scope is None:
                break
            name, *rest = reference.split(":")
            if name in scope.arguments:
                reference, scope = scope.arguments[name], scope.caller
                continue
            node = scope.nodes.get(name)
            output = int(rest[-1]) if rest and rest[-1].isdigit() else 0
            if node is None or node.op not in _FORWARDING or output >= len(node.input):
                return node, output
            reference = node.input[output]
        return None, 0

    def called(self, node: Any) -> _Scope | None:
        """The scope of a call, if `node` is one."""
        name = node.attr["f"].func.name if node.op in _CALLS else node.op
        function = self.functions.get(name)
        if function is None:
            return None
        names = [argument.name for argument in function.signature.input_arg]
        inputs = [name for name in node.input if not name.startswith("^")]
        return _Scope(
            {node.name: node for node in function.node_def}, self.functions, dict(zip(names, inputs, strict=False)), self
        )


def node_of(reference: str) -> str:
    """The name of the node that an input of another, or a control input, refers to."""
    return reference.lstrip("^").split(":")[0]


def reached(start: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """The names in `start`, and all that follow from them, however far."""
    names, waiting = set[str](), list(start)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend(following(name))
    return names


def _assignments(graph: Any, restore: str) -> Iterator[tuple[str, str]]:
    """Each variable that the operation `restore` assigns, with its name in the checkpoint."""
    scope = _Scope.of(graph)
    nodes = scope.nodes
    needed = reached([node_of(restore)], lambda name: map(node_of, nodes[name].input) if name in nodes else ())
    for inner, node in _running(scope, [nodes[name] for name in needed if name in nodes]):
        if node.op in _ASSIGNMENTS and len(node.input) >= 2:
            variable, _ = inner.origin(node.input[0])
            source, output = inner.origin(node.input[1])
            key = _entry(inner, source, output)
            if variable is not None and variable.op in VARIABLES and key is not None:
                yield variable.name, key


def assigned(graph: Any) -> Iterator[str]:
    """Names of the variables that a GraphDef assigns when it runs."""
    for scope, node in _running(_Scope.of(graph), graph.node):
        if node.op in ASSIGNING and node.input:
            variable, _ = scope.origin(node.input[0])
            if variable is not None and variable.op in VARIABLES:
                yield variable.name


def _running(scope: _Scope, nodes: Iterable[Any]) -> Iterator[tuple[_Scope, Any]]:
    """The nodes that run where `nodes` do, but calls: in their place those of the functions, each with its scope."""
    scopes = [(scope, list(nodes))]
    depth = 0
    while scopes and depth < 1000:  # functions can't call themselves, but a damaged file could say so
        current, within = scopes.pop()
        depth += 1
        for node in within:
            inner = current.called(node)
            if inner is None:
                yield current, node
            else:
                scopes.append((inner, list(inner.nodes.values())))


def _entry(scope: _Scope, source: Any, output: int) -> str | None:
    """The name in the checkpoint of an output of RestoreV2, as long as it is a whole tensor."""
    if source is None or source.op != "RestoreV2" or len(source.input) < 3:
        return None
    names, slices = (_texts(scope.origin(reference)[0]) for reference in source.input[1:3])
    return names[output] if output < len(names) and output < len(slices) and not slices[output] else None


def _texts(node: Any) -> list[str]:
    if node is None or node.op != "Const":
        return []
    tensor = node.attr["value"].tensor
    count = tensor.tensor_shape.dim[0].size if tensor.tensor_shape.dim else 1
    values = [value.decode(errors="replace") for value in tensor.string_val]
    return values + values[-1:] * (min(count, 100_000) - len(values))
