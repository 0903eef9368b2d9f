"""LOOKUP: any function of one value, from a table.

An 8-bit input has an entry for each of its 256 stored values. A 16-bit one has 513 knots, one for each value of its high 9 bits
and one beyond the last, between which the low 7 bits interpolate. Entries are stored values of the output. Source: NUMERICS.md
section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.families import TABLES
from kerasq.ops.moved import clamped
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import OperatorSpec, input_shape
from kerasq.qformat import QFormat

LOW_BITS = 7  # of a 16-bit value: the place between two knots


def table_length(source: QFormat) -> int:
    """Entries of the table for inputs of this format."""
    return SPEC.limits["entries_8" if source.bits == 8 else "entries_16"]


def make_table(function: Callable[[np.ndarray], np.ndarray], source: QFormat, output: QFormat) -> np.ndarray:
    """The table of a function, as the converter stores it: each entry is rounded and saturated like any value.

    Args:
        function: From float64 values to as many; NaN becomes 0.
        source: Format of the input: FIXED or UFIXED of 8 or 16 bits.
        output: Format of the output, of these families too.

    Example:

    >>> make_table(np.tanh, QFormat.parse("FIXED8_4"), QFormat.parse("FIXED8_7"))[128:132].tolist()
    [0, 8, 16, 24]
    """
    places = 0 if source.bits == 8 else LOW_BITS
    stored = source.min_int + (np.arange(table_length(source), dtype=np.int64) << places)
    with np.errstate(all="ignore"):
        return output.quantize(np.asarray(function(stored * source.step), np.float64))


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """A fixed input and a table of the output's format; or, in memory only, a FLOAT32 input and a function."""
    x, table = SPEC.tensor(model, operator, "input"), SPEC.optional(model, operator, "table")
    output = model.output(operator).format
    if operator.function is not None:
        if not x.format.is_float or table is not None:
            yield f"with a function, the input must be FLOAT32 and without a table. Received: {x.format}"
    elif not x.format.is_fixed or table is None:
        yield f"the input must be fixed, with a table: a file holds no function. Received: {x.format}"
    elif table.format != output:
        yield f"the table must have the output's format, {output}. Received: {table.format}"
    elif table.shape != (table_length(x.format),):
        yield f"the table for {x.format} must have shape ({table_length(x.format)},). Received: {table.shape}"


def is_integer(model: Model, operator: Operator) -> bool:
    """Whether there is a table."""
    return operator.function is None and not SPEC.tensor(model, operator, "input").format.is_float


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|y|; between knots their difference by the low bits, which takes 8 bits more, the half included."""
    source, output = SPEC.tensor(model, operator, "input").format, model.output(operator).format
    return Bounds(output.largest_magnitude << (0 if source.bits == 8 else LOW_BITS + 1))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored values to the stored values of the function."""
    x, table = SPEC.tensor(model, operator, "input"), SPEC.optional(model, operator, "table")
    output, function = model.output(operator).format, operator.function
    if function is not None:

        def run_float(values: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                return float_path.store(np.asarray(function(values), np.float32), output, operator)

        return run_float

    assert table is not None
    assert table.data is not None
    entries, first = table.data.astype(np.int32), x.format.min_int
    if x.format.bits == 8:
        limited = clamped(table.data, operator)
        return lambda stored: limited[stored.astype(np.int16) - first]

    def run(stored: np.ndarray) -> np.ndarray:
        places = stored.astype(np.int32) - first
        knots, low = places >> LOW_BITS, places & ((1 << LOW_BITS) - 1)
        below = entries[knots]
        between = ((entries[knots + 1] - below) * low + (1 << (LOW_BITS - 1))) >> LOW_BITS
        return clamped((below + between).astype(output.dtype), operator)

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.LOOKUP,
    operands=(Operand("input", overlap=Overlap.ELEMENT_WISE), Operand("table", TABLES, constant=True, or_function=True)),
    output_shape=input_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=("function",),
    limits={"entries_8": 256, "entries_16": 513},  # of the table, by the bits of the input
    since=2,
    is_integer=is_integer,
)
