"""ADD: the sum of two tensors of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path, pair
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.spec import OperatorSpec, fixed_inputs, input_shape


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Equal shapes; fractional bits not too far apart."""
    first, second = pair.tensors(SPEC, model, operator)
    if first.shape != second.shape:
        yield f"both inputs must have the same shape. Received: shapes {first.shape} and {second.shape}"
    furthest = SPEC.limits["max_distance"]
    if fixed_inputs(model, operator) and max(_shifts(model, operator)) > furthest:
        yield f"the inputs' fractional bits must differ by at most {furthest}. Received: {first.format} and {second.format}"


def _shifts(model: Model, operator: Operator) -> tuple[int, int]:
    """Places by which each input is shifted left to the finer of their fractional bits."""
    a, b = (source.frac_bits or 0 for source in pair.formats(SPEC, model, operator))
    return max(a, b) - a, max(a, b) - b


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|a| and max|b|, shifted to the finer fractional bits, and the rounding half."""
    formats, shifts = pair.formats(SPEC, model, operator), _shifts(model, operator)
    largest = sum(source.largest_magnitude << shift for source, shift in zip(formats, shifts, strict=True))
    return Bounds(largest + rounding_half(_frac_bits(model, operator), model.output(operator).format))


def _frac_bits(model: Model, operator: Operator) -> int:
    return max(source.frac_bits or 0 for source in pair.formats(SPEC, model, operator))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A callable from two stored arrays to their stored sum."""
    output = model.output(operator).format
    if not fixed_inputs(model, operator):
        formats = pair.formats(SPEC, model, operator)

        def run_float(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return float_path.store(float_path.values(formats[0], a) + float_path.values(formats[1], b), output, operator)

        return run_float

    rounding = requantization(operator, output, _frac_bits(model, operator), bounds(model, operator))
    left, right = (rounding.gain * rounding.dtype.type(1 << shift) for shift in _shifts(model, operator))

    def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sums = np.multiply(a, left, dtype=rounding.dtype)
        sums += np.multiply(b, right, dtype=rounding.dtype)
        y = np.empty(a.shape, output.dtype)
        rounding.finish(sums, y)
        return y

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.ADD,
    operands=pair.OPERANDS,
    output_shape=input_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    limits={"max_distance": 32},  # of the inputs' fractional bits
)
