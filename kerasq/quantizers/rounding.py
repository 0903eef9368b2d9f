"""Rounding as the runtime rounds, and the channels of a kernel: what several quantizers share."""

from __future__ import annotations

from typing import Any

from keras import ops


def round_half_up(v: Any) -> Any:
    """`floor(v + 1/2)` on real numbers: v + 0.5 itself would round v = 0.49999997 to 1 in float32."""
    whole = ops.floor(v)
    return whole + ops.cast(v - whole >= 0.5, v.dtype)


def all_but_channels(weights: Any) -> tuple[int, ...]:
    """The axes of the weights of one output channel: all but the last."""
    return tuple(range(len(weights.shape) - 1))


def divided(numerator: Any, denominator: Any) -> Any:
    """The quotient, and 0 where the denominator is 0."""
    return ops.where(denominator == 0, 0.0, numerator / ops.where(denominator == 0, 1.0, denominator))


def rounded_between(x: Any, low: Any, high: Any, scale: Any, step: Any) -> Any:
    """`x`, limited to [low, high] and rounded to the multiples of `step`; `scale` is 1 / `step`, both powers of two.

    The converter knows this sequence of operations (frontend/quantizer_pattern.py).
    """
    return round_half_up(ops.clip(x, low, high) * scale) * step
