"""LearnedScaledFixedPoint: integers of a few bits times a factor per output channel that is trained (learned step size).

With j the output channel, the last axis of a Keras kernel, m = 2^(bits-1) - 1, and a_j = `log2_alpha`, a trained number each:

    alpha_j = 2^a_j                                       begins as that of `ScaledFixedPoint`
    q(W_ij) = alpha_j · k_ij,   k_ij = clip(r_ij, -m, m),   r_ij = floor(W_ij / alpha_j + 1/2)

    dq/dW = 1 where |r_ij| <= m, else 0                   straight_through="fine_grained"
    dq/dW = 1                                             straight_through="identity"
    dq_ij/da_j = alpha_j · ln 2 · (k_ij - W_ij / alpha_j) where |r_ij| <= m; alpha_j · ln 2 · k_ij elsewhere

The gradient of alpha_j is that of the paper; that its logarithm is trained makes a step of the optimizer a part of alpha_j, so
that the weights' rate does for both with Adam.

References:
    Esser et al.: Learned Step Size Quantization, [arXiv:1902.08153](https://arxiv.org/abs/1902.08153), equation 3
    Jain, Gural, Wu, Dick: Trained Quantization Thresholds (logarithm), [arXiv:1903.08066](https://arxiv.org/abs/1903.08066)
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from kerasq.quantizers.base import Quantizer
from kerasq.quantizers.rounding import round_half_up
from kerasq.quantizers.scaled_fixed_point import MSE, ScaledFixedPoint, scaled_problems
from kerasq.quantizers.stateful import State, StatefulQuantizer
from kerasq.quantizers.straight_through import FINE_GRAINED

_LEAST = 2.0**-40  # of a factor to begin with: channels of zeros have none


@keras.saving.register_keras_serializable("kerasq")
@dataclasses.dataclass(frozen=True)
class LearnedScaledFixedPoint(StatefulQuantizer):
    """Rounds to integers of `bits` bits times a factor of the output channel that is trained.

    Attributes:
        bits: Width of the stored integer, 2..8; the range is symmetric. 2 bits are -1, 0 and 1.
        criterion: What alpha begins with: `"mse"`, the least squared error, or `"max"`, no saturation.
        straight_through: `"fine_grained"`: gradient inside the range only; `"identity"`: gradient everywhere.

    Raises:
        ValueError: An attribute is out of its range; all problems are named.

    Example:

    >>> weights = keras.ops.array([[-0.5, 1.0], [0.25, 7.0], [3.5, -0.4]])
    >>> LearnedScaledFixedPoint(bits=4)(weights, state={"log2_alpha": keras.ops.array([-1.0, 1.0])}).numpy()
    array([[-0.5,  2. ],
           [ 0.5,  8. ],
           [ 3.5,  0. ]], dtype=float32)
    """

    bits: int = 4
    criterion: str = MSE
    straight_through: str = FINE_GRAINED

    def problems(self) -> list[str]:
        return scaled_problems(self.bits, self.criterion)

    def state_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"log2_alpha": (channels,)}

    def initial_state(self, x: Any) -> State:
        return {"log2_alpha": ops.log2(ops.maximum(self._begins_as.alpha(x), _LEAST))}

    def alpha(self, weights: Any) -> Any:
        """The factors to begin with: a tensor of shape `(channels,)`."""
        return self.alpha_at(self.initial_state(weights))

    def alpha_at(self, state: State) -> Any:
        return ops.exp2(state["log2_alpha"])

    def at(self, state: State) -> Quantizer:
        """The `ScaledFixedPoint` with the same format."""
        return self._begins_as

    def quantize_at(self, x: Any, state: State) -> Any:
        alpha = ops.stop_gradient(self.alpha_at(state))
        return alpha * self._clipped(round_half_up(x / alpha))

    def outside_at(self, x: Any, state: State) -> Any:
        return ops.abs(round_half_up(x / ops.stop_gradient(self.alpha_at(state)))) > self._begins_as.largest

    def gradient_carrier(self, x: Any, state: State) -> Any:
        alpha = self.alpha_at(state)
        rounded = round_half_up(x / alpha)
        stored = self._clipped(rounded)
        difference = ops.where(stored == rounded, stored - x / alpha, stored)
        return ops.stop_gradient(alpha * math.log(2.0) * difference) * state["log2_alpha"]

    @property
    def _begins_as(self) -> ScaledFixedPoint:
        return ScaledFixedPoint(self.bits, self.criterion)

    def _clipped(self, integers: Any) -> Any:
        largest = float(self._begins_as.largest)
        return ops.clip(integers, -largest, largest)
