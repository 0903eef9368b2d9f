"""Normalizations by an example's own statistics, read from Keras' layers as the front end reads them from a graph.

`kerasq.summary` shows them so. Where quantizers are placed they have no row: no quantizer of a model can reach what lies between
their two steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
import numpy as np

from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.normalizations import normalize, scale_and_offset
from kerasq_convert.graph import Node, Reshape, Shape, replace
from kerasq_convert.quantization.context import Context, Rows, numpy_of

L = keras.layers


def _layer(context: Context) -> Iterator[Node]:
    layer = context.layer
    axes = _axes(context, layer.axis)
    if getattr(layer, "rms_scaling", False):
        raise ValueError("of the variance, less no mean")
    scale = _along(context, axes, numpy_of(layer.gamma) if layer.scale else None, 1.0)
    offset = _along(context, axes, numpy_of(layer.beta) if layer.center else None, 0.0)
    yield from _normalized(context, axes, layer.epsilon, scale, offset)


def _root_mean_square(context: Context) -> Iterator[Node]:
    layer = context.layer
    axes = _axes(context, layer.axis)
    scale = _along(context, axes, numpy_of(layer.scale), 1.0)
    yield from _normalized(context, axes, layer.epsilon, scale, np.zeros(()), centered=False)


def _unit(context: Context) -> Iterator[Node]:
    axes = _axes(context, context.layer.axis)
    sizes = _sizes(context)
    scale = np.array(1 / math.sqrt(math.prod(sizes[axis] for axis in axes)))
    yield from _normalized(context, axes, 0.0, scale, np.zeros(()), centered=False)


def _group(context: Context) -> Iterator[Node]:
    layer, sizes = context.layer, _sizes(context)
    (axis,) = _axes(context, layer.axis)
    groups = sizes[axis] if layer.groups == -1 else layer.groups
    split = (*sizes[:axis], groups, sizes[axis] // groups, *sizes[axis + 1 :])
    rest = (1,) * (len(sizes) - axis - 1)
    scale = numpy_of(layer.gamma).reshape(groups, -1, *rest) if layer.scale else np.array(1.0)
    offset = numpy_of(layer.beta).reshape(groups, -1, *rest) if layer.center else np.array(0.0)
    axes = tuple(place for place in range(1, len(split)) if place != axis)
    yield from _normalized(context, axes, layer.epsilon, scale, offset, sizes=split)


def _normalized(
    context: Context,
    axes: tuple[int, ...],
    epsilon: float,
    scale: np.ndarray,
    offset: np.ndarray,
    *,
    centered: bool = True,
    sizes: Shape | None = None,
) -> Iterator[Node]:
    """What is normalized over axes of an array of these sizes, times a scale plus an offset, which broadcast."""
    (source,) = context.run.inputs
    chain = Chain(context.run.value, (context.run.name,), source, context.shapes[source])
    chain.view(sizes or _sizes(context))
    shape = chain.shape
    normalize(chain, axes, centered=centered, epsilon=epsilon)
    scale_and_offset(chain, scale, offset, shape)
    if chain.shape != context.shape:
        chain.add(Reshape, context.shape)
    yield from chain.nodes[:-1]
    yield replace(chain.nodes[-1], output=context.run.value)


def _sizes(context: Context) -> Shape:
    """The shape of what the layer reads, as Keras has it, with a batch of 1."""
    return (1, *(int(size) for size in context.run.results[0].shape[1:]))


def _axes(context: Context, axis: int | list[int] | tuple[int, ...]) -> tuple[int, ...]:
    """Axes counted from the front."""
    rank = len(context.run.results[0].shape)
    return tuple(sorted(place % rank for place in ([axis] if isinstance(axis, int) else axis)))


def _along(context: Context, axes: tuple[int, ...], values: np.ndarray | None, default: float) -> np.ndarray:
    """A layer's weights in the shape in which they broadcast."""
    if values is None:
        return np.array(default)
    return values.reshape([size if axis in axes else 1 for axis, size in enumerate(_sizes(context))])


ROWS: dict[type, Rows] = {L.LayerNormalization: _layer, L.GroupNormalization: _group, L.UnitNormalization: _unit}
if hasattr(L, "RMSNormalization"):
    ROWS[L.RMSNormalization] = _root_mean_square
