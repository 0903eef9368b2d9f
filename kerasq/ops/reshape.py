"""RESHAPE: the same stored values in another shape (and, with a clamp, limited)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import moved
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import OperatorSpec, Shape


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """The flat shape (1, elements)."""
    return (shapes[0][0], math.prod(shapes[0][1:]))


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Same format."""
    return moved.same_format(SPEC.tensor(model, operator, "input"), model.output(operator))


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|x|: values are only moved."""
    return moved.bounds(SPEC.tensor(model, operator, "input"))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, ...) to the same values in the output's shape."""
    shape = model.output(operator).shape[1:]

    def run(x: np.ndarray) -> np.ndarray:
        return moved.clamped(x.reshape(len(x), *shape), operator)

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.RESHAPE,
    operands=(Operand("input", overlap=Overlap.ELEMENT_WISE, in_place_since=1),),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    any_shape=True,
)
