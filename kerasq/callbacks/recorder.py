"""What the layers of a model return, and what their activation functions take, while the model is called."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras

# What comes before a limit at zero or at six is never stored: the limit is a part of the operator before it.
_UNSTORED = (keras.activations.linear, keras.activations.relu, keras.activations.relu6)


class Call(NamedTuple):
    """One call of a layer or of another operation, as the graph has recorded it."""

    operation: Any
    inputs: list[Any]
    outputs: list[Any]
    arguments: Any


class Recorder:
    """Names of tensors with the tensors, in the order in which a model computes them.

    A tensor is called `layer/output` (`layer/output:1` is the second output), or `layer/before_activation` where the layer
    has an activation function. Layers of nested models carry the path. A layer that is called twice is there twice.

    Args:
        model: Functional and Sequential models are entered; of others the layers that they hold are seen, of those what they
            return.
    """

    def __init__(self, model: keras.Model):
        self.tensors: list[tuple[str, Any]] = []
        self.functions: list[tuple[Any, Any]] = []
        self._model = model
        self._path: list[str] = []

    @contextlib.contextmanager
    def listening(self, trace: Callable[[], int] = lambda: 0) -> Iterator[Recorder]:
        """Within it, calls of the model are recorded; afterwards the model is as it was.

        Args:
            trace: A number that grows with what has been computed. `functions` gets it, as it was before each activation
                function and after it.
        """
        self.tensors.clear()
        self.functions.clear()
        with contextlib.ExitStack() as stack:
            for operation in _operations(self._model):
                stack.enter_context(replaced(operation, "call", self._entered if has_graph(operation) else self._returned))
                if callable(function := getattr(operation, "activation", None)) and function not in _UNSTORED:
                    stack.enter_context(replaced(operation, "activation", functools.partial(self._activated, trace)))
            yield self

    def _name(self, operation: Any, what: str) -> str:
        return "/".join([*self._path, operation.name, what])

    def _entered(self, operation: Any, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._path.append(operation.name)
        try:
            return call(*args, **kwargs)
        finally:
            self._path.pop()

    def _returned(self, operation: Any, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        returned = call(*args, **kwargs)
        for index, tensor in enumerate(keras.tree.flatten(returned)):
            if _is_dense(tensor):
                self.tensors.append((self._name(operation, "output") + (f":{index}" if index else ""), tensor))
        return returned

    def _activated(self, trace: Callable[[], int], layer: Any, function: Callable[..., Any], x: Any, *args: Any) -> Any:
        if not isinstance(layer, keras.layers.Activation):  # its input is another layer's output
            self.tensors.append((self._name(layer, "before_activation"), x))
        before = trace()
        result = function(x, *args)
        self.functions.append((before, trace()))
        return result


def has_graph(model: Any) -> bool:
    """Whether a model is Functional, or Sequential and built: its calls are a graph, not Python code."""
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None)) and bool(getattr(model, "outputs", None))


def calls(model: keras.Model) -> list[Call]:
    """The calls that lead from the model's inputs to its outputs, in an order in which they can run."""
    entries = {id(tensor) for tensor in model.inputs}
    ordered, seen = [], set()
    pending = [(tensor, False) for tensor in reversed(model.outputs)]
    while pending:
        tensor, ready = pending.pop()
        operation, index, _ = history(tensor)
        if ready:
            node = operation._inbound_nodes[index]
            ordered.append(Call(operation, list(node.input_tensors), list(node.output_tensors), node.arguments))
        elif id(tensor) not in entries and (id(operation), index) not in seen:
            seen.add((id(operation), index))
            pending.append((tensor, True))
            pending.extend((source, False) for source in reversed(operation._inbound_nodes[index].input_tensors))
    return [call for call in ordered if call.inputs]


def history(tensor: Any) -> Any:
    """Which call of which operation computes a symbolic tensor."""
    # The one place that leans on how Keras keeps its graph: a layer's public `output` is that of its first call only.
    return tensor._keras_history


def _operations(model: keras.Model) -> list[Any]:
    """Everything that a model calls, each once, however often it is called."""
    operations: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        parent = waiting.pop(0)
        for operation in [call.operation for call in calls(parent)] if has_graph(parent) else parent.layers:
            if id(operation) not in operations:
                operations[id(operation)] = operation
                if has_graph(operation):
                    waiting.append(operation)
    return list(operations.values())


@contextlib.contextmanager
def replaced(owner: Any, name: str, instead: Callable[..., Any]) -> Iterator[None]:
    """Within it, `owner.name` is `instead(owner, what it was, ...)`."""
    original = getattr(owner, name)
    own = vars(owner).get(name)

    # Keras watches what is set on a layer for weights and layers to keep: past it.
    object.__setattr__(owner, name, functools.wraps(original)(functools.partial(instead, owner, original)))
    try:
        yield
    finally:
        if own is None:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, own)


def _is_dense(tensor: Any) -> bool:
    return keras.backend.is_keras_tensor(tensor) or (hasattr(tensor, "dtype") and hasattr(tensor, "shape"))
