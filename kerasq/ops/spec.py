"""A row of the operator table: all that is known of one kind of operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import checks
from kerasq.ops.bounds import Bounds
from kerasq.ops.slots import Slot
from kerasq.qformat import Kind

Shape = tuple[int, ...]


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

    def given(self, operator: Operator) -> Iterator[tuple[Slot, int]]:
        """The slots of the inputs that the operator lists, each with the index that it lists."""
        return zip(self.slots, operator.inputs, strict=False)

    def problems(self, model: Model, operator: Operator) -> Iterator[str]:
        """Everything that keeps the operator from running in bounds and exactly, one message each; none if all is well.

        Never raises and never allocates more than the constants themselves take (as int64), whatever the operator
        holds, as long as its indices are in range and its constants have the sizes that their shapes say.
        """
        return checks.problems(self, model, operator)
