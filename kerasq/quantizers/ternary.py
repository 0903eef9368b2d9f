"""Ternary: every weight is +alpha, 0 or -alpha, with one alpha per output channel (ternary weight networks).

With j the output channel, the last axis of a Keras kernel, and i all of its weights:

    Delta_j = threshold · mean over i of |W_ij|
    t_ij    = sign(W_ij) where |W_ij| > Delta_j, else 0
    alpha_j = mean of |W_ij| over those i where t_ij is not 0; 0 where all are
    q(W_ij) = alpha_j · t_ij

For a given Delta, alpha_j is the factor that brings alpha_j · t_j nearest to W_j in the mean square; threshold = 0.7 is the
paper's approximation of the best Delta for normally distributed weights. A file stores t, and alpha as part of a per-channel
multiplier, into which the converter also puts a following BatchNormalization.

    dq/dW = 1                                straight_through="identity"
    dq/dW = 1 where |W| <= 1, else 0         straight_through="fine_grained"
    dq/dW = alpha_j where |W| <= 1, else 0   straight_through="magnitude_aware"

As in `BinaryWeight`, alpha passes no gradient.

References:
    Li, Zhang, Liu: Ternary Weight Networks, [arXiv:1605.04711](https://arxiv.org/abs/1605.04711)
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from kerasq.qformat import QFormat, fixed
from kerasq.quantizers.base import Quantizer, is_number
from kerasq.quantizers.rounding import all_but_channels, divided
from kerasq.quantizers.straight_through import IDENTITY, WITH_ALPHA


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class Ternary(Quantizer):
    """The sign of a large weight, 0 for a small one, times the mean magnitude of the large ones of its output channel.

    Attributes:
        threshold: What is small: magnitudes of at most `threshold` times the mean magnitude of the channel. Not negative.
        straight_through: `"identity"`: gradient everywhere; `"fine_grained"`: where |W| <= 1 only; `"magnitude_aware"`: there,
            times alpha.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> Ternary()(keras.ops.array([[-0.5, 1.0], [0.25, 3.0], [0.0, -0.5]])).numpy()
    array([[-0.375,  0.   ],
           [ 0.375,  3.   ],
           [ 0.   ,  0.   ]], dtype=float32)
    """

    threshold: float = 0.7
    straight_through: str = IDENTITY
    straight_through_choices: ClassVar[tuple[str, ...]] = WITH_ALPHA

    def problems(self) -> list[str]:
        return threshold_problems(self.threshold)

    def alpha(self, weights: Any) -> Any:
        """Magnitude of the quantized weights of each output channel (the last axis): a tensor of shape `(channels,)`."""
        weights = ops.convert_to_tensor(weights)
        large = ops.cast(self._large(weights), weights.dtype)
        axes = all_but_channels(weights)
        return divided(ops.sum(ops.abs(weights) * large, axis=axes), ops.sum(large, axis=axes))

    def signs(self, weights: Any) -> Any:
        """The t above: -1, 0 and 1, in the shape and dtype of the weights."""
        return ops.where(self._large(weights), ops.sign(weights), ops.zeros_like(weights))

    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        return self.alpha(x) * self.signs(x)

    def outside(self, x: Any) -> Any:
        return ops.abs(x) > 1.0

    def spec(self) -> QFormat:
        """FIXED2_0, which holds -1, 0 and 1; alpha goes to the multiplier."""
        return fixed(2, 0)

    def _large(self, weights: Any) -> Any:
        magnitudes = ops.abs(weights)
        return magnitudes > self.threshold * ops.mean(magnitudes, axis=all_but_channels(weights))


def threshold_problems(value: Any) -> list[str]:
    """What is wrong with an argument `threshold`: an empty list, or one sentence."""
    if is_number(value) and 0 <= value < float("inf"):
        return []
    return [f"`threshold` must be a number that is not negative. Received: threshold={value!r}"]
