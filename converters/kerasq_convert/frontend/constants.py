"""What of a flat graph depends on no input: computed when it is asked for, so that few weights are in memory at a time."""

from __future__ import annotations

import collections
import contextlib
import weakref
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError, first_line
from kerasq_convert.frontend.foldable import is_foldable
from kerasq_convert.frontend.variables import VARIABLES

_SMALL = 4096  # elements of a tensor that is computed with all others of its kind, and kept
_LARGEST = 1 << 29  # elements of a constant: 2 GB of float32; more than that is never computed
_FORWARDING = frozenset(("Identity", "StopGradient", "PreventGradient", "CheckNumerics"))
_HANDLE_TYPE = 20  # DT_RESOURCE


def replace_variables(flat: Any) -> None:
    """Turns the variables of a flat GraphDef into placeholders of their names and shapes, and what reads them into identities."""
    from tensorflow import as_dtype, int32, make_tensor_proto

    readers = collections.defaultdict[str, list[Any]](list)
    for node in flat.node:
        for reference in node.input:
            readers[reference.split(":")[0]].append(node)
    waiting: list[tuple[Any, int]] = []
    for node in flat.node:
        if node.op in VARIABLES:
            kind = node.attr["dtype"].type
            _become(node, "Placeholder", dtype=as_dtype(kind), shape=node.attr["shape"].shape)
            waiting.append((node, kind))
            for reader in readers[f"^{node.name}"]:  # else a constant that waits for it could not be computed without it
                reader.input.remove(f"^{node.name}")
    done = set()
    while waiting:  # through the calls and loops that hand a variable on
        variable, kind = waiting.pop()
        for node in readers[variable.name]:
            if node.name in done:
                continue
            done.add(node.name)
            if node.op in ("ReadVariableOp", "DisableCopyOnRead"):
                _become(node, "Identity", T=as_dtype(kind))
            elif node.op == "ResourceGather":
                axis = flat.node.add(name=f"{node.name}/kerasq_axis", op="Const")
                axis.attr["dtype"].type = int32.as_datatype_enum
                axis.attr["value"].tensor.CopyFrom(make_tensor_proto(node.attr["batch_dims"].i, int32))
                controls = [name for name in node.input if name.startswith("^")]
                data = [name for name in node.input if not name.startswith("^")]
                del node.input[:]
                node.input.extend([*data, axis.name, *controls])
                indices, dimensions = as_dtype(node.attr["Tindices"].type), node.attr["batch_dims"].i
                _become(node, "GatherV2", Tparams=as_dtype(kind), Tindices=indices, Taxis=int32, batch_dims=dimensions)
            elif node.op == "ResourceGatherNd":
                _become(node, "GatherNd", Tparams=as_dtype(kind), Tindices=as_dtype(node.attr["Tindices"].type))
            elif node.attr["T"].type == _HANDLE_TYPE:
                for attribute in [name for name in node.attr if name.startswith("_")]:
                    del node.attr[attribute]  # what was known of the handle
                node.attr["T"].type = kind
                waiting.append((node, kind))


def _become(node: Any, operation: str, **attributes: Any) -> None:
    """Makes `node` another operation with these attributes: types, a shape, integers."""
    values = {}
    for name, value in attributes.items():
        if hasattr(value, "as_datatype_enum"):
            values[name] = {"type": value.as_datatype_enum}
        else:
            values[name] = (
                {"i": value} if isinstance(value, int) else {"shape": type(value).FromString(value.SerializeToString())}
            )
    node.op = operation
    node.ClearField("attr")
    for name, fields in values.items():
        node.attr[name].CopyFrom(type(node.attr[name])(**fields))


