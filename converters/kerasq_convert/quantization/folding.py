"""BatchNormalization taken into the kernel and the bias before it: training then sees the numbers that one format must hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerasq.callbacks.recorder import Call, calls, has_graph
from kerasq.layers import twins
from kerasq.layers.base import QuantizedKernel
from kerasq_convert.quantization.calls import name_of
from kerasq_convert.quantization.rebuilding import Rebuilding, cloned, copy_weights


@dataclasses.dataclass(frozen=True)
class _Affine:
    """What a BatchNormalization computes in inference, `scale · x + offset` for every channel."""

    scale: np.ndarray
    offset: np.ndarray


def with_folded_normalizations(model: keras.Model) -> keras.Model:
    """The same function without the normalizations that the layer before them can compute.

    With the moving mean and variance, kernel W and bias b of that layer:

        m = gamma / sqrt(variance + epsilon),   W' = W · m,   b' = beta + (b - mean) · m

    A normalization is folded if it is over the channels of a float layer with a kernel and without an activation function, which
    nothing else reads, and if both are called once. Others stay.

    Args:
        model: A model with a graph (`calls.require_graph`); it is not changed.
    """
    pairs = {id(layer): (layer, normalization) for layer, normalization in _pairs(model)}
    folded = {id(normalization) for _, normalization in pairs.values()}

    def replaced(layer: Any) -> Any:
        if id(layer) not in pairs:
            return cloned(layer)
        return type(layer).from_config({**layer.get_config(), "use_bias": True})

    def weights(old: Any, new: Any) -> None:
        if id(old) in pairs:
            _fold(old, _affine(pairs[id(old)][1]), new)
        else:
            copy_weights(old, new)

    return Rebuilding(replaced, skipped=lambda layer: id(layer) in folded, copy=weights).build(model)


def _pairs(model: keras.Model) -> Iterator[tuple[Any, keras.layers.BatchNormalization]]:
    """Layers with a kernel, each with the normalization that it can compute."""
    graphs = list(_graphs(model))
    every_call = [call for graph in graphs for call in calls(graph)]
    times: dict[int, int] = {}
    readers: dict[int, int] = {}
    for call in every_call:
        times[id(call.operation)] = times.get(id(call.operation), 0) + 1
        for tensor in call.inputs:
            readers[id(tensor)] = readers.get(id(tensor), 0) + 1
    for tensor in (tensor for graph in graphs for tensor in graph.outputs):
        readers[id(tensor)] = readers.get(id(tensor), 0) + 1
    source = {id(tensor): call for call in every_call for tensor in call.outputs}
    for call in every_call:
        before = source.get(id(call.inputs[0]))
        if before is None or not _can_compute(before, call):
            continue
        once = times[id(before.operation)] == times[id(call.operation)] == readers[id(call.inputs[0])] == 1
        if once:
            yield before.operation, call.operation


def _graphs(model: keras.Model) -> Iterator[keras.Model]:
    """A model and those nested in it, once each."""
    waiting, seen = [model], set()
    while waiting:
        graph = waiting.pop()
        if id(graph) not in seen:
            seen.add(id(graph))
            yield graph
            waiting += [call.operation for call in calls(graph) if has_graph(call.operation)]


def _can_compute(before: Call, call: Call) -> bool:
    layer, normalization = before.operation, call.operation
    if type(normalization) is not keras.layers.BatchNormalization or isinstance(layer, QuantizedKernel):
        return False
    if twins.kind_of(layer) is None or not hasattr(layer, "use_bias") or name_of(layer.activation) != "linear":
        return False
    rank = len(call.inputs[0].shape)
    first = getattr(layer, "data_format", None) == "channels_first"
    return normalization.axis % rank == (1 if first else rank - 1)


def _affine(normalization: keras.layers.BatchNormalization) -> _Affine:
    mean, variance = (_array(value) for value in (normalization.moving_mean, normalization.moving_variance))
    scale = 1 / np.sqrt(variance + normalization.epsilon)
    if normalization.scale:
        scale = scale * _array(normalization.gamma)
    return _Affine(scale, (_array(normalization.beta) if normalization.center else 0.0) - mean * scale)


def _fold(old: Any, affine: _Affine, new: Any) -> None:
    """Gives `new`, a layer as `old` with a bias, the weights that compute `old` and then `affine`."""
    *parts, last = twins.parts_of(old)
    for part in parts:
        getattr(new, part.latent).assign(_array(getattr(old, part.latent)))
    scaled = twins.quantized_values(old, last, lambda kernel: kernel * keras.ops.cast(affine.scale, kernel.dtype))
    getattr(new, last.latent).assign(scaled)
    bias = _array(old.bias) if old.use_bias else 0.0
    new.bias.assign(affine.offset + bias * affine.scale)


def _array(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value), np.float64)
