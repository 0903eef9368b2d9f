"""What the operator table knows of one operator: the shape of a row, and the bounds of the accumulator proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.qformat import Kind

Shape = tuple[int, ...]

# Formats that an activation may have, and those of the constants of a weighted operator.
ACTIVATIONS = ("FLOAT32", "FIXED8", "FIXED16", "UFIXED8", "UFIXED16")
KERNELS = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "SIGN")
VECTORS = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "FIXED32")


@dataclasses.dataclass(frozen=True)
class Slot:
    """One input of an operator.

    Attributes:
        name: What the input is called in messages.
        families: Formats it may have, without their fractional bits.
        constant: Whether it is a constant; otherwise it is an activation.
        optional: Whether it may be `ABSENT`.
    """

    name: str
    families: tuple[str, ...] = ACTIVATIONS
    constant: bool = False
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Largest magnitudes that an integer operator can reach, exactly, over all channels and all inputs of its format.

    Attributes:
        accumulator: A of NUMERICS.md: no partial sum is larger, in whatever order it is formed.
        total: T: the same after the multiplier, the bias and the rounding half. `None` where an operator has no such
            second stage; then the rounding half is in `accumulator`.
    """

    accumulator: int
    total: int | None = None

    @property
    def largest(self) -> int:
        """The larger of the two."""
        return max(self.accumulator, self.total or 0)


def width(bound: int) -> int | None:
    """Bits of the narrowest accumulator, 32 or 64, that holds magnitudes up to `bound`; `None` where neither does."""
    if bound < 1 << 31:
        return 32
    return 64 if bound < 1 << 63 else None


def no_macs(model: Model, operator: Operator) -> int:
    """Multiply-accumulates of an operator without weights: none are counted."""
    return 0


def fixed_inputs(model: Model, operator: Operator) -> bool:
    """Whether every input present, constants included, is FIXED, UFIXED or SIGN."""
    return all(tensor.format.kind is not Kind.FLOAT for tensor in model.operands(operator) if tensor is not None)


@dataclasses.dataclass(frozen=True)
class OperatorSpec:
    """One row of the operator table: all that the converter, the verifier and the reference engine know of a kind.

    Attributes:
        kind: The operator.
        slots: Its inputs, in order.
        output_shape: Shape of the output, from the operator and the shapes of its inputs (`()` where absent). Plain
            arithmetic: sizes below 1 say that a window is larger than its padded input. RESHAPE gives the flat shape;
            any shape of as many elements is right as well.
        rules: Problems particular to the kind; `kerasq.ops.checks` adds those that all kinds share. May assume that
            the inputs fit `slots` and have sane shapes, nothing else.
        bounds: Magnitudes of an *integer* operator that has no problems but, possibly, in its widths.
        prepare: Callable on the activations among the inputs, each an array of stored values with any batch size,
            that returns the stored output. Calls share no state, so that several threads may call it at once. Only
            for an operator without problems: from here on nothing is checked.
        macs: Multiply-accumulates for one example, absent taps included.
        is_integer: Whether the operator computes in integers (NUMERICS.md section 3).
        any_shape: Whether the output may have any shape of as many elements as `output_shape` has.
    """

    kind: OperatorKind
    slots: tuple[Slot, ...]
    output_shape: Callable[[Operator, Sequence[Shape]], Shape]
    rules: Callable[[Model, Operator], Iterator[str]]
    bounds: Callable[[Model, Operator], Bounds]
    prepare: Callable[[Model, Operator], Callable[..., np.ndarray]]
    macs: Callable[[Model, Operator], int] = no_macs
    is_integer: Callable[[Model, Operator], bool] = fixed_inputs
    any_shape: bool = False

    def problems(self, model: Model, operator: Operator) -> Iterator[str]:
        """Everything that keeps the operator from running in bounds and exactly, one message each; none if all is well.

        Never raises and never allocates more than the constants themselves take (as int64), whatever the operator
        holds, as long as its indices are in range and its constants have the sizes that their shapes say.
        """
        from kerasq.ops import checks

        return checks.problems(self, model, operator)
