"""BinaryWeight: every weight is +alpha or -alpha, with one alpha per output channel (the BWN of XNOR-Net).

    alpha_j = mean over i of |W_ij|     i: all weights of output channel j, the last axis of a Keras kernel
    q(W_ij) = alpha_j · sign(W_ij)      sign(0) = quantize_zero_to

alpha_j · sign is the multiple of a sign pattern that is nearest to W_j in the mean square. A file stores the signs, one bit
each, and alpha as part of a per-channel multiplier, into which the converter also puts a following BatchNormalization.

    dq/dW = 1                                straight_through="identity" (nnabla's)
    dq/dW = 1 where |W| <= 1, else 0         straight_through="fine_grained" (clipped)
    dq/dW = alpha_j where |W| <= 1, else 0   straight_through="magnitude_aware" (Bi-Real Net's)

With the first two the gradient with respect to the scaled weights goes to the latent ones as it is. Magnitude-aware, a channel of
small weights moves slowly and one of large weights fast, so that the same share of both flips; optimizers that take no notice of
a gradient's size (Adam) undo most of that. There is no term for the dependence of
alpha on W (the paper's gradient is G · (1/n + alpha · 1[|W| <= 1])); as in nnabla, alpha passes no gradient.

References:
    Rastegari, Ordonez, Redmon, Farhadi: XNOR-Net, [arXiv:1603.05279](https://arxiv.org/abs/1603.05279)
    Liu et al.: Bi-Real Net, [arXiv:1808.00278](https://arxiv.org/abs/1808.00278), section 3.3: magnitude-aware gradient
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from kerasq.qformat import SIGN, QFormat
from kerasq.quantizers.base import Quantizer
from kerasq.quantizers.rounding import all_but_channels
from kerasq.quantizers.sign import sign, zero_problems
from kerasq.quantizers.straight_through import IDENTITY, WITH_ALPHA


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class BinaryWeight(Quantizer):
    """The sign of a weight times the mean magnitude of its output channel.

    Attributes:
        quantize_zero_to: What the sign of an exact zero is: 1, -1 or 0. A weight quantized to 0 is no sign, for which a file
            has one bit: the converter stores a kernel in which one occurs as FIXED8, and refuses to store it as SIGN.
        straight_through: `"identity"`: gradient everywhere; `"fine_grained"`: where |W| <= 1 only; `"magnitude_aware"`: there,
            times alpha.

    Raises:
        ValueError: An attribute is none of its choices; all problems are named.

    Example:

    >>> BinaryWeight()(keras.ops.array([[-0.5, 1.0], [0.25, 3.0]])).numpy()
    array([[-0.375,  2.   ],
           [ 0.375,  2.   ]], dtype=float32)
    """

    quantize_zero_to: float = 1.0
    straight_through: str = IDENTITY
    straight_through_choices: ClassVar[tuple[str, ...]] = WITH_ALPHA

    def problems(self) -> list[str]:
        return zero_problems(self.quantize_zero_to)

    def alpha(self, weights: Any) -> Any:
        """Mean magnitude of each output channel (the last axis): a tensor of shape `(channels,)`."""
        weights = ops.convert_to_tensor(weights)
        return ops.mean(ops.abs(weights), axis=all_but_channels(weights))

    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        return self.alpha(x) * sign(x, self.quantize_zero_to)

    def outside(self, x: Any) -> Any:
        return ops.abs(x) > 1.0

    def spec(self) -> QFormat:
        """SIGN, the format of the signs; alpha goes to the multiplier."""
        return SIGN
