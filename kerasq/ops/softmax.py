"""SOFTMAX over the last axis: in integers with a table of exponentials, else in float.

With d = max - x >= 0 the exponential exp(-d * 2**-n_x) is a table entry for an 8-bit input; for 16 bits it is the product of two,
exp of the high and of the low byte of d. Entries have 15 fractional bits. Source: NUMERICS.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.families import EXPONENTIALS
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.requantization import limits
from kerasq.ops.spec import OperatorSpec, input_shape
from kerasq.qformat import QFormat, fixed

TABLE_FORMAT = fixed(16, 15, signed=False)


def table_length(source: QFormat) -> int:
    """Entries of the table for inputs of this format."""
    return SPEC.limits["entries_8" if source.bits == 8 else "entries_16"]


def exponentials(source: QFormat) -> np.ndarray:
    """The table for inputs of this format: uint16 values of `TABLE_FORMAT`, as the converter stores them.

    Args:
        source: A FIXED or UFIXED format of 8 or 16 bits.

    Example:

    >>> exponentials(fixed(8, 4))[:3].tolist()
    [32768, 30783, 28918]
    """
    steps = np.arange(256) * source.step
    table = np.exp(-steps) if source.bits == 8 else np.exp(np.concatenate([-256 * steps, -steps]))
    return TABLE_FORMAT.quantize(table)


def is_integer(model: Model, operator: Operator) -> bool:
    """Whether there is a table: without one the operator computes in float, whatever the input."""
    return SPEC.optional(model, operator, "table") is not None


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """The last axis; and where there is a table: fixed formats, number of classes, the table itself."""
    x, table = SPEC.tensor(model, operator, "input"), SPEC.optional(model, operator, "table")
    output, most = model.output(operator).format, SPEC.limits
    if len(x.shape) < 2:
        yield f"the input must have an axis after the batch axis. Received: shape={x.shape}"
    if table is None:
        return
    if not x.format.is_fixed or not output.is_fixed:
        yield f"with a table, input and output must be fixed. Received: {x.format} and {output}"
        return
    if x.shape[-1] > most["max_classes"]:
        yield f"with a table there are at most {most['max_classes']} classes. Received: shape={x.shape}"
    if not 0 <= (output.frac_bits or 0) <= most["max_frac_bits"]:
        yield f"with a table the output must have 0 to {most['max_frac_bits']} fractional bits. Received: {output}"
    yield from _table_rules(x.format, table.format, table.data)


def _table_rules(source: QFormat, table: QFormat, entries: np.ndarray | None) -> Iterator[str]:
    length, one = table_length(source), SPEC.limits["one"]
    if table != TABLE_FORMAT:
        yield f"the table must be {TABLE_FORMAT}. Received: {table}"
    elif entries is None or entries.shape != (length,):
        yield f"the table for {source} must have shape ({length},). Received: {None if entries is None else entries.shape}"
    elif entries.max() > one or (entries[::256] != one).any():
        # exp(0) = 1 keeps the sum of exponentials, a divisor, above 0; 1 as the largest keeps it within 32 bits.
        yield f"the table's entries must not exceed {one}; each run of 256 must begin with it, exp(0) = 1"


def bounds(model: Model, operator: Operator) -> Bounds:
    """e * 2**(n_y+1) + 2 S: covers numerator and denominator."""
    classes, one = SPEC.tensor(model, operator, "input").shape[-1], SPEC.limits["one"]
    return Bounds((one << ((model.output(operator).format.frac_bits or 0) + 1)) + 2 * one * classes)


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored scores to stored probabilities."""
    x, table = SPEC.tensor(model, operator, "input"), SPEC.optional(model, operator, "table")
    source, output = x.format, model.output(operator).format
    if table is None or table.data is None:
        return lambda scores: float_path.store(_float_softmax(float_path.values(source, scores)), output, operator)
    entries = table.data.astype(np.int64)
    low, high = limits(output, operator)

    def run(scores: np.ndarray) -> np.ndarray:
        distances = scores.max(axis=-1, keepdims=True).astype(np.int64) - scores
        if source.bits == 8:
            powers = entries[distances]
        else:
            powers = (entries[distances >> 8] * entries[256 + (distances & 255)] + (1 << 14)) >> 15
        total = powers.sum(axis=-1, keepdims=True)
        rounded = ((powers << ((output.frac_bits or 0) + 1)) + total) // (2 * total)
        return np.clip(rounded, low, high).astype(output.dtype)

    return run


def _float_softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


SPEC = OperatorSpec(
    kind=OperatorKind.SOFTMAX,
    operands=(
        Operand("input", overlap=Overlap.ELEMENT_WISE),
        Operand("table", EXPONENTIALS, constant=True, optional=True),
    ),
    output_shape=input_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    limits={
        "max_classes": 1 << 16,  # their exponentials, each at most one, sum up within 32 bits
        "max_frac_bits": 16,  # of the output
        "one": 1 << 15,  # exp(0) in the table
        "entries_8": 256,  # of the table, by the bits of the input
        "entries_16": 512,
    },
    is_integer=is_integer,
    float_tolerance=1e-5,  # from exp to exp
)
