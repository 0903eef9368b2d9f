"""AVERAGE_POOL_2D: the mean of the valid taps of each window, rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path, pooling
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import limits
from kerasq.ops.spec import OperatorSpec, fixed_inputs
from kerasq.ops.windows import Window


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Window and fractional bits."""
    x, output = SPEC.tensor(model, operator, "input"), model.output(operator).format
    most_taps, furthest = SPEC.limits["max_taps"], SPEC.limits["max_distance"]
    yield from pooling.rules(operator, x)
    if operator.window[0] * operator.window[1] > most_taps:
        yield f"an average is taken over at most {most_taps} taps. Received: window={operator.window}"
    if fixed_inputs(model, operator) and output.is_fixed and abs(_distance(x.format.frac_bits, output.frac_bits)) > furthest:
        yield f"fractional bits of input and output must differ by at most {furthest}. Received: {x.format} and {output}"


def _distance(source_bits: int | None, output_bits: int | None) -> int:
    """k = n_x - n_y."""
    return (source_bits or 0) - (output_bits or 0)


def bounds(model: Model, operator: Operator) -> Bounds:
    """2 * N * (max|x| * 2**-k + 2**k), either power only where it is above 1: covers numerator and denominator."""
    x, output = SPEC.tensor(model, operator, "input"), model.output(operator).format
    taps = math.prod(min(tap, size) for tap, size in zip(operator.window, x.shape[1:3], strict=True))
    largest = x.format.largest_magnitude
    if output.is_float:
        return Bounds(taps * largest)
    k = _distance(x.format.frac_bits, output.frac_bits)
    return Bounds(2 * taps * ((largest << max(-k, 0)) + (1 << max(k, 0))))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, height, width, channels) to stored averages."""
    x, output = SPEC.tensor(model, operator, "input"), model.output(operator).format
    window, integer = Window.of(operator, operator.window), fixed_inputs(model, operator)
    ones = np.ones((1, *x.shape[1:3], 1), np.int64)
    taps = pooling.slide(ones, window, np.add, 0, ones.dtype)
    k = _distance(x.format.frac_bits, output.frac_bits)
    low, high = limits(output, operator) if output.is_fixed else (0, 0)

    def run(x_stored: np.ndarray) -> np.ndarray:
        sums = pooling.slide(x_stored, window, np.add, 0, np.dtype(np.int64 if integer else np.float32))
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


SPEC = OperatorSpec(
    kind=OperatorKind.AVERAGE_POOL_2D,
    operands=(pooling.INPUT,),
    output_shape=pooling.output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=pooling.ATTRIBUTES,
    limits={
        "max_distance": 24,  # of the input's and the output's fractional bits
        # An average with a FLOAT32 output is a float64 quotient s / N rounded to float32. Between two float32 lies a midpoint of
        # 25 bits; an s / N that is not itself one is at least 2**-25 / N of its size away from it: up to this N, out of reach of
        # the quotient's own error of 2**-53.
        "max_taps": 1 << 24,
    },
    float_tolerance=1e-5,  # float32 sums in another order
)
