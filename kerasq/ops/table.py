"""The table of operators, and what is asked of an operator without knowing its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.ops import (
    add,
    argmax,
    average_pool,
    concat,
    convolution,
    dense,
    gather,
    lookup,
    max_pool,
    mul,
    normalize,
    quantize,
    reshape,
    softmax,
    transpose,
)
from kerasq.ops.bounds import Bounds, width
from kerasq.ops.spec import OperatorSpec, Shape

TABLE: dict[OperatorKind, OperatorSpec] = {
    spec.kind: spec
    for spec in (
        convolution.SPEC,
        dense.SPEC,
        add.SPEC,
        max_pool.SPEC,
        average_pool.SPEC,
        reshape.SPEC,
        softmax.SPEC,
        quantize.SPEC,
        mul.SPEC,
        concat.SPEC,
        transpose.SPEC,
        lookup.SPEC,
        argmax.SPEC,
        gather.SPEC,
        normalize.SPEC,
    )
}


def operand_index(operator: Operator, name: str) -> int:
    """Index of the tensor that is the operand of this name; `ABSENT` where the operator, or its kind, does without.

    Raises:
        KeyError: No kind has such an operand.
    """
    spec = TABLE[operator.kind]
    if spec.has(name):
        return spec.index(operator, name)
    if any(other.has(name) for other in TABLE.values()):
        return ABSENT
    raise KeyError(f"no kind of operator has an operand {name!r}")


def operand(model: Model, operator: Operator, name: str) -> Tensor | None:
    """The tensor that is the operand of this name; `None` where the operator, or its kind, does without.

    Raises:
        KeyError: No kind has such an operand.
    """
    index = operand_index(operator, name)
    return None if index == ABSENT else model.tensors[index]


def make(kind: OperatorKind, operands: Mapping[str, int], output: int, **attributes: Any) -> Operator:
    """An operator from its operands by name.

    Args:
        kind: What it computes.
        operands: The index of each tensor that it reads; what is left out is `ABSENT`.
        output: Index of the tensor that it writes.
        attributes: Fields of `Operator`.

    Raises:
        KeyError: The kind has no such operand.

    Example:

    >>> make(OperatorKind.CONV_2D, {"input": 0, "kernel": 1, "addend": 2}, 3).inputs
    (0, 1, -1, -1, 2)
    """
    return Operator(kind, TABLE[kind].inputs(operands), (output,), **attributes)


def problems(model: Model, operator: Operator) -> Iterator[str]:
    """Everything that keeps `operator` from running in bounds and exactly; see `OperatorSpec.problems`."""
    return TABLE[operator.kind].problems(model, operator)


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """Shape of the output from the shapes of the inputs, `()` for an absent one; see `OperatorSpec`."""
    return TABLE[operator.kind].output_shape(operator, shapes)


def is_integer(model: Model, operator: Operator) -> bool:
    """Whether `operator` computes in integers: every input it has is FIXED, UFIXED or SIGN (SOFTMAX: it has a table)."""
    return TABLE[operator.kind].is_integer(model, operator)


def bounds(model: Model, operator: Operator) -> Bounds | None:
    """The exact bounds of the accumulator proof; `None` for an operator that computes in float."""
    spec = TABLE[operator.kind]
    return spec.bounds(model, operator) if spec.is_integer(model, operator) else None


def with_widths(model: Model, operator: Operator) -> Operator:
    """`operator` with the narrowest `accumulator_bits` and `total_bits` that the accumulator proof allows.

    Raises:
        OverflowError: Intermediate results may exceed 64 bits; the message names the operator by its output.
    """
    proven = bounds(model, operator)
    if proven is None:
        return operator.replace(accumulator_bits=0, total_bits=0)
    accumulator, total = width(proven.accumulator), 0 if proven.total is None else width(proven.total)
    if accumulator is None or total is None:
        raise OverflowError(
            f"{operator.kind} {model.output(operator).name!r}: intermediate results reach {proven.largest}, beyond 2**63 - 1; "
            "choose formats with fewer bits or closer fractional bits"
        )
    return operator.replace(accumulator_bits=accumulator, total_bits=total)


def macs(model: Model, operator: Operator) -> int:
    """Multiply-accumulates for one example, absent taps included; 0 for operators without weights."""
    return TABLE[operator.kind].macs(model, operator)


def prepare(model: Model, operator: Operator) -> Callable[..., np.ndarray]:
    """A callable on batches of stored values for an operator without problems; see `OperatorSpec`."""
    return TABLE[operator.kind].prepare(model, operator)
