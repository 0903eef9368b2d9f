"""A model built once more, layer by layer, with other layers in the place of some and others in between.

Nested models are built anew, too, once each; layers that are shared stay shared. Weights are copied; the original is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from kerasq.callbacks.recorder import calls, has_graph, history
from kerasq.layers.base import QuantizedKernel

Replace = Callable[[Any], Any]
Between = Callable[[Any, int, str], Any]


class Rebuilding:
    """Builds models with layers replaced.

    Args:
        replace: The new layer for one of the model's.
        after: The layer to follow a call, from the model that makes it, its index and the call's name; `None` for none.
            Inputs of the outermost model count as calls -1, -2, ...
        skipped: Whether a layer is left out: what reads it reads its input.
        copy: Gives a new layer the weights of the one that it stands for; `copy_weights` if `None`.
    """

    def __init__(
        self,
        replace: Replace,
        after: Between = lambda *_: None,
        skipped: Callable[[Any], bool] = lambda _: False,
        copy: Callable[[Any, Any], None] | None = None,
    ):
        self._replace, self._after, self._skipped, self._copy = replace, after, skipped, copy or copy_weights
        self._made: dict[int, tuple[Any, Any]] = {}

    def build(self, model: keras.Model) -> keras.Model:
        """The model built anew, with the weights of the original."""
        rebuilt = self._sequential(model) if isinstance(model, keras.Sequential) else self._functional(model)
        for old, new in self._made.values():
            if isinstance(old, keras.layers.Layer) and not isinstance(old, keras.Model) and not self._skipped(old):
                self._copy(old, new)
        return rebuilt

    def _new(self, operation: Any) -> Any:
        if id(operation) not in self._made:
            self._made[id(operation)] = operation, self._newly(operation)
        return self._made[id(operation)][1]

    def _newly(self, operation: Any) -> Any:
        if has_graph(operation):
            return self._sequential(operation) if isinstance(operation, keras.Sequential) else self._functional(operation)
        return self._replace(operation) if isinstance(operation, keras.layers.Layer) else operation

    def _sequential(self, model: keras.Sequential) -> keras.Model:
        indices = {id(call.operation): index for index, call in enumerate(calls(model))}
        start = history(model.inputs[0]).operation
        built = [keras.layers.InputLayer.from_config(start.get_config()), self._after(model, -1, start.name)]
        for layer in model.layers:
            if not self._skipped(layer):
                built += [self._new(layer), self._after(model, indices[id(layer)], layer.name)]
        new = keras.Sequential([layer for layer in built if layer is not None], name=model.name, trainable=model.trainable)
        if model.compiled:
            new.compile_from_config(model.get_compile_config())
        return new

    def _functional(self, model: Any) -> keras.Model:
        inputs = keras.tree.map_structure(
            lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=history(tensor).operation.name),
            model.input,
        )
        graph = _Graph(model, keras.tree.flatten(inputs), self._after, self._skipped)
        return keras.models.clone_model(model, inputs, clone_function=graph.noting(self._new), call_function=graph.call)


class _Graph:
    """The graph of one functional model, while it is built: which call of the original every new call stands for."""

    def __init__(self, model: Any, inputs: list[Any], after: Between, skipped: Callable[[Any], bool]):
        self._model, self._after, self._skipped = model, after, skipped
        self._waiting = dict(enumerate(calls(model)))
        self._originals: dict[int, Any] = {}
        self._stands_for: dict[int, set[int]] = {}  # new tensor -> the original's; several where a layer is left out
        self._instead: dict[int, Any] = {}  # input -> what is read in its place
        self._kept: list[Any] = list(inputs)  # so that no `id` is used twice
        for number, (old, new) in enumerate(zip(model.inputs, inputs, strict=True)):
            self._stands_for[id(new)] = {id(old)}
            between = after(model, -1 - number, history(new).operation.name)
            if between is not None:
                self._instead[id(new)] = between(new)

    def noting(self, new: Replace) -> Replace:
        def noted(operation: Any) -> Any:
            made = new(operation)
            self._originals[id(made)] = operation
            return made

        return noted

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """One call of the new model, and what follows it."""
        original = self._originals[id(operation)]
        read = [self._stands_for[id(x)] for x in keras.tree.flatten((args, kwargs)) if id(x) in self._stands_for]
        index = next(
            index
            for index, call in self._waiting.items()
            if call.operation is original and all(id(old) in stood for old, stood in zip(call.inputs, read, strict=True))
        )
        call = self._waiting.pop(index)
        args, kwargs = keras.tree.map_structure(lambda x: self._instead.get(id(x), x), (args, kwargs))
        results = args[0] if self._skipped(original) else operation(*args, **kwargs)
        between = self._after(self._model, index, original.name)
        if between is not None:
            results = between(results)
        for new, old in zip(keras.tree.flatten(results), call.outputs, strict=True):
            self._stands_for.setdefault(id(new), set()).add(id(old))
            self._kept.append(new)
        return results


def copy_weights(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """The weights of a layer into one of the same kind; what only the other has (a quantizer's own) stays."""
    if isinstance(old, QuantizedKernel) != isinstance(new, QuantizedKernel):
        named = {variable.name: variable for variable in reversed(new.weights)}
        for variable in reversed(old.weights):
            if variable.name in named:
                # (As NumPy's array: on JAX the two would share memory, which a training step gives away.)
                named[variable.name].assign(keras.ops.convert_to_numpy(variable))
        if isinstance(new, QuantizedKernel):
            new.reset_quantizers()
        return
    new.set_weights(old.get_weights())
    if isinstance(new, keras.layers.Normalization):
        new.finalize_state()


def cloned(layer: keras.layers.Layer) -> Any:
    """A layer of the same class and arguments. (A Lambda's code is the caller's own: it comes from no file.)"""
    config = layer.get_config()
    if isinstance(layer, keras.layers.Lambda):
        copy = type(layer).from_config(config, safe_mode=False)
        copy.function = layer.function  # with the names that its code knows
        return copy
    return type(layer).from_config(config)
