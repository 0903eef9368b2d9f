"""What MAX_POOL_2D and AVERAGE_POOL_2D share: their windows, over whose valid taps both go; absent taps count for nothing.

Both run along one axis after the other: the maximum, the sum and the number of valid taps of a rectangle all separate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kerasq.format.model import Operator, Tensor
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import Shape
from kerasq.ops.windows import Window

INPUT = Operand("input", overlap=Overlap.WINDOW_OF_CHANNEL)
ATTRIBUTES = ("window", "strides", "padding")


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """(1, rows, columns, channels)."""
    batch, height, width, channels = shapes[0]
    return (batch, *Window.of(operator, operator.window).output_size(height, width), channels)


def rules(operator: Operator, x: Tensor) -> Iterator[str]:
    """Axes and window."""
    if len(x.shape) != 4:
        yield f"the input must have 4 axes. Received: shape={x.shape}"
    if operator.dilations == (1, 1):  # else kerasq.ops.checks says what is wrong
        yield from Window.of(operator, operator.window).problems()


def _along(x: np.ndarray, window: Window, axis: int, combine: np.ufunc, initial: float, dtype: np.dtype) -> np.ndarray:
    """`combine` over the valid taps of every window along `axis` (1: rows, 2: columns), starting from `initial`."""
    size, stride, before = window.size[axis - 1], window.strides[axis - 1], window.padding[2 * (axis - 1)]
    length, outputs = x.shape[axis], window.output_size(x.shape[1], x.shape[2])[axis - 1]
    result = np.full((*x.shape[:axis], outputs, *x.shape[axis + 1 :]), initial, dtype)
    ahead = (slice(None),) * axis
    for tap in range(size):
        # Output o sees row o * stride + tap - before: valid from the first o that makes it >= 0 to the last < length.
        first = max(0, -((tap - before) // stride))
        last = min(outputs, (length - 1 + before - tap) // stride + 1)
        if first < last:
            start = first * stride + tap - before
            target = result[(*ahead, slice(first, last))]
            combine(target, x[(*ahead, slice(start, start + (last - first - 1) * stride + 1, stride))], out=target)
    return result


def slide(x: np.ndarray, window: Window, combine: np.ufunc, initial: float, dtype: np.dtype) -> np.ndarray:
    """`combine` over the valid taps of every window of (batch, height, width, channels), starting from `initial`."""
    rows = _along(x, window, 1, combine, initial, dtype)
    # The rows are done: what is left is a window of one row.
    beside = Window((1, window.size[1]), (1, window.strides[1]), (1, 1), (0, 0, *window.padding[2:]))
    return _along(rows, beside, 2, combine, initial, dtype)