class Constants(Mapping[str, np.ndarray]):
    """Values of every tensor that neither inputs nor chance reach, by name; those of shapes, which batch 1 fixes, included.

    Args:
        graph: The `tf.Graph`.
        operations: Its operations in topological order.
        variables: Values of the placeholders that stand for variables, by name of the operation.
        inputs: The placeholders of the inputs.
    """

    def __init__(self, graph: Any, operations: list[Any], variables: Mapping[str, np.ndarray], inputs: Collection[Any]):
        import tensorflow as tf

        self._graph, self._variables = graph, variables
        self._kept: dict[str, np.ndarray] = {}
        self._computed: dict[str, Any] = {}
        self._weights: dict[str, frozenset[str]] = {}  # names of the variables that a tensor depends on
        own = {tensor.op for tensor in inputs}
        unknown = _inside_of_control_flow(graph)
        for operation in operations:
            folds = operation not in own and operation not in unknown and is_foldable(operation.type)
            folds = folds and all(tensor.name in self for tensor in operation.inputs)
            weights = frozenset[str]().union(*(self._weights.get(tensor.name, ()) for tensor in operation.inputs))
            if operation.type == "Placeholder":
                weights = frozenset((operation.name,))
            for tensor in operation.outputs:
                if folds and tensor.dtype not in (tf.variant, tf.resource) and _elements(tensor, 0) <= _LARGEST:
                    self._computed[tensor.name] = tensor
                    self._weights[tensor.name] = weights
                elif operation.type == "Shape" and operation.inputs[0].shape.is_fully_defined():
                    self._kept[tensor.name] = np.array(operation.inputs[0].shape.as_list(), tensor.dtype.as_numpy_dtype)
        self._session: Any = None
        self._alive = weakref.WeakValueDictionary[str, np.ndarray]()  # what somebody still works with is not read again
        small = [
            tensor for name, tensor in self._computed.items() if not self._weights[name] and _elements(tensor, _LARGEST) <= _SMALL
        ]
        self._small_are_kept = False
        self._keep(small)

    def __contains__(self, name: object) -> bool:
        return name in self._computed or name in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._computed.keys() | self._kept.keys())

    def __len__(self) -> int:
        return len(self._computed.keys() | self._kept.keys())

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._kept:
            return self._kept[name]
        tensor = self._computed[name]
        while tensor.op.type in _FORWARDING:
            tensor = tensor.op.inputs[0]
        if tensor.name in self._kept:
            return self._kept[tensor.name]
        value = self._alive.get(tensor.name)
        if value is None:
            if tensor.op.type == "Placeholder":
                value = self._variables[tensor.op.name]
            elif self._is_small(tensor):
                self._keep_small()
                value = self._kept[tensor.name] if tensor.name in self._kept else self._run([tensor])[0]
            else:
                value = self._run([tensor])[0]
            if value.size <= _SMALL:
                self._kept[tensor.name] = value
            else:
                self._alive[tensor.name] = value
        return value

    def _is_small(self, tensor: Any) -> bool:
        """Whether a tensor and the variables that it depends on are."""
        variables = (self._graph.get_tensor_by_name(f"{name}:0") for name in self._weights[tensor.name])
        return all(_elements(read, _LARGEST) <= _SMALL for read in (tensor, *variables))

    def _keep_small(self) -> None:
        """Computes, once, all that is small: a run looks at the whole graph, however little of it is computed."""
        if self._small_are_kept:
            return
        self._small_are_kept = True
        forwarding = _FORWARDING | {"Placeholder"}
        computed = (tensor for name, tensor in self._computed.items() if name not in self._kept)
        self._keep([tensor for tensor in computed if tensor.op.type not in forwarding and self._is_small(tensor)])

    def _keep(self, tensors: list[Any]) -> None:
        with contextlib.suppress(UnsupportedError):  # one that can't be computed is named when it is asked for
            self._kept |= dict(zip((tensor.name for tensor in tensors), self._run(tensors), strict=True))

    def _run(self, tensors: list[Any]) -> list[np.ndarray]:
        import tensorflow as tf

        if not tensors:
            return []
        if self._session is None:
            # Every set of tensors is computed once: to optimize its graph first takes ten times as long.
            config = tf.compat.v1.ConfigProto()
            config.graph_options.rewrite_options.disable_meta_optimizer = True
            self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        needed = frozenset[str]().union(*(self._weights[tensor.name] for tensor in tensors))
        feeds = {f"{name}:0": self._variables[name] for name in needed}
        feeds |= {name: value for name, value in self._kept.items() if name not in self._computed}  # shapes
        try:
            return self._session.run(tensors, feed_dict=feeds)
        except (tf.errors.OpError, MemoryError) as error:
            raise UnsupportedError(f"TensorFlow can't compute a constant of it ({first_line(error)})") from error


def _inside_of_control_flow(graph: Any) -> set[Any]:
    """Operations of loops and branches, constants included: outside of them they have no value, or in a branch perhaps none."""
    waiting = [operation for operation in graph.get_operations() if operation.type in ("Enter", "Switch")]
    if not waiting:
        return set()
    controlled = collections.defaultdict[Any, list[Any]](list)
    for operation in graph.get_operations():
        for source in operation.control_inputs:
            controlled[source].append(operation)
    inside = set(waiting)
    while waiting:
        operation = waiting.pop()
        readers = [reader for tensor in operation.outputs for reader in tensor.consumers()]
        following = {reader for reader in (*readers, *controlled[operation]) if operation.type != "Exit"} - inside
        inside |= following
        waiting += following
    return inside


def _elements(tensor: Any, unknown: int) -> int:
    """How many elements a tensor has, `unknown` where only computing it would tell."""
    return tensor.shape.num_elements() if tensor.shape.is_fully_defined() else unknown
