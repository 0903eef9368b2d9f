"""What the oracle computes with: exact rationals. The package's arithmetic is not used: no shifts, no bounds, no float types."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator, Tensor
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


def step_of(model: Model, operator: Operator, name: str) -> Fraction:
    """Value of a stored 1 of an operand."""
    tensor = ops.operand(model, operator, name)
    assert tensor is not None
    return step(tensor.format)


def taps(outputs: int, size: int, stride: int, dilation: int, before: int, length: int) -> list[list[tuple[int, int]]]:
    """For every output the pairs (tap, input position) that lie inside the input."""
    return [
        [(tap, at) for tap in range(size) if 0 <= (at := output * stride + tap * dilation - before) < length]
        for output in range(outputs)
    ]


def weighted(total: int, channel: int, scale: Fraction, multiplier: Tensor | None, bias: Tensor | None) -> Fraction:
    value = total * scale
    if multiplier is not None and multiplier.data is not None:
        value *= int(multiplier.data[channel]) * step(multiplier.format)
    if bias is not None and bias.data is not None:
        value += int(bias.data[channel]) * step(bias.format)
    return value


def unchanged(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    scale = step_of(model, operator, "input")
    return (value * scale for value in x.ravel().tolist())
