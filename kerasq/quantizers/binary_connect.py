"""BinaryConnect: every weight is +1 or -1.

    q(w) = +1 where w > 0, -1 where w < 0, quantize_zero_to where w = 0

or, with `stochastic=True` and in training only, a draw for every weight and step:

    q(w) = +1 with probability p = clip((w + 1) / 2, 0, 1), else -1     (the hard sigmoid)

whose mean is w itself inside [-1, 1]: noise that regularizes. Inference always takes the sign.

    dq/dw = 1                          straight_through="identity" (nnabla's)
    dq/dw = 1 where |w| <= 1, else 0   straight_through="fine_grained" (BinaryNet's)

The paper also clips the latent weights to [-1, 1] after every update; nnabla does not, and neither does this quantizer: it is a
`kernel_constraint`. Without it, weights that have grown large hardly ever flip again (nor are they drawn at random).

References:
    Courbariaux, Bengio, David: BinaryConnect, [arXiv:1511.00363](https://arxiv.org/abs/1511.00363)
    Courbariaux et al.: Binarized Neural Networks, [arXiv:1602.02830](https://arxiv.org/abs/1602.02830)
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from kerasq.qformat import SIGN, QFormat
from kerasq.quantizers.base import Quantizer, boolean_problems
from kerasq.quantizers.sign import sign, zero_problems
from kerasq.quantizers.straight_through import IDENTITY


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class BinaryConnect(Quantizer):
    """The sign of a weight.

    Attributes:
        quantize_zero_to: What an exact zero becomes: 1, -1 or 0. A weight quantized to 0 is no sign, for which a file has one
            bit: the converter stores a kernel in which one occurs as FIXED8, and refuses to store it as SIGN.
        stochastic: Whether the signs are drawn at random in training.
        straight_through: `"identity"`: gradient everywhere; `"fine_grained"`: where |w| <= 1 only.

    Raises:
        ValueError: An attribute is none of its choices; all problems are named.

    Example:

    >>> BinaryConnect()(keras.ops.array([-0.3, 0.0, 2.0])).numpy()
    array([-1.,  1.,  1.], dtype=float32)
    """

    quantize_zero_to: float = 1.0
    stochastic: bool = False
    straight_through: str = IDENTITY

    def problems(self) -> list[str]:
        return zero_problems(self.quantize_zero_to) + boolean_problems("stochastic", self.stochastic)

    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        if not (self.stochastic and training):
            return sign(x, self.quantize_zero_to)
        if seed is None:
            raise ValueError("A stochastic quantizer needs a `keras.random.SeedGenerator` in training. Received: seed=None")
        probability = ops.clip((x + 1.0) / 2.0, 0.0, 1.0)
        # Draws lie in [0, 1): none is below p = 0, all are below p = 1.
        draws = keras.random.uniform(ops.shape(x), dtype=x.dtype, seed=seed)
        return ops.cast(ops.where(draws < probability, 1.0, -1.0), x.dtype)

    def outside(self, x: Any) -> Any:
        return ops.abs(x) > 1.0

    def spec(self) -> QFormat:
        """SIGN."""
        return SIGN
