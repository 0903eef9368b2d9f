"""Normalization by an example's own statistics: over any axes but the batch."""

from __future__ import annotations

import math

import numpy as np

from kerasq import ops
from kerasq.format import OperatorKind
from kerasq.format.schema import MAX_SIZE
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.normalization_pattern import Normalization
from kerasq_convert.graph import Affine, Normalize, Scaled, Shape


def normalization(importer: Importer, found: Normalization) -> None:
    """A Normalize, and an Affine for what is not 1 and 0 of scale and offset."""
    operation = found.result.op
    chain = Chain.of(importer, operation, found.source)
    if not found.source.dtype.is_floating:
        raise UnsupportedError("normalization of whole numbers is not supported")
    shape = chain.shape
    normalize(chain, found.axes, centered=found.centered, epsilon=found.epsilon)
    inner = chain.value
    flat_scale, flat_offset = scale_and_offset(chain, found.scale, found.offset, shape)
    if chain.value != inner and np.all(flat_scale):
        importer.scaled[inner] = Scaled(operation.outputs[0].name, 1 / flat_scale, -flat_offset / flat_scale)
    chain.finish(importer, operation.outputs[0].name, shape_of(found.result))


def normalize(chain: Chain, axes: tuple[int, ...], *, centered: bool, epsilon: float) -> None:
    """Adds a Normalize over axes.

    Raises:
        UnsupportedError: Axes that are kept and such that are normalized alternate more than an operator takes, or there are too
            many values at once.
    """
    shape = chain.shape
    pixels, groups, channels, split = _parts(shape, axes)
    most = ops.TABLE[OperatorKind.NORMALIZE].limits["max_values"]
    if math.prod(pixels) * channels > most:
        raise UnsupportedError(
            f"normalization of more than {most:,} values at once is not supported: normalize over the channels, or a smaller map"
        )
    if max(*pixels, groups) > MAX_SIZE:
        raise UnsupportedError(f"normalization over an axis longer than {MAX_SIZE:,} is not supported: split it by Reshape")
    sizes = shape[1:split]
    if len(sizes) > 2:
        sizes = tuple(size for size in sizes if size != 1)
    if len(sizes) not in (0, 2):  # as an image, of which convolutions and Dense layers read one, too
        sizes = (1, math.prod(sizes))
    merged = (1, *sizes, math.prod(shape[split:]))
    chain.view(merged)
    chain.add(Normalize, merged, window=pixels, groups=groups, centered=centered, epsilon=epsilon)


def _parts(shape: Shape, axes: tuple[int, ...]) -> tuple[tuple[int, int], int, int, int]:
    """Sizes of the pixels, the number of groups and the size of a group, and the axis at which channels begin.

    Axes, those of size 1 left out, are kept or taken in runs: kept, pixels (taken), groups (kept), channels (taken).
    """
    runs: list[tuple[bool, list[int]]] = []
    for axis in range(1, len(shape)):
        if shape[axis] == 1:
            continue
        if runs and runs[-1][0] == (axis in axes):
            runs[-1][1].append(axis)
        else:
            runs.append((axis in axes, [axis]))
    channels = runs.pop()[1] if runs and runs[-1][0] else []
    groups = runs.pop()[1] if len(runs) > 1 and runs[-2][0] else []
    taken = runs.pop()[1] if runs and runs[-1][0] else []
    if len(runs) > 1:
        raise UnsupportedError(
            "normalization over axes that lie so far apart is not supported: Permute them side by side before it"
        )
    if not taken and not groups:  # of axes side by side, the last one is that of the channels
        taken, channels = channels[:-1], channels[-1:]
    last = [*groups, *channels]
    split = last[0] if last else len(shape) - 1
    sizes = [shape[axis] for axis in taken]
    pixels = (math.prod(sizes[:1]), math.prod(sizes[1:]))
    return pixels, math.prod(shape[axis] for axis in groups), math.prod(shape[axis] for axis in channels), split


def scale_and_offset(chain: Chain, scale: np.ndarray, offset: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Adds an Affine for what is not 1 and 0; its constants: per channel where they allow it, else of each element.

    Args:
        chain: What has come of a source of shape `shape`.
        scale, offset: They broadcast to that shape.
        shape: Of the source.
    """
    scale, offset = (np.broadcast_to(np.asarray(value, np.float64), shape) for value in (scale, offset))
    if np.all(scale == 1) and not np.any(offset):
        return scale, offset
    channels = chain.shape[-1]
    rows = [value.reshape(-1, channels) for value in (scale, offset)]
    if all((value == value[0]).all() for value in rows):
        vectors = [value[0] for value in rows]
        chain.add(Affine, chain.shape, scale=vectors[0], offset=vectors[1])
        return vectors[0], vectors[1]
    if len(shape) in (3, 4) and all(
        (value == value[:, :, :1]).all() for value in (scale.reshape(1, shape[1], -1), offset.reshape(1, shape[1], -1))
    ):
        chain.view(shape)  # channels first
        vectors = [value.reshape(shape[1], -1)[:, 0] for value in (scale, offset)]
        chain.permute((0, *range(2, len(shape)), 1))
        chain.add(Affine, chain.shape, scale=vectors[0], offset=vectors[1])
        chain.permute((0, len(shape) - 1, *range(1, len(shape) - 1)))
        return vectors[0], vectors[1]
    flat = (1, scale.size)
    chain.view(flat)
    chain.add(Affine, flat, scale=scale.reshape(-1), offset=offset.reshape(-1))
    return scale.reshape(-1), offset.reshape(-1)
