"""MAX_POOL_2D: the largest of the valid taps of each window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import moved, pooling
from kerasq.ops.bounds import Bounds
from kerasq.ops.spec import OperatorSpec
from kerasq.ops.windows import Window


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Window and equal formats."""
    x = SPEC.tensor(model, operator, "input")
    yield from pooling.rules(operator, x)
    yield from moved.same_format(x, model.output(operator))


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|x|: values are only picked."""
    return moved.bounds(SPEC.tensor(model, operator, "input"))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, height, width, channels) to the largest stored values."""
    source, window = model.output(operator).format, Window.of(operator, operator.window)
    lowest = -math.inf if source.is_float else source.min_int

    def run(x: np.ndarray) -> np.ndarray:
        return moved.clamped(pooling.slide(x, window, np.maximum, lowest, source.dtype), operator)

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.MAX_POOL_2D,
    operands=(pooling.INPUT,),
    output_shape=pooling.output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=pooling.ATTRIBUTES,
)
