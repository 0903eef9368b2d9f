"""FollowingFixedPoint: fixed point whose position follows the data, by a moving average that every training step updates.

With b = `bits` and the state s, one number that no optimizer moves:

    criterion="max"    s <- momentum · s + (1 - momentum) · max |x|       the range ends at 2^e, e = ceil(log2 s)
    criterion="mse"    s <- momentum · s + (1 - momentum) · e(x)          e = floor(s + 1/2), e(x) of the least squared error
    n = b - 1 - e                                                        fractional bits; b - e without a sign

The values and gradients at any moment are those of `FixedPoint(b, n)`. Inference, and the file, use the last s.

References:
    Jacob et al.: Quantization and Training of Neural Networks (moving averages), [arXiv:1712.05877](https://arxiv.org/abs/1712.05877)
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from kerasq.quantizers.base import choice_problems, is_number
from kerasq.quantizers.learned_fixed_point import LearnedFixedPoint, least_squares_exponent
from kerasq.quantizers.powers import limited_exponent, range_exponent
from kerasq.quantizers.scaled_fixed_point import MAX, MSE
from kerasq.quantizers.stateful import State


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class FollowingFixedPoint(LearnedFixedPoint):
    """Fixed point at a position that a moving average of the data tells.

    Attributes:
        bits, signed, frac_bits, straight_through: As those of `LearnedFixedPoint`.
        criterion: What is averaged: `"max"`, the largest magnitudes, or `"mse"`, the positions of the least squared error.
        momentum: Part of the average that a step keeps, in [0, 1).

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> quantizer = FollowingFixedPoint(bits=8, criterion="max", momentum=0.9)
    >>> state = quantizer.next_state(keras.ops.array([-9.0, 0.03]), {"average": keras.ops.array(5.0)})
    >>> str(quantizer.at(state).spec())
    'FIXED8_4'
    """

    trains_state: ClassVar[bool] = False

    criterion: str = MSE
    momentum: float = 0.99

    def problems(self) -> list[str]:
        value = self.momentum
        problems = super().problems() + choice_problems("criterion", self.criterion, (MAX, MSE))
        if not (is_number(value) and 0 <= value < 1):
            problems.append(f"`momentum` must be a number in [0, 1). Received: momentum={value!r}")
        return problems

    def state_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"average": ()}

    def initial_state(self, x: Any) -> State:
        if self.frac_bits is None:
            return {"average": self._seen(x)}
        exponent = float(self.magnitude_bits - self.frac_bits)
        return {"average": ops.full((), 2.0**exponent if self.criterion == MAX else exponent, dtype=x.dtype)}

    def next_state(self, x: Any, state: State) -> State:
        seen = ops.cast(self._seen(ops.cast(x, "float32")), state["average"].dtype)
        return {"average": state["average"] * self.momentum + seen * (1 - self.momentum)}

    def gradient_carrier(self, x: Any, state: State) -> Any:
        return 0.0

    def _seen(self, x: Any) -> Any:
        return ops.max(ops.abs(x)) if self.criterion == MAX else least_squares_exponent(x, self)

    def _end(self, state: State) -> Any:
        average = state["average"]
        exponent = range_exponent(average) if self.criterion == MAX else ops.floor(average + 0.5)
        return limited_exponent(exponent, self.magnitude_bits)
