"""LearnedTernary: +alpha, 0 or -alpha as `Ternary`, with factors that are trained, by gradient, with the weights.

With j the output channel, the last axis of a Keras kernel, and i all of its weights:

    Delta_j = threshold · mean over i of |W_ij|
    t_ij    = sign(W_ij) where |W_ij| > Delta_j, else 0
    q(W_ij) = alpha_j · t_ij                             alpha_j begins as that of `Ternary`

    dq_ij/dalpha_j = t_ij                                summed over i, as all that depends on alpha_j
    dq/dW = 1                                            straight_through="identity"
    dq/dW = 1 where |W| <= 1, else 0                     straight_through="fine_grained"

The paper has two factors, one for the positive weights and one for the negative ones. A file has one per channel, as part of
its multiplier, so that there is one here; and the paper's Delta is a part of the largest weight, here of the mean.

References:
    Zhu, Han, Mao, Dally: Trained Ternary Quantization, [arXiv:1612.01064](https://arxiv.org/abs/1612.01064), equations 6 to 8
    Li, Zhang, Liu: Ternary Weight Networks, [arXiv:1605.04711](https://arxiv.org/abs/1605.04711)
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from kerasq.quantizers.base import Quantizer
from kerasq.quantizers.stateful import State, StatefulQuantizer
from kerasq.quantizers.straight_through import IDENTITY
from kerasq.quantizers.ternary import Ternary, threshold_problems


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class LearnedTernary(StatefulQuantizer):
    """The sign of a large weight, 0 for a small one, times a factor of the output channel that is trained.

    Attributes:
        threshold: What is small: magnitudes of at most `threshold` times the mean magnitude of the channel. Not negative.
        straight_through: `"identity"`: gradient everywhere; `"fine_grained"`: where |W| <= 1 only.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> weights = keras.ops.array([[-0.5, 1.0], [0.25, 3.0], [0.0, -0.5]])
    >>> LearnedTernary()(weights, state={"alpha": keras.ops.array([0.5, 2.0])}).numpy()
    array([[-0.5,  0. ],
           [ 0.5,  2. ],
           [ 0. ,  0. ]], dtype=float32)
    """

    threshold: float = 0.7
    straight_through: str = IDENTITY

    def problems(self) -> list[str]:
        return threshold_problems(self.threshold)

    def state_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"alpha": (channels,)}

    def initial_state(self, x: Any) -> State:
        return {"alpha": self.alpha(x)}

    def alpha(self, weights: Any) -> Any:
        """The factors to begin with, those of `Ternary`: a tensor of shape `(channels,)`."""
        return Ternary(self.threshold).alpha(weights)

    def alpha_at(self, state: State) -> Any:
        return state["alpha"]

    def at(self, state: State) -> Quantizer:
        """The `Ternary` with the same format."""
        return Ternary(self.threshold)

    def quantize_at(self, x: Any, state: State) -> Any:
        return ops.stop_gradient(state["alpha"]) * self._signs(x)

    def outside_at(self, x: Any, state: State) -> Any:
        return ops.abs(x) > 1.0

    def gradient_carrier(self, x: Any, state: State) -> Any:
        return ops.stop_gradient(self._signs(x)) * state["alpha"]

    def _signs(self, weights: Any) -> Any:
        return Ternary(self.threshold).signs(weights)
