"""MAX_POOL_2D and AVERAGE_POOL_2D: over the valid taps of each window; absent taps count for nothing.

Both run along one axis after the other: the maximum, the sum and the number of valid taps of a rectangle all separate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path, reshape
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import limits
from kerasq.ops.slots import Slot
from kerasq.ops.spec import OperatorSpec, Shape, fixed_inputs
from kerasq.ops.windows import Window

MAX_DISTANCE = 24  # of the input's and the output's fractional bits, for an average
# An average with a FLOAT32 output is a float64 quotient s / N rounded to float32. Between two float32 lies a midpoint of 25 bits;
# an s / N that is not itself one is at least 2**-25 / N of its size away from it: up to this N, out of reach of the quotient's
# own error of 2**-53.
MAX_TAPS = 1 << 24


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """(1, rows, columns, channels)."""
    batch, height, width, channels = shapes[0]
    return (batch, *Window.of(operator, operator.window).output_size(height, width), channels)


def _window_rules(model: Model, operator: Operator) -> Iterator[str]:
    shape = model.tensors[operator.inputs[0]].shape
    if len(shape) != 4:
        yield f"the input must have 4 axes. Received: shape={shape}"
    if operator.dilations == (1, 1):  # else kerasq.ops.attributes says what is wrong
        yield from Window.of(operator, operator.window).problems()


def max_rules(model: Model, operator: Operator) -> Iterator[str]:
    """Window and equal formats."""
    yield from _window_rules(model, operator)
    yield from reshape.same_format(model, operator)


def average_rules(model: Model, operator: Operator) -> Iterator[str]:
    """Window and fractional bits."""
    yield from _window_rules(model, operator)
    source, output = model.tensors[operator.inputs[0]].format, model.output(operator).format
    if operator.window[0] * operator.window[1] > MAX_TAPS:
        yield f"an average is taken over at most {MAX_TAPS} taps. Received: window={operator.window}"
    if fixed_inputs(model, operator) and output.is_fixed and abs(_distance(source.frac_bits, output.frac_bits)) > MAX_DISTANCE:
        yield f"fractional bits of input and output must differ by at most {MAX_DISTANCE}. Received: {source} and {output}"


def _distance(source_bits: int | None, output_bits: int | None) -> int:
    """k = n_x - n_y."""
    return (source_bits or 0) - (output_bits or 0)


def average_bounds(model: Model, operator: Operator) -> Bounds:
    """2 * N * (max|x| * 2**-k + 2**k), either power only where it is above 1: covers numerator and denominator."""
    x, output = model.tensors[operator.inputs[0]], model.output(operator).format
    taps = math.prod(min(tap, size) for tap, size in zip(operator.window, x.shape[1:3], strict=True))
    largest = max(-x.format.min_int, x.format.max_int)
    if output.is_float:
        return Bounds(taps * largest)
    k = _distance(x.format.frac_bits, output.frac_bits)
    return Bounds(2 * taps * ((largest << max(-k, 0)) + (1 << max(k, 0))))


def _slide(x: np.ndarray, window: Window, axis: int, combine: np.ufunc, initial: float, dtype: np.dtype) -> np.ndarray:
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


def _window_slide(x: np.ndarray, window: Window, combine: np.ufunc, initial: float, dtype: np.dtype) -> np.ndarray:
    rows = _slide(x, window, 1, combine, initial, dtype)
    # The rows are done: what is left is a window of one row.
    beside = Window((1, window.size[1]), (1, window.strides[1]), (1, 1), (0, 0, *window.padding[2:]))
    return _slide(rows, beside, 2, combine, initial, dtype)


def prepare_max(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, height, width, channels) to the largest stored values."""
    source, window = model.output(operator).format, Window.of(operator, operator.window)
    lowest = -math.inf if source.is_float else source.min_int

    def run(x: np.ndarray) -> np.ndarray:
        return reshape.clamped(_window_slide(x, window, np.maximum, lowest, source.dtype), operator)

    return run


def prepare_average(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, height, width, channels) to stored averages."""
    x, output = model.tensors[operator.inputs[0]], model.output(operator).format
    window, integer = Window.of(operator, operator.window), fixed_inputs(model, operator)
    ones = np.ones((1, *x.shape[1:3], 1), np.int64)
    taps = _window_slide(ones, window, np.add, 0, ones.dtype)
    k = _distance(x.format.frac_bits, output.frac_bits)
    low, high = limits(output, operator) if output.is_fixed else (0, 0)

    def run(x_stored: np.ndarray) -> np.ndarray:
        sums = _window_slide(x_stored, window, np.add, 0, np.dtype(np.int64 if integer else np.float32))
        if not integer:
            return float_path.store((sums / taps).astype(np.float32), output, operator)
        if output.is_float:
            quotients = np.ldexp(sums / taps, -(x.format.frac_bits or 0))
            return float_path.store(quotients.astype(np.float32), output, operator)
        # floor((2 s + D) / (2 D)) with D = N 2**k, or both 2**-k times as large where k is negative.
        denominators = taps << max(k, 0)
        rounded = ((sums << (max(-k, 0) + 1)) + denominators) // (2 * denominators)
        return np.clip(rounded, low, high).astype(output.dtype)

    return run


MAX_SPEC = OperatorSpec(
    kind=OperatorKind.MAX_POOL_2D,
    slots=(Slot("input"),),
    output_shape=output_shape,
    rules=max_rules,
    bounds=reshape.bounds,
    prepare=prepare_max,
)

AVERAGE_SPEC = OperatorSpec(
    kind=OperatorKind.AVERAGE_POOL_2D,
    slots=(Slot("input"),),
    output_shape=output_shape,
    rules=average_rules,
    bounds=average_bounds,
    prepare=prepare_average,
)
