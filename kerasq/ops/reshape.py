"""RESHAPE: the same stored values in another shape (and, with a clamp, limited)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops.bounds import Bounds
from kerasq.ops.slots import Slot
from kerasq.ops.spec import OperatorSpec, Shape


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """The flat shape (1, elements)."""
    return (shapes[0][0], math.prod(shapes[0][1:]))


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Same format."""
    return same_format(model, operator)


def same_format(model: Model, operator: Operator) -> Iterator[str]:
    """The rule of operators that move values unchanged."""
    source, output = model.tensors[operator.inputs[0]].format, model.output(operator).format
    if source != output:
        yield f"the output must have the input's format, {source}. Received: {output}"


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|x|: values are only moved."""
    source = model.tensors[operator.inputs[0]].format
    return Bounds(max(-source.min_int, source.max_int))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, ...) to the same values in the output's shape."""
    shape = model.output(operator).shape[1:]

    def run(x: np.ndarray) -> np.ndarray:
        return clamped(x.reshape(len(x), *shape), operator)

    return run


def clamped(stored: np.ndarray, operator: Operator) -> np.ndarray:
    """Stored values limited by the operator's clamp."""
    if operator.clamp is None:
        return stored
    low, high = operator.clamp
    return np.clip(stored, stored.dtype.type(low), stored.dtype.type(high))


SPEC = OperatorSpec(
    kind=OperatorKind.RESHAPE,
    slots=(Slot("input"),),
    output_shape=output_shape,
    rules=rules,
    bounds=bounds,
    prepare=prepare,
    any_shape=True,
)
