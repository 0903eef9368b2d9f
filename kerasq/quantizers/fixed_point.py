"""Fixed point: multiples of a power of two, in a range that a few bits can count.

With n = `frac_bits` and the stored range [lo, hi] = [-2^(bits-1), 2^(bits-1) - 1], or [0, 2^bits - 1] unsigned:

    q(x) = 2^-n · floor(v) + (1 where v - floor(v) >= 1/2),   v = clip(x, lo · 2^-n, hi · 2^-n) · 2^n

Every step but the rounding is exact in float32: scaling by a power of two moves the exponent, and stored integers have at
most 16 bits. The rounding is `floor(v + 1/2)` on real numbers, written so that no sum rounds (v = 0.49999997: v + 0.5 is 1
in float32; training on TensorFlow takes a shorter form, which does that to this one number where values have a sign).

    dq/dx = 1 where lo · 2^-n <= x <= hi · 2^-n, ends included; 0 outside     straight_through="fine_grained"
    dq/dx = 1                                                                 straight_through="identity"

Differences from nnabla's FixedPointQuantize: its range is symmetric (never -2^(bits-1)), its ties go away from zero
(-0.5 · 2^-n becomes -2^-n, here 0), and its step may be any number.

References:
    Lin, Talathi, Annapureddy: Fixed Point Quantization of Deep Convolutional Networks, [arXiv:1511.06393](https://arxiv.org/abs/1511.06393)
    Bengio, Léonard, Courville: Estimating or Propagating Gradients Through Stochastic Neurons, [arXiv:1308.3432](https://arxiv.org/abs/1308.3432)
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat, fixed
from kerasq.quantizers import fused
from kerasq.quantizers.base import Quantizer, boolean_problems, integer_problems, signed_format
from kerasq.quantizers.rounding import rounded_between
from kerasq.quantizers.straight_through import FINE_GRAINED

MIN_BITS = 2
MAX_BITS = 16  # a float32 holds every 16-bit integer, and what training computes with it, with room to spare


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class FixedPoint(Quantizer):
    """Rounds to multiples of 2^-frac_bits and saturates at the range of `bits` bits.

    Attributes:
        bits: Width of the stored integer, 2..16. Widths that no file format has (6, say) are stored in the next larger one.
        frac_bits: Number of fractional bits n, -32..63: the step is 2^-n.
        signed: Whether values may be negative (two's complement, the full range).
        straight_through: `"fine_grained"`: gradient inside the range only; `"identity"`: gradient everywhere.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> quantizer = FixedPoint(bits=8, frac_bits=4)
    >>> quantizer(keras.ops.array([-9.0, -0.03125, 0.03125, 7.95])).numpy()
    array([-8.    ,  0.    ,  0.0625,  7.9375], dtype=float32)
    >>> str(quantizer.spec())
    'FIXED8_4'
    """

    bits: int = 8
    frac_bits: int = 4
    signed: bool = True
    straight_through: str = FINE_GRAINED

    def problems(self) -> list[str]:
        return (
            integer_problems("bits", self.bits, MIN_BITS, MAX_BITS)
            + integer_problems("frac_bits", self.frac_bits, MIN_FRAC_BITS, MAX_FRAC_BITS)
            + boolean_problems("signed", self.signed)
        )

    @property
    def step(self) -> float:
        """Distance of neighbouring values."""
        return 2.0**-self.frac_bits

    @property
    def min(self) -> float:
        """Smallest value."""
        return -(2.0 ** (self.bits - 1)) * self.step if self.signed else 0.0

    @property
    def max(self) -> float:
        """Largest value."""
        return (2.0 ** (self.bits - self.signed) - 1) * self.step

    def with_gradient(self, x: Any, training: bool | None, seed: Any, state: dict[str, Any] | None) -> Any:
        if training is True and self.straight_through == FINE_GRAINED and fused.is_for(x, self.bits):
            return fused.fixed_point(x, self.bits, self.min, self.max, self.step)
        return super().with_gradient(x, training, seed, state)

    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        return rounded_between(x, self.min, self.max, 2.0**self.frac_bits, self.step)

    def outside(self, x: Any) -> Any:
        return ops.logical_or(x < self.min, x > self.max)

    def spec(self) -> QFormat:
        """`FIXED{b}_{frac_bits}` or `UFIXED...` of the smallest b in 2 (signed only), 4, 8, 16 that holds `bits` bits."""
        width = next(width for width in ((2, 4, 8, 16) if self.signed else (4, 8, 16)) if width >= self.bits)
        return fixed(width, self.frac_bits, self.signed)

    def constant_spec(self) -> QFormat:
        """As `spec`, but signed: `FIXED8` holds seven unsigned bits."""
        return self.spec() if self.signed else signed_format(self.bits, self.frac_bits)
