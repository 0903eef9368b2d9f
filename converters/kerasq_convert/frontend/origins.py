"""Which layer or keras.ops function an operation of an exported graph comes from, as Keras itself knows it.

Layers are found by the scopes that they open, among the names of the model's own layers. Functions of keras.ops open none: what
they add to the graph is noted while it is traced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kerasq_convert.errors import ConversionError

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")
_NUMBER = re.compile(r"_\d+$")


def without_calls(name: str) -> str:
    """The name of an operation in the function that was exported, without the calls that were inlined around it."""
    return "/".join(part for part in name.split("/") if not _CALL.fullmatch(part))


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where an operation comes from.

    Attributes:
        subject: What messages call it: `layer 'block/norm' (LayerNormalization)`, `keras.ops.cumsum`.
        kind: Class of the layer; empty for a function.
        quantized: How `model.quantize` changed the layer, `None` if it did not.
    """

    subject: str
    kind: str = ""
    quantized: str | None = None


@dataclasses.dataclass
class _Layer:
    """Names of a layer and of those within it; not the layer, whose weights would stay in memory."""

    name: str
    kind: str
    quantized: str | None
    children: dict[str, _Layer]


class Origins:
    """The layers of the model that `recording` saw, and the operations that its keras.ops functions made; before, none.

    Args:
        states: Layers that keep a state from one call to the next, as problems name them, with the sentence that refuses each.
    """

    def __init__(self, states: Mapping[str, str] | None = None) -> None:
        self.states = dict(states or {})
        self._model: _Layer | None = None
        self._made: dict[str, str] = {}

    def with_states(self, name: str, error: ConversionError) -> ConversionError:
        """A refusal of the model together with that of its states, where it has some: of what is wrong with them, that alone."""
        if not self.states:
            return error
        others = (line for line in error.problems if line.startswith(("layer ", "keras.ops.")))
        found = [line for line in others if not line.startswith(tuple(self.states))]
        return ConversionError(f"{name} can't be converted", [*self.states.values(), *found])

    @contextlib.contextmanager
    def recording(self, model: Any) -> Iterator[None]:
        """While this is open, the operations that a Keras model's functions add to a TensorFlow graph are noted."""
        import keras

        self._model = _tree(model, {})
        functions = [part for part in _parts(model) if not isinstance(part, keras.Layer) and "call" not in vars(part)]
        for function in functions:
            function.call = self._noting(function)
        try:
            yield
        finally:
            for function in functions:
                vars(function).pop("call", None)

    def _noting(self, function: Any) -> Any:
        import tensorflow as tf

        call, called = function.call, _function_name(function)

        def noting(*args: Any, **kwargs: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            before = len(graph.get_operations())
            result = call(*args, **kwargs)
            subject = called + self._of_what(args)
            for operation in graph.get_operations()[before:]:
                self._made[operation.name] = subject
            return result

        return noting

    def _of_what(self, read: Any) -> str:
        """What a function reads: its place in the network, for it has no name that its user gave it."""
        import keras

        names = [tensor.op.name for tensor in keras.tree.flatten(read) if hasattr(tensor, "op")]
        origins = dict.fromkeys(origin[-1].subject.split(" (")[0] for name in names if (origin := self.of(name)))
        return f" (of {', '.join(origins)})" if origins else ""

    def layers(self) -> Iterator[Origin]:
        """All layers of the model, each once and before those within it."""
        waiting, seen = [(self._model, "")] if self._model else [], set[int]()
        while waiting:
            layer, path = waiting.pop()
            for child in layer.children.values():
                if id(child) not in seen:
                    seen.add(id(child))
                    inner = f"{path}{child.name}"
                    yield Origin(f"layer {inner!r} ({child.kind})", child.kind, child.quantized)
                    waiting.append((child, f"{inner}/"))

    def of(self, operation: str) -> list[Origin]:
        """The function that made the operation of this name in the frozen graph, or the layers around it, the outer ones first.

        Nothing, where Keras does not tell.
        """
        scope = without_calls(operation).split("/")
        for length in range(len(scope), 0, -1):
            subject = self._made.get("/".join(scope[:length]))
            if subject is not None:
                return [Origin(subject)]
        return self._layers(scope[:-1], self._model) if self._model is not None else []

    def _layers(self, scope: list[str], layer: _Layer) -> list[Origin]:
        """The layers within `layer`, the model, whose scopes are the beginning of `scope`."""
        if scope and layer.name in (scope[0], _NUMBER.sub("", scope[0])):
            scope = scope[1:]
        origins: list[Origin] = []
        path: list[str] = []
        for part in scope:
            child = layer.children.get(_NUMBER.sub("", part), layer.children.get(part))
            if child is None:
                break
            layer = child
            path.append(layer.name)
            origins.append(Origin(f"layer {'/'.join(path)!r} ({layer.kind})", layer.kind, layer.quantized))
        return origins


def _function_name(function: Any) -> str:
    import keras

    plain = {f"keras.ops.{name}": name for name in dir(keras.ops)}
    plain |= {f"keras.ops.image.{name}": name for name in dir(keras.ops.image)}
    wanted = re.sub("norm$", "normalization", type(function).__name__.lower())
    for full, name in plain.items():
        if name.replace("_", "") in (wanted, type(function).__name__.lower()):
            return full + (f" ({function.name!r})" if function.name != name else "")
    return f"operation {function.name!r} ({type(function).__name__})"


def _children(part: Any) -> list[Any]:
    """The layers and functions that a layer holds in its attributes, or in lists or dictionaries there."""
    import keras

    children: dict[int, Any] = {}
    for value in vars(part).values():
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
        children |= {id(child): child for child in values if isinstance(child, keras.Operation)}
    return list(children.values())


def _tree(layer: Any, layers: dict[int, _Layer]) -> _Layer:
    """What is to be kept of a layer and all within it; `layers` holds, by identity, what was made before."""
    if id(layer) not in layers:
        layers[id(layer)] = node = _Layer(layer.name, type(layer).__name__, getattr(layer, "quantization_mode", None), {})
        node.children |= {child.name: _tree(child, layers) for child in _children(layer)}
    return layers[id(layer)]


def _parts(model: Any) -> list[Any]:
    """All layers and functions within a model."""
    parts: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) not in parts:
            parts[id(part)] = part
            waiting.extend(_children(part))
    return list(parts.values())
