"""Resizing of images: nearest to any size, bilinear by whole factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.taking import Taker
from kerasq_convert.graph import Pool


def nearest(importer: Importer, operation: Any) -> None:
    """ResizeNearestNeighbor: rows and columns are repeated, or taken."""
    chain = Taker.of(importer, operation, operation.inputs[0])
    written = shape_of(operation.outputs[0])
    taken: dict[int, np.ndarray] = {}
    for axis in (1, 2):
        size, wanted = chain.shape[axis], written[axis]
        places = _nearest_places(operation, size, wanted)
        if np.array_equal(places, np.repeat(np.arange(size), wanted // size)):
            chain.repeat(axis, wanted // size)
        else:
            taken[axis] = places
    chain.take(taken)
    chain.finish(importer, operation.outputs[0].name, written)


def _nearest_places(operation: Any, size: int, wanted: int) -> np.ndarray:
    """The numbers of the rows that TensorFlow takes, as it computes them."""
    import tensorflow as tf

    numbers = np.arange(size, dtype=np.int32).reshape(1, size, 1, 1)
    how = {name: operation.get_attr(name) for name in ("align_corners", "half_pixel_centers")}
    return tf.raw_ops.ResizeNearestNeighbor(images=numbers, size=[wanted, 1], **how).numpy().reshape(-1)


def bilinear(importer: Importer, operation: Any) -> None:
    """ResizeBilinear by whole factors, larger or smaller, where a pixel's value is that of its centre.

    Row y of k times as many lies at (y + 1/2) / k - 1/2 of the old ones. With rows that are repeated k times it is the mean of
    the k rows around it; for an even k of k + 1 rows, the outermost two by half: the mean of two neighbouring means of k rows.
    Edges are as they must be, for a mean is one of the rows that there are. Of k times fewer rows, row y lies at
    k y + (k - 1) / 2: on a row, or in the middle between two.
    """
    chain = Taker.of(importer, operation, operation.inputs[0])
    written = shape_of(operation.outputs[0])
    larger, smaller = [1, 1], [1, 1]
    for axis in (1, 2):
        size, wanted = chain.shape[axis], written[axis]
        if wanted % size and size % wanted:
            raise UnsupportedError(
                "bilinear resizing by other than whole factors is not supported: resize to a multiple of the size, to a whole "
                "part of it, or with interpolation='nearest'"
            )
        larger[axis - 1], smaller[axis - 1] = max(wanted // size, 1), max(size // wanted, 1)
    centred = operation.get_attr("half_pixel_centers") and not operation.get_attr("align_corners")
    if not centred and written != chain.shape:
        raise UnsupportedError("bilinear resizing that aligns corners is not supported: use UpSampling2D or Resizing")
    for axis, factor in enumerate(larger, 1):
        chain.repeat(axis, factor)
    _smooth(chain, larger)
    _thin_out(chain, smaller)
    chain.finish(importer, operation.outputs[0].name, written)


def _smooth(chain: Taker, factors: list[int]) -> None:
    """Means over so many rows and columns around each pixel."""
    rows, columns = factors
    if factors == [1, 1]:
        return
    _, height, width, channels = chain.shape
    down, right = (1 - factor % 2 for factor in factors)  # where means lie between pixels, there is one more of them
    padding = (rows // 2, rows // 2, columns // 2, columns // 2)
    shape = (1, height + down, width + right, channels)
    chain.add(Pool, shape, average=True, window=(rows, columns), strides=(1, 1), padding=padding)
    if down or right:
        chain.add(Pool, (1, height, width, channels), average=True, window=(1 + down, 1 + right), strides=(1, 1))


def _thin_out(chain: Taker, factors: list[int]) -> None:
    """Of so many rows and columns, the one in the middle or the mean of the two there."""
    if factors == [1, 1]:
        return
    even = [1 - factor % 2 for factor in factors]
    wanted = tuple(size // factor for size, factor in zip(chain.shape[1:3], factors, strict=True))
    spans = zip((1, 2), factors, even, wanted, strict=True)
    # From the first row that is read to the last: pooling takes the steps.
    chain.take({axis: np.arange((k - 1) // 2, (k - 1) // 2 + (count - 1) * k + 1 + two) for axis, k, two, count in spans})
    shape = (1, *wanted, chain.shape[3])
    chain.add(Pool, shape, average=True, window=(1 + even[0], 1 + even[1]), strides=(factors[0], factors[1]))
