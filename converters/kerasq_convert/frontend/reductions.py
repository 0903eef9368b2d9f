"""Means, sums and extremes over axes: pooling over their whole length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq.format.schema import MAX_SIZE
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.graph import Pool, Scaled


def reduction(importer: Importer, operation: Any) -> None:
    """Mean, Sum, Max and Min over any axes but the batch.

    A sum is a mean times the number of values, and a minimum the maximum of what is negated, negated.
    """
    x, axes_tensor = operation.inputs
    axes, kind = importer.constant(axes_tensor), operation.type
    taken = set() if axes is None else {int(axis) % x.shape.rank for axis in np.reshape(axes, -1)}
    if not taken or 0 in taken:
        raise UnsupportedError(f"{kind} over the batch is not supported")
    if not x.dtype.is_floating:
        raise UnsupportedError(f"{kind} of whole numbers is not supported")
    chain = Chain.of(importer, operation, x)
    factor = math.prod(chain.shape[axis] for axis in taken) if kind == "Sum" else -1 if kind == "Min" else 1
    if kind == "Min":
        chain.scale(importer, -1)
    _pool(chain, taken, average=kind in ("Mean", "Sum"))
    output = operation.outputs[0].name
    importer.scaled[chain.value] = Scaled(output, np.array(1 / factor))
    if factor != 1:
        chain.scale(importer, factor)
        del importer.scaled[chain.value]  # it is the result
    chain.finish(importer, output, shape_of(operation.outputs[0]))


def _pool(chain: Chain, taken: set[int], *, average: bool) -> None:
    """Adds what pools over axes, of which nothing or 1 is left."""
    if len(chain.shape) == 4 and taken == {2, 3}:  # channels first
        chain.permute((0, 2, 3, 1))
        taken = {1, 2}
    if len(chain.shape) in (3, 4) and taken <= set(range(1, len(chain.shape) - 1)):
        image = image_shape(chain.shape)
        added = len(image) - len(chain.shape)
        height, width = (image[axis] if axis - added in taken else 1 for axis in (1, 2))
    else:
        first, end = _side_by_side(chain, taken)
        before, after = math.prod(chain.shape[:first]), math.prod(chain.shape[end:])
        height = chain.shape[first] if before == 1 else 1
        width = math.prod(chain.shape[first:end]) // height
        image = (1, before * height, width, after)
    if max(height, width) > MAX_SIZE:
        raise UnsupportedError(
            f"a mean, sum or extreme of more than {MAX_SIZE:,} values at once is not supported: use two in a row"
        )
    chain.view(image)
    pooled = (image[0], image[1] // height, image[2] // width, image[3])
    chain.add(Pool, pooled, average=average, window=(height, width), strides=(height, width))


def _side_by_side(chain: Chain, taken: set[int]) -> tuple[int, int]:
    """Brings axes together where others lie between them; the first of them, and the one behind the last."""
    first, end = min(taken), max(taken) + 1
    between = [axis for axis in range(first, end) if axis not in taken]
    if all(chain.shape[axis] == 1 for axis in between):
        return first, end
    chain.permute([*range(first), *between, *sorted(taken), *range(end, len(chain.shape))])
    return end - len(taken), end
