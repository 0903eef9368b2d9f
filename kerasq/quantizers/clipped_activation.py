"""ClippedActivation: activations between 0 and a limit that is trained (PACT), on the power-of-two grid of a file.

With b = `bits` and the trained limit a > 0:

    e = ceil(log2 a),  n = b - e                     the grid is that of UFIXED{b}_{n}
    q(x) = 2^-n · min(floor(clip(x, 0, a) · 2^n + 1/2), m),  m = min(floor(a · 2^n + 1/2), 2^b - 1)

    dq/dx = 1 where 0 <= x < a, else 0               straight_through="fine_grained"
    dq/da = 1 where x >= a, else 0

In the paper a is divided into 2^b - 1 steps; here the step is the power of two below, and a becomes a clamp, which costs a file
nothing. The paper adds a penalty on a to the loss: give the layer a `state_regularizer`, `keras.regularizers.L2(1e-4)`, say.

References:
    Choi et al.: PACT, [arXiv:1805.06085](https://arxiv.org/abs/1805.06085)
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from kerasq.quantizers.base import Quantizer, integer_problems, is_number
from kerasq.quantizers.fixed_point import MIN_BITS, FixedPoint
from kerasq.quantizers.powers import frac_bits_of, limited_exponent, power_of_two, range_exponent
from kerasq.quantizers.rounding import round_half_up, rounded_between
from kerasq.quantizers.stateful import State, StatefulQuantizer
from kerasq.quantizers.straight_through import FINE_GRAINED

_LEAST = 2.0**-16  # of a limit that training has moved to 0 or below


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class ClippedActivation(StatefulQuantizer):
    """Clips at 0 and at a limit that is trained, and rounds to the power-of-two grid that the limit asks for.

    Attributes:
        bits: Width of the stored integer, 2..16.
        limit: The limit to begin with; `None`: the largest of the first values.
        straight_through: `"fine_grained"`: gradient to the values between the limits; `"identity"`: everywhere.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> quantizer = ClippedActivation(bits=8, limit=6.0)
    >>> quantizer(keras.ops.array([-1.0, 0.04, 5.99, 7.0])).numpy()
    array([0.     , 0.03125, 6.     , 6.     ], dtype=float32)
    >>> str(quantizer.at({"limit": 6.0}).spec())
    'UFIXED8_5'
    """

    bits: int = 8
    limit: float | None = None
    straight_through: str = FINE_GRAINED

    def problems(self) -> list[str]:
        value = self.limit
        problems = integer_problems("bits", self.bits, MIN_BITS, 16)
        if value is not None and not (is_number(value) and 0 < value < float("inf")):
            problems.append(f"`limit` must be a positive number or None. Received: limit={value!r}")
        return problems

    def state_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"limit": ()}

    def initial_state(self, x: Any) -> State:
        if self.limit is not None:
            return {"limit": ops.full((), float(self.limit), dtype=x.dtype)}
        largest = ops.max(x)
        return {"limit": ops.where(largest > _LEAST, largest, ops.ones_like(largest))}

    def at(self, state: State) -> Quantizer:
        """The `FixedPoint` on the same grid, without the limit."""
        exponent = self._end(ops.convert_to_tensor(state["limit"], "float32"))
        return FixedPoint(self.bits, frac_bits_of(exponent, self.bits), False, self.straight_through)

    def quantize_at(self, x: Any, state: State) -> Any:
        limit = ops.stop_gradient(_limit(state))
        dtype = keras.backend.standardize_dtype(x.dtype)
        exponent = self._end(limit)
        scale, step = power_of_two(self.bits - exponent, dtype), power_of_two(exponent - self.bits, dtype)
        # Clipping at the rounded limit has the same values: what lies between the two rounds to it.
        top = ops.minimum(round_half_up(limit * scale), 2.0**self.bits - 1) * step
        return rounded_between(x, 0.0, top, scale, step)

    def outside_at(self, x: Any, state: State) -> Any:
        return ops.logical_or(x < 0, x >= _limit(state))

    def gradient_carrier(self, x: Any, state: State) -> Any:
        return ops.cast(x >= _limit(state), x.dtype) * state["limit"]

    def _end(self, limit: Any) -> Any:
        return limited_exponent(range_exponent(ops.maximum(ops.stop_gradient(limit), _LEAST)), self.bits)


def _limit(state: State) -> Any:
    return ops.maximum(state["limit"], _LEAST)
