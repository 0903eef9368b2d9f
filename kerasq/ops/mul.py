"""MUL: the product of two tensors, value by value, or of a tensor and one value for each of its channels.

Of the first one `zero` is subtracted before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path, pair, zero
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.spec import OperatorSpec, fixed_inputs, input_shape


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """The second input has the first one's shape, or one value for each of its channels, the last axis."""
    first, second = (tensor.shape for tensor in pair.tensors(SPEC, model, operator))
    if first != second and not first[-1] == second[-1] == math.prod(second):
        yield (
            "the second input must have the first one's shape, or one value for each channel and sizes of 1 elsewhere. "
            f"Received: shapes {first} and {second}"
        )
    yield from zero.problems(SPEC, model, operator)


def _frac_bits(model: Model, operator: Operator) -> int:
    return sum(source.frac_bits or 0 for source in pair.formats(SPEC, model, operator))


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|a| times max|b|, and the rounding half. (An unsigned `a` less a zero in its range is no larger.)"""
    first, second = pair.formats(SPEC, model, operator)
    return Bounds(
        first.largest_magnitude * second.largest_magnitude
        + rounding_half(_frac_bits(model, operator), model.output(operator).format)
    )


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A callable from two stored arrays to their stored product."""
    output = model.output(operator).format
    formats = pair.formats(SPEC, model, operator)
    first, second = (tensor.shape for tensor in pair.tensors(SPEC, model, operator))

    def spread(b: np.ndarray) -> np.ndarray:
        return b if first == second else b.reshape(len(b), *(1,) * (len(first) - 2), second[-1])

    if not fixed_inputs(model, operator):

        def run_float(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            product = (float_path.values(formats[0], a) - np.float32(operator.real_zero)) * spread(
                float_path.values(formats[1], b)
            )
            return float_path.store(product, output, operator)

        return run_float

    rounding = requantization(operator, output, _frac_bits(model, operator), bounds(model, operator))

    def without_zero(a: np.ndarray) -> np.ndarray:
        return np.subtract(a, operator.zero, dtype=rounding.dtype) if operator.zero else a

    def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = np.multiply(without_zero(a), spread(b), dtype=rounding.dtype)
        product *= rounding.gain
        y = np.empty(a.shape, output.dtype)
        rounding.finish(product, y)
        return y

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.MUL,
    operands=pair.OPERANDS,
    output_shape=input_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=("zero", "real_zero"),
    since=2,
)
