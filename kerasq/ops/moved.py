"""What operators share that move or pick stored values and leave them as they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq.format.model import Operator, Tensor
from kerasq.ops.bounds import Bounds


def same_format(x: Tensor, output: Tensor) -> Iterator[str]:
    """The rule that both have one format."""
    if x.format != output.format:
        yield f"the output must have the input's format, {x.format}. Received: {output.format}"


def bounds(x: Tensor) -> Bounds:
    """max|x|: nothing is computed."""
    return Bounds(x.format.largest_magnitude)


def clamped(stored: np.ndarray, operator: Operator) -> np.ndarray:
    """Stored values limited by the operator's clamp."""
    if operator.clamp is None:
        return stored
    low, high = operator.clamp
    return np.clip(stored, stored.dtype.type(low), stored.dtype.type(high))
