"""A row of the operator table: all that is known of one kind of operator."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.ops import checks
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand
from kerasq.qformat import Kind

Shape = tuple[int, ...]


def no_macs(model: Model, operator: Operator) -> int:
    """Multiply-accumulates of an operator without weights: none are counted."""
    return 0


def no_rules(model: Model, operator: Operator) -> Iterator[str]:
    """Of an operator without rules of its own."""
    return iter(())


def input_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """The first input's shape."""
    return shapes[0]


def fixed_inputs(model: Model, operator: Operator) -> bool:
    """Whether every input present, constants included, is FIXED, UFIXED or SIGN."""
    return all(tensor.format.kind is not Kind.FLOAT for tensor in model.operands(operator) if tensor is not None)


def own_window(model: Model, operator: Operator) -> tuple[int, int]:
    """The attribute."""
    return operator.window


@dataclasses.dataclass(frozen=True)
class OperatorSpec:
    """One row of the operator table: all that any part of kerasq knows of a kind without being that kind's own code.

    Converter, verifier, memory plan, reference engine, commands and the C header (kerasq/ops/c_header.py) ask the row; none of
    them names a kind. What the row holds as data is data of the C runtime, too; shape rule, rules, bounds and what the operator
    computes are written once more there, so that each checks the other.

    Attributes:
        kind: The operator.
        operands: Its inputs, in the order in which an operator lists them.
        output_shape: Shape of the output, from the operator and the shapes of its inputs (`()` where absent). Plain
            arithmetic: sizes below 1 say that a window is larger than its padded input. RESHAPE gives the flat shape;
            any shape of as many elements is right as well.
        bounds: Magnitudes of an *integer* operator that has no problems but, possibly, in its widths.
        prepare: Callable on the activations among the inputs, each an array of stored values with any batch size,
            that returns the stored output. Calls share no state, so that several threads may call it at once. Only
            for an operator without problems: from here on nothing is checked.
        rules: Problems particular to the kind; `kerasq.ops.checks` adds those that all kinds share. May assume that
            the inputs fit `operands` and have sane shapes, nothing else.
        attributes: Names of the attributes that the kind uses beside the clamp and the accumulator's width, which all use. All
            others must have their default.
        limits: Numbers of the rules, by name.
        since: Version of the file format that the kind came with.
        macs: Multiply-accumulates for one example, absent taps included.
        is_integer: Whether the operator computes in integers (NUMERICS.md section 3).
        any_shape: Whether the output may have any shape of as many elements as `output_shape` has.
        float_tolerance: By how much of their largest magnitude results that are computed in float may differ from engine to
            engine, as they sum in another order or call another exp. 0 where one exact result is rounded once: all are equal.
        window: Height and width of the window that the operator slides, (0, 0) where it has none.
    """

    kind: OperatorKind
    operands: tuple[Operand, ...]
    output_shape: Callable[[Operator, Sequence[Shape]], Shape]
    bounds: Callable[[Model, Operator], Bounds]
    prepare: Callable[[Model, Operator], Callable[..., np.ndarray]]
    rules: Callable[[Model, Operator], Iterator[str]] = no_rules
    attributes: tuple[str, ...] = ()
    limits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    since: int = 1
    macs: Callable[[Model, Operator], int] = no_macs
    is_integer: Callable[[Model, Operator], bool] = fixed_inputs
    any_shape: bool = False
    float_tolerance: float = 0.0
    window: Callable[[Model, Operator], tuple[int, int]] = own_window

    def __post_init__(self) -> None:
        assert set(self.attributes) <= set(checks.ATTRIBUTES), f"{self.kind}: {self.attributes}"
        assert len({operand.name for operand in self.operands}) == len(self.operands), f"{self.kind}: {self.operands}"

    def listed(self, operator: Operator) -> Iterator[tuple[Operand, int]]:
        """The operands that the operator lists, each with the index that it lists."""
        return zip(self.operands, operator.inputs, strict=False)

    @property
    def slots(self) -> tuple[Operand, ...]:
        """The operands, by their name in version 0.1.0."""
        return self.operands

    given = listed  # its name in version 0.1.0

    @functools.cached_property
    def _positions(self) -> dict[str, int]:
        return {operand.name: position for position, operand in enumerate(self.operands)}

    def has(self, name: str) -> bool:
        """Whether the kind has an operand of this name."""
        return name in self._positions

    def position(self, name: str) -> int:
        """Where an operator lists the operand.

        Raises:
            KeyError: The kind has no such operand.
        """
        try:
            return self._positions[name]
        except KeyError:
            raise KeyError(f"{self.kind} has no operand {name!r}, but {', '.join(self._positions)}") from None

    def index(self, operator: Operator, name: str) -> int:
        """Index of the tensor that is an operator's operand; `ABSENT` where it does without.

        Raises:
            KeyError: The kind has no such operand.
        """
        position = self.position(name)
        return operator.inputs[position] if position < len(operator.inputs) else ABSENT

    def first(self, operator: Operator) -> int:
        """Index of the tensor that is an operator's first operand, which every one has: `zero` is of it."""
        return self.index(operator, self.operands[0].name)

    def optional(self, model: Model, operator: Operator, name: str) -> Tensor | None:
        """The tensor that is an operator's operand; `None` where it does without."""
        index = self.index(operator, name)
        return None if index == ABSENT else model.tensors[index]

    def tensor(self, model: Model, operator: Operator, name: str) -> Tensor:
        """The tensor that is an operand which every operator of the kind has."""
        tensor = self.optional(model, operator, name)
        assert tensor is not None, f"{self.kind}: the {name} is absent"
        return tensor

    def inputs(self, operands: Mapping[str, int]) -> tuple[int, ...]:
        """What an operator with these operands lists as its inputs: `ABSENT` for those left out, no trailing ones that are.

        Raises:
            KeyError: The kind has no such operand.
        """
        places = {self.position(name): index for name, index in operands.items()}
        needed = sum(not operand.trailing for operand in self.operands)
        return tuple(places.get(place, ABSENT) for place in range(max(needed, *(place + 1 for place in places))))

    def problems(self, model: Model, operator: Operator) -> Iterator[str]:
        """Everything that keeps the operator from running in bounds and exactly, one message each; none if all is well.

        Never raises and never allocates more than the constants themselves take (as int64), whatever the operator
        holds, as long as its indices are in range and its constants have the sizes that their shapes say.
        """
        return checks.problems(self, model, operator)
