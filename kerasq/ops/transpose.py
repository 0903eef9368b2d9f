"""TRANSPOSE: two neighbouring axes change places.

With x seen as (A, B, C, D), `window` = (B, C) and `groups` = D: y[a, c, b, d] = x[a, b, c, d]. The output may have any shape of
as many elements, so that this one operator is, alone or twice, every permutation of axes, and also depth to space: blocks of r by
s pixels out of the channels of an image of width W are B, C, D = W, r, s · channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import moved
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand
from kerasq.ops.reshape import output_shape
from kerasq.ops.spec import OperatorSpec


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Same format; sizes that divide the input."""
    x = SPEC.tensor(model, operator, "input")
    yield from moved.same_format(x, model.output(operator))
    elements = math.prod(x.shape)
    sizes = (*operator.window, operator.groups)
    if min(sizes) < 1 or elements % math.prod(sizes):
        yield (
            f"window and groups, the sizes of the last three axes, must be at least 1 and divide the {elements} elements of the "
            f"input. Received: window={operator.window}, groups={operator.groups}"
        )


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|x|: values are only moved."""
    return moved.bounds(SPEC.tensor(model, operator, "input"))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, ...) to the moved values in the output's shape."""
    shape, sizes = model.output(operator).shape[1:], (*operator.window, operator.groups)

    def run(x: np.ndarray) -> np.ndarray:
        y = x.reshape(-1, *sizes).swapaxes(1, 2)
        return moved.clamped(y.reshape(len(x), *shape), operator)

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.TRANSPOSE,
    operands=(Operand("input"),),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=("window", "groups"),
    since=2,
    any_shape=True,
)
