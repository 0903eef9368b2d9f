"""GATHER: rows of a constant table, by numbers that come in: an embedding.

A number below 0 stands for the first row and one beyond the last for the last: nothing outside the table is read, whatever comes
in. Rows are requantized into the output's format: where that is the table's own, they are copied. Source: NUMERICS.md
section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.families import GATHERED
from kerasq.ops.operand import Operand
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.spec import OperatorSpec, Shape, fixed_inputs


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """A row for every number: the input's shape and the table's width."""
    return (*shapes[0], shapes[1][-1])


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """A table of rows; whole numbers, or FLOAT32 values that are rounded to such."""
    x, table = SPEC.tensor(model, operator, "input"), SPEC.tensor(model, operator, "table")
    if len(table.shape) != 2:
        yield f"the table must have 2 axes, rows and their values. Received: shape={table.shape}"
    elif table.shape[0] > SPEC.limits["max_rows"]:
        yield f"the table has at most {SPEC.limits['max_rows']} rows. Received: shape={table.shape}"
    if x.format.is_fixed and x.format.frac_bits != 0:
        yield f"the input must hold whole numbers: 0 fractional bits. Received: {x.format}"


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|t| of the table's format and the rounding half."""
    table = SPEC.tensor(model, operator, "table").format
    return Bounds(table.largest_magnitude + rounding_half(table.frac_bits or 0, model.output(operator).format))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored numbers to stored rows."""
    output = model.output(operator)
    stored = rows(model, operator)
    last = len(stored) - 1

    def run(x: np.ndarray) -> np.ndarray:
        numbers = x
        if x.dtype.kind == "f":
            numbers = np.nan_to_num(np.floor(x.astype(np.float64) + 0.5), nan=0.0)
        places = np.clip(numbers, 0, last).astype(np.int64)
        return stored[places].reshape(len(x), *output.shape[1:])

    return run


def rows(model: Model, operator: Operator) -> np.ndarray:
    """All rows of the table as the output stores them, (rows, width)."""
    table, output = SPEC.tensor(model, operator, "table"), model.output(operator).format
    assert table.data is not None
    if not fixed_inputs(model, operator):
        return float_path.store(float_path.values(table.format, table.data), output, operator)
    rounding = requantization(operator, output, table.format.frac_bits or 0, bounds(model, operator))
    stored = np.empty(table.shape, output.dtype)
    rounding.finish(np.multiply(table.data, rounding.gain, dtype=rounding.dtype), stored)
    return stored


SPEC = OperatorSpec(
    kind=OperatorKind.GATHER,
    operands=(Operand("input"), Operand("table", GATHERED, constant=True)),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    limits={"max_rows": 1 << 16},  # numbers of 16 bits reach them all
    since=5,
    any_shape=True,
)
