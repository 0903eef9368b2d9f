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
from kerasq.ops.reshape import bounds, clamped, output_shape, same_format
from kerasq.ops.slots import Slot
from kerasq.ops.spec import OperatorSpec


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Same format; sizes that divide the input."""
    yield from same_format(model, operator)
    elements = math.prod(model.tensors[operator.inputs[0]].shape)
    sizes = (*operator.window, operator.groups)
    if min(sizes) < 1 or elements % math.prod(sizes):
        yield (
            f"window and groups, the sizes of the last three axes, must be at least 1 and divide the {elements} elements of the "
            f"input. Received: window={operator.window}, groups={operator.groups}"
        )


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, ...) to the moved values in the output's shape."""
    shape, sizes = model.output(operator).shape[1:], (*operator.window, operator.groups)

    def run(x: np.ndarray) -> np.ndarray:
        moved = x.reshape(-1, *sizes).swapaxes(1, 2)
        return clamped(moved.reshape(len(x), *shape), operator)

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.TRANSPOSE,
    slots=(Slot("input"),),
    output_shape=output_shape,
    rules=rules,
    bounds=bounds,
    prepare=prepare,
    any_shape=True,
)
