"""The straight-through estimator: the value of one tensor, the gradient of another.

`straight_through(q, x)` is `stop_gradient(q) + (x - stop_gradient(x))`. Its value is q to the last bit, because x - x is 0
for every finite x; its gradient with respect to x is 1. The form in common use, `x + stop_gradient(q - x)`, is not exact:
q - x rounds, and adding x rounds again.

An infinite x gives NaN (inf - inf) unless it is masked; NaN stays NaN, so that a diverged weight is seen.
"""

from __future__ import annotations

from typing import Any

from keras import ops

IDENTITY = "identity"
FINE_GRAINED = "fine_grained"
MAGNITUDE_AWARE = "magnitude_aware"
STRAIGHT_THROUGH = (FINE_GRAINED, IDENTITY)
WITH_ALPHA = (*STRAIGHT_THROUGH, MAGNITUDE_AWARE)  # of quantizers whose values are signs times a factor of the channel


def straight_through(quantized: Any, inputs: Any, outside: Any = None) -> Any:
    """A tensor equal to `quantized` whose gradient goes to `inputs`.

    Args:
        quantized: The forward value; no gradient goes into it.
        inputs: The tensor that gets the gradient; same shape and dtype.
        outside: Boolean tensor, true where the gradient is to be 0; `None`: it passes everywhere. (A mask rather than the
            gradient of `ops.clip`, which at the ends of the range is 1 in TensorFlow and 1/2 in JAX.)
    """
    carrier = inputs if outside is None else ops.where(outside, 0.0, inputs)
    return ops.stop_gradient(quantized) + (carrier - ops.stop_gradient(carrier))


def straight_through_problems(value: Any, choices: tuple[str, ...] = STRAIGHT_THROUGH) -> list[str]:
    """What is wrong with an argument `straight_through`: an empty list, or one sentence."""
    if isinstance(value, str) and value in choices:
        return []
    return [f"`straight_through` must be one of {', '.join(map(repr, choices))}. Received: straight_through={value!r}"]
