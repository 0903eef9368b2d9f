"""The sign of a weight, with a say in what becomes of an exact zero: shared by the binary quantizers."""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasq.quantizers.base import is_number

ZERO_CHOICES = (1, -1, 0)


def sign(weights: Any, quantize_zero_to: float) -> Any:
    """+1 for positive weights, -1 for negative ones, `quantize_zero_to` for 0 and -0. Same shape and dtype."""
    negative_or_zero = ops.where(weights < 0, -1.0, float(quantize_zero_to))
    return ops.cast(ops.where(weights > 0, 1.0, negative_or_zero), weights.dtype)


def zero_problems(value: Any) -> list[str]:
    """What is wrong with an argument `quantize_zero_to`: an empty list, or one sentence."""
    if is_number(value) and value in ZERO_CHOICES:
        return []
    return [f"`quantize_zero_to` must be 1, -1 or 0. Received: quantize_zero_to={value!r}"]
