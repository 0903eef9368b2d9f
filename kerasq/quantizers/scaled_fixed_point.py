"""ScaledFixedPoint: integers of a few bits times one factor per output channel.

With j the output channel, the last axis of a Keras kernel, and m = 2^(bits-1) - 1 (the range is symmetric):

    q(W_ij) = alpha_j · k_ij,   k_ij = floor(clip(W_ij / alpha_j, -m, m) + 1/2)

alpha_j is the largest magnitude of the channel divided by m (`criterion="max"`), or that one of 1, 0.95 ... 0.35 times it for
which the sum of (W_ij - q(W_ij))^2 over i is least (`criterion="mse"`): few bits want the few largest weights cut. A file
stores k, and alpha as part of a per-channel multiplier, into which the converter also puts a following BatchNormalization.

    dq/dW = 1                                          straight_through="identity"
    dq/dW = 1 where |W_ij| <= (m + 1/2) alpha_j, else 0   straight_through="fine_grained"

alpha passes no gradient.

References:
    Jacob et al.: Quantization and Training of Neural Networks, [arXiv:1712.05877](https://arxiv.org/abs/1712.05877)
    Krishnamoorthi: Quantizing Deep Convolutional Networks, per channel, [arXiv:1806.08342](https://arxiv.org/abs/1806.08342)
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasq.qformat import QFormat, fixed
from kerasq.quantizers.base import Quantizer, choice_problems, integer_problems
from kerasq.quantizers.rounding import all_but_channels, divided, round_half_up
from kerasq.quantizers.straight_through import IDENTITY

MIN_BITS = 2
MAX_BITS = 8
MSE = "mse"
MAX = "max"
# Parts of the largest magnitude that become the end of the range, the whole first: it wins a tie.
_PARTS = tuple(1.0 - 0.05 * index for index in range(14))


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class ScaledFixedPoint(Quantizer):
    """Rounds to integers of `bits` bits times a factor of the output channel.

    Attributes:
        bits: Width of the stored integer, 2..8; the range is symmetric. 2 bits are -1, 0 and 1.
        criterion: How alpha follows from the weights: `"mse"`, by the least squared error, or `"max"`, without saturation.
        straight_through: `"identity"`: gradient everywhere; `"fine_grained"`: inside the range only.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> ScaledFixedPoint(bits=4, criterion="max")(keras.ops.array([[-0.5, 1.0], [0.25, 7.0], [3.5, -0.4]])).numpy()
    array([[-0.5,  1. ],
           [ 0.5,  7. ],
           [ 3.5,  0. ]], dtype=float32)
    """

    bits: int = 4
    criterion: str = MSE
    straight_through: str = IDENTITY

    def problems(self) -> list[str]:
        return scaled_problems(self.bits, self.criterion)

    @property
    def largest(self) -> int:
        """The largest stored integer m."""
        return int(2 ** (self.bits - 1) - 1)

    def alpha(self, weights: Any) -> Any:
        """The factor of each output channel (the last axis): a tensor of shape `(channels,)`."""
        weights = ops.convert_to_tensor(weights)
        axes = all_but_channels(weights)
        whole = ops.max(ops.abs(weights), axis=axes) / self.largest
        if self.criterion == MAX:
            return whole
        parts = np.asarray(_PARTS, keras.backend.standardize_dtype(weights.dtype))
        candidates = ops.reshape(ops.convert_to_tensor(parts), (-1, *(1,) * len(weights.shape))) * whole
        errors = ops.sum(ops.square(weights - candidates * self._integers(weights, candidates)), axis=tuple(a + 1 for a in axes))
        best = ops.take(ops.convert_to_tensor(parts), ops.argmin(errors, axis=0))
        return best * whole

    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        alpha = self.alpha(x)
        return alpha * self._integers(x, alpha)

    def outside(self, x: Any) -> Any:
        return ops.abs(x) > (self.largest + 0.5) * self.alpha(x)

    def spec(self) -> QFormat:
        """FIXED2_0, FIXED4_0 or FIXED8_0, the format of the integers; alpha goes to the multiplier."""
        return fixed(2 if self.bits == 2 else 4 if self.bits <= 4 else 8, 0)

    def _integers(self, weights: Any, alpha: Any) -> Any:
        return round_half_up(ops.clip(divided(weights, alpha), -float(self.largest), float(self.largest)))


def scaled_problems(bits: Any, criterion: Any) -> list[str]:
    """What is wrong with these arguments: an empty list, or a sentence for each."""
    return integer_problems("bits", bits, MIN_BITS, MAX_BITS) + choice_problems("criterion", criterion, (MAX, MSE))
