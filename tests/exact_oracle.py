"""kerasq/NUMERICS.md once more, independent of the package's arithmetic: exact rationals, one output value at a time.

A stored integer is turned into its real value, the operator is computed on reals (Python integers and fractions), and the
result is rounded to the output's format: floor(value / step + 1/2), saturated, clamped. No shifts, no bounds, no float types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.qformat import QFormat


def step(form: QFormat) -> Fraction:
    """Value of a stored 1."""
    return Fraction(1) if form.is_sign else Fraction(2) ** -(form.frac_bits or 0)


def float32(value: Fraction) -> float:
    """The float32 nearest to a rational, ties to the even one, subnormal numbers and infinity included."""
    if value == 0:
        return 0.0
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    quantum = Fraction(2) ** (max(exponent, -126) - 23)
    nearest = round(size / quantum) * quantum  # Python rounds a fraction's ties to even
    return math.copysign(math.inf if nearest >= Fraction(2) ** 128 else float(nearest), value)


def store(value: Fraction, form: QFormat, clamp: tuple[float, float] | None) -> float:
    """A real value as the operator writes it."""
    if form.is_float:
        rounded = float32(value)
    else:
        rounded = min(max(math.floor(value / step(form) + Fraction(1, 2)), form.min_int), form.max_int)
    return rounded if clamp is None else min(max(rounded, clamp[0]), clamp[1])


def compute(model: Model, operator: Operator, *inputs: np.ndarray) -> np.ndarray:
    """Stored output of an integer operator for batches of stored inputs."""
    output = model.output(operator)
    shape = (len(inputs[0]), *output.shape[1:])
    values = _KINDS[operator.kind](model, operator, *inputs)
    stored = np.array([store(value, output.format, operator.clamp) for value in values])
    return stored.reshape(shape).astype(output.format.dtype)


def _taps(outputs: int, size: int, stride: int, dilation: int, before: int, length: int) -> list[list[tuple[int, int]]]:
    """For every output the pairs (tap, input position) that lie inside the input."""
    return [
        [(tap, at) for tap in range(size) if 0 <= (at := output * stride + tap * dilation - before) < length]
        for output in range(outputs)
    ]


def _weighted(total: int, channel: int, scale: Fraction, multiplier: Tensor | None, bias: Tensor | None) -> Fraction:
    value = total * scale
    if multiplier is not None and multiplier.data is not None:
        value *= int(multiplier.data[channel]) * step(multiplier.format)
    if bias is not None and bias.data is not None:
        value += int(bias.data[channel]) * step(bias.format)
    return value


def _convolution(model: Model, operator: Operator, x: np.ndarray, addend: np.ndarray | None = None) -> Iterator[Fraction]:
    source, kernel, multiplier, bias = model.operands(operator)[:4]
    assert source is not None
    assert kernel is not None
    assert kernel.data is not None
    _, rows, columns, channels = model.output(operator).shape
    _, height, width, inputs = kernel.shape
    vertical = _taps(rows, height, operator.strides[0], operator.dilations[0], operator.padding[0], x.shape[1])
    horizontal = _taps(columns, width, operator.strides[1], operator.dilations[1], operator.padding[2], x.shape[2])
    pixels, weights = x.tolist(), kernel.data.tolist()
    scale = step(source.format) * step(kernel.format)
    for example, row, column, channel in product(range(len(x)), range(rows), range(columns), range(channels)):
        first = channel // (channels // operator.groups) * inputs
        total = sum(
            pixels[example][y][z][first + c] * weights[channel][i][j][c]
            for (i, y), (j, z), c in product(vertical[row], horizontal[column], range(inputs))
        )
        added = Fraction(0)
        if addend is not None:
            added = int(addend[example, row, column, channel]) * step(model.tensors[operator.inputs[4]].format)
        yield _weighted(total, channel, scale, multiplier, bias) + added


def _dense(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    source, kernel, multiplier, bias = model.operands(operator)
    assert source is not None
    assert kernel is not None
    assert kernel.data is not None
    scale, weights = step(source.format) * step(kernel.format), kernel.data.tolist()
    for values in x.reshape(len(x), -1).tolist():
        for channel, row in enumerate(weights):
            total = sum(value * weight for value, weight in zip(values, row, strict=True))
            yield _weighted(total, channel, scale, multiplier, bias)


def _add(model: Model, operator: Operator, a: np.ndarray, b: np.ndarray) -> Iterator[Fraction]:
    first, second = (step(model.tensors[index].format) for index in operator.inputs)
    for left, right in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        yield left * first + right * second


def _pooling(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    _, rows, columns, channels = model.output(operator).shape
    vertical = _taps(rows, operator.window[0], operator.strides[0], 1, operator.padding[0], x.shape[1])
    horizontal = _taps(columns, operator.window[1], operator.strides[1], 1, operator.padding[2], x.shape[2])
    scale, pixels = step(model.tensors[operator.inputs[0]].format), x.tolist()
    for example, row, column, channel in product(range(len(x)), range(rows), range(columns), range(channels)):
        taps = [pixels[example][y][z][channel] for (_, y), (_, z) in product(vertical[row], horizontal[column])]
        average = operator.kind is OperatorKind.AVERAGE_POOL_2D
        yield (Fraction(sum(taps), len(taps)) if average else max(taps)) * scale


def _unchanged(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    scale = step(model.tensors[operator.inputs[0]].format)
    return (value * scale for value in x.ravel().tolist())


def _softmax(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """The page's integers: rounding e is part of the definition, so reals would not do."""
    source, table = model.operands(operator)
    assert source is not None
    assert table is not None
    assert table.data is not None
    entries = table.data.tolist()
    for scores in x.reshape(-1, x.shape[-1]).tolist():
        distances = [max(scores) - score for score in scores]
        if source.format.bits == 8:
            powers = [entries[distance] for distance in distances]
        else:
            powers = [(entries[d // 256] * entries[256 + d % 256] + 2**14) // 2**15 for d in distances]
        yield from (Fraction(power, sum(powers)) for power in powers)


def _mul(model: Model, operator: Operator, a: np.ndarray, b: np.ndarray) -> Iterator[Fraction]:
    first, second = (step(model.tensors[index].format) for index in operator.inputs)
    for example, multipliers in zip(a, b, strict=True):
        values, factors = example.ravel().tolist(), multipliers.ravel().tolist()
        for position, value in enumerate(values):
            yield value * first * (factors[position % len(factors)] * second)


def _concat(model: Model, operator: Operator, *arrays: np.ndarray) -> Iterator[Fraction]:
    steps = [step(model.tensors[index].format) for index in operator.inputs]
    rows = [part.reshape(-1, part.shape[-1]).tolist() for part in arrays]
    for row in range(len(rows[0])):
        for scale, part in zip(steps, rows, strict=True):
            yield from (value * scale for value in part[row])


def _transpose(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    scale, (rows, columns), together = step(model.tensors[operator.inputs[0]].format), operator.window, operator.groups
    for example in x:
        values = example.ravel().tolist()
        for image in range(0, len(values), rows * columns * together):
            for column, row, place in product(range(columns), range(rows), range(together)):
                yield values[image + (row * columns + column) * together + place] * scale


def _lookup(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """Between knots the line, rounded to the grid of the entries: halves up."""
    source, table = model.operands(operator)
    assert source is not None
    assert table is not None
    assert table.data is not None
    entries, scale = table.data.tolist(), step(table.format)
    for value in x.ravel().tolist():
        place = value - source.format.min_int
        if source.format.bits == 8:
            yield entries[place] * scale
        else:
            knot, low = place // 128, place % 128
            line = entries[knot] + Fraction(entries[knot + 1] - entries[knot]) * low / 128
            yield math.floor(line + Fraction(1, 2)) * scale


_KINDS = {
    OperatorKind.CONV_2D: _convolution,
    OperatorKind.DENSE: _dense,
    OperatorKind.ADD: _add,
    OperatorKind.MAX_POOL_2D: _pooling,
    OperatorKind.AVERAGE_POOL_2D: _pooling,
    OperatorKind.RESHAPE: _unchanged,
    OperatorKind.QUANTIZE: _unchanged,
    OperatorKind.SOFTMAX: _softmax,
    OperatorKind.MUL: _mul,
    OperatorKind.CONCAT: _concat,
    OperatorKind.TRANSPOSE: _transpose,
    OperatorKind.LOOKUP: _lookup,
}
