"""LearnedFixedPoint: fixed point whose position is trained, by gradient, with the weights (trained quantization thresholds).

With b = `bits`, the range [lo, hi] of stored integers as in `FixedPoint`, and t = `log2_threshold`, one trained number:

    e = ceil(t)                        the range ends at 2^e
    n = b - 1 - e                      fractional bits; b - e without a sign
    q(x) = 2^-n · clip(r, lo, hi),     r = floor(x · 2^n + 1/2)

The forward value is that of `FixedPoint(b, n)` at every step of training, on a power-of-two grid. The gradients are those of
the paper, which takes ceil for the identity:

    dq/dx = 1 where lo <= r <= hi; 0 outside                        straight_through="fine_grained"
    dq/dx = 1                                                       straight_through="identity"
    dq/dt = 2^-n · ln 2 · (r - x · 2^n) where lo <= r <= hi; 2^-n · ln 2 · lo below, 2^-n · ln 2 · hi above

Values inside pull the range together (a finer step), values outside push it apart. The sum over a tensor can be large: train
with Adam, which takes no notice of a gradient's size, at about a tenth of the weights' rate or less.

References:
    Jain, Gural, Wu, Dick: Trained Quantization Thresholds, [arXiv:1903.08066](https://arxiv.org/abs/1903.08066), equations 6 to 8
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS
from kerasq.quantizers.base import Quantizer, boolean_problems, integer_problems
from kerasq.quantizers.fixed_point import MAX_BITS, MIN_BITS, FixedPoint
from kerasq.quantizers.powers import frac_bits_of, limited_exponent, power_of_two, range_exponent
from kerasq.quantizers.rounding import round_half_up, rounded_between
from kerasq.quantizers.stateful import State, StatefulQuantizer
from kerasq.quantizers.straight_through import FINE_GRAINED

_TRIED = 4  # exponents, from the largest that could help downwards


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class LearnedFixedPoint(StatefulQuantizer):
    """Fixed point at a position that is trained: one format for a tensor, whose forward values are always on its grid.

    Attributes:
        bits: Width of the stored integer, 2..16.
        signed: Whether values may be negative.
        frac_bits: Fractional bits to begin with; `None`: those of the least squared error for the first values.
        straight_through: `"fine_grained"`: gradient inside the range only; `"identity"`: gradient everywhere.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> quantizer = LearnedFixedPoint(bits=8, frac_bits=4)
    >>> quantizer(keras.ops.array([-9.0, 0.03, 0.04])).numpy()
    array([-8.    ,  0.    ,  0.0625], dtype=float32)
    >>> str(quantizer.at({"log2_threshold": 1.3}).spec())
    'FIXED8_5'
    """

    bits: int = 8
    signed: bool = True
    frac_bits: int | None = None
    straight_through: str = FINE_GRAINED

    def problems(self) -> list[str]:
        problems = integer_problems("bits", self.bits, MIN_BITS, MAX_BITS) + boolean_problems("signed", self.signed)
        if self.frac_bits is not None:
            problems += integer_problems("frac_bits", self.frac_bits, MIN_FRAC_BITS, MAX_FRAC_BITS)
        return problems

    @property
    def magnitude_bits(self) -> int:
        """Bits of a stored magnitude."""
        return self.bits - self.signed

    def state_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"log2_threshold": ()}

    def initial_state(self, x: Any) -> State:
        """In the middle of the interval that rounds up to the exponent, so that no small step changes it."""
        if self.frac_bits is not None:
            exponent = ops.full((), float(self.magnitude_bits - self.frac_bits), dtype=x.dtype)
        else:
            exponent = least_squares_exponent(x, self)
        return {"log2_threshold": exponent - 0.5}

    def at(self, state: State) -> Quantizer:
        """The `FixedPoint` with the same values."""
        exponent = self._end({name: ops.convert_to_tensor(value, "float32") for name, value in state.items()})
        return FixedPoint(self.bits, frac_bits_of(exponent, self.magnitude_bits), self.signed, self.straight_through)

    def quantize_at(self, x: Any, state: State) -> Any:
        return self.at_exponent(x, self._end(state))

    def at_exponent(self, x: Any, exponent: Any) -> Any:
        """The values in the range that ends at 2^exponent."""
        dtype = keras.backend.standardize_dtype(x.dtype)
        step = power_of_two(exponent - self.magnitude_bits, dtype)
        low, high = self._limits()
        return rounded_between(x, low * step, high * step, power_of_two(self.magnitude_bits - exponent, dtype), step)

    def outside_at(self, x: Any, state: State) -> Any:
        _, rounded, _ = self._scaled(x, self._end(state))
        low, high = self._limits()
        return ops.logical_or(rounded < low, rounded > high)

    def gradient_carrier(self, x: Any, state: State) -> Any:
        scaled, rounded, step = self._scaled(x, self._end(state))
        low, high = self._limits()
        stored = ops.clip(rounded, low, high)
        difference = ops.where(stored == rounded, stored - scaled, stored)
        return ops.stop_gradient(step * math.log(2.0) * difference) * state["log2_threshold"]

    def _end(self, state: State) -> Any:
        """The exponent that the range ends at."""
        return limited_exponent(ops.ceil(ops.stop_gradient(state["log2_threshold"])), self.magnitude_bits)

    def _limits(self) -> tuple[float, float]:
        return -(2.0 ** (self.bits - 1)) if self.signed else 0.0, 2.0**self.magnitude_bits - 1

    def _scaled(self, x: Any, exponent: Any) -> tuple[Any, Any, Any]:
        """`x` in steps, as it is and rounded, no farther than one step beyond the range; and the step."""
        dtype = keras.backend.standardize_dtype(x.dtype)
        low, high = self._limits()
        scaled = x * power_of_two(self.magnitude_bits - exponent, dtype)
        rounded = round_half_up(ops.clip(scaled, low - 1, high + 1))
        return scaled, rounded, power_of_two(exponent - self.magnitude_bits, dtype)


def least_squares_exponent(x: Any, quantizer: LearnedFixedPoint) -> Any:
    """Of the exponent without saturation and the three below it, the one of the least squared error."""
    largest = limited_exponent(range_exponent(ops.max(ops.abs(x))), quantizer.magnitude_bits)
    exponents = [limited_exponent(largest - below, quantizer.magnitude_bits) for below in range(_TRIED)]
    errors = ops.stack([ops.sum(ops.square(x - quantizer.at_exponent(x, exponent))) for exponent in exponents])
    return largest - ops.cast(ops.argmin(errors), x.dtype)
