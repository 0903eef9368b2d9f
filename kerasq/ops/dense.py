"""DENSE: every output is a weighted sum of all inputs, read flattened."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import weighted
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand
from kerasq.ops.product import product
from kerasq.ops.spec import OperatorSpec, Shape


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """(1, outputs)."""
    x, kernel = shapes[:2]
    return (x[0], kernel[0])


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Sizes of input, kernel, multiplier and bias."""
    operands = _operands(model, operator)
    x, kernel = operands.shapes
    if len(kernel) != 2:
        yield f"the kernel must have 2 axes. Received: shape={kernel}"
    elif kernel[1] != math.prod(x):
        yield f"the kernel must have {math.prod(x)} inputs, the input's elements. Received: shape={kernel}"
    yield from weighted.vector_problems(operands)


def _operands(model: Model, operator: Operator) -> weighted.Operands:
    return weighted.Operands.of(SPEC, model, operator)


def bounds(model: Model, operator: Operator) -> Bounds:
    """As of every weighted operator."""
    return weighted.bounds(_operands(model, operator))


def macs(model: Model, operator: Operator) -> int:
    """One per weight."""
    return weighted.macs(_operands(model, operator))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, ...) to the stored output (batch, outputs)."""
    stages = weighted.stages(_operands(model, operator), operator)
    matrix = stages.arranged("columns", lambda kernel: np.ascontiguousarray(kernel.T))

    def run(x: np.ndarray) -> np.ndarray:
        y = np.empty((len(x), matrix.shape[1]), stages.dtype)
        rows = stages.inputs(x).reshape(1, len(x), len(matrix)).astype(matrix.dtype, copy=False)
        sums = np.empty((1, *y.shape), matrix.dtype)
        product(rows, matrix[None], out=sums)
        stages.finish(sums[0], y, None)
        return y

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.DENSE,
    operands=(Operand("input"), *weighted.CONSTANTS),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=("total_bits",),
    macs=macs,
    float_tolerance=weighted.FLOAT_TOLERANCE,
)
