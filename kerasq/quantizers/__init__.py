"""Straight-through quantizers: functions q(x) with a few output values, and a gradient that training can use.

A quantizer's derivative is zero almost everywhere, so gradient descent would stop at it. Training therefore keeps a *latent*
float weight x, computes with q(x), and lets the gradient pass q by a pseudo-gradient (the straight-through estimator,
Hinton 2012; Bengio et al., [arXiv:1308.3432](https://arxiv.org/abs/1308.3432)). Two of them are offered everywhere:

    identity        dx = dy
    fine_grained    dx = dy where x lies in the quantizer's range, ends included; 0 outside

`fine_grained`, the clipped estimator, stops pushing a value further out once it has saturated, but a latent weight that is
outside comes back only by weight decay or by a constraint. `identity` never loses a weight.

`BinaryWeight` and `Ternary` have a third one, of Bi-Real Net ([arXiv:1808.00278](https://arxiv.org/abs/1808.00278)):

    magnitude_aware dx = alpha dy where x lies in that range; 0 outside

| quantizer | q(x) | stored as | straight-through by default |
| --- | --- | --- | --- |
| `FixedPoint` | nearest multiple of 2^-frac_bits, limited to the range of `bits` bits | FIXED, UFIXED | fine_grained |
| `BinaryConnect` | +1 or -1 | SIGN | identity |
| `BinaryWeight` | +alpha or -alpha, alpha = mean \\|W\\| of the output channel | SIGN and a multiplier | identity |
| `Ternary` | +alpha, 0 or -alpha, alpha = mean \\|W\\| of the channel's large weights | FIXED2_0 and a multiplier | identity |
| `LearnedTernary` | the same, with an alpha that is trained | the same | identity |
| `ScaledFixedPoint` | alpha times an integer of `bits` bits, one alpha per channel | FIXED2_0, 4_0 or 8_0, the same | identity |
| `LearnedScaledFixedPoint` | the same, with an alpha that is trained | the same | fine_grained |
| `LearnedFixedPoint` | as `FixedPoint`, at a position that is trained | FIXED, UFIXED | fine_grained |
| `FollowingFixedPoint` | as `FixedPoint`, where a moving average of the data tells | FIXED, UFIXED | fine_grained |
| `ClippedActivation` | as `FixedPoint` without a sign, up to a limit that is trained | UFIXED and a clamp | fine_grained |

What the forward pass computes with is *exactly* the stored value, not the value up to float rounding: the estimator is
`stop_gradient(q) + (x - stop_gradient(x))`, whose bracket is a true zero, rather than `x + stop_gradient(q - x)`, which rounds
twice. A network so trained, and the integers of the converted file, can agree bit for bit (NUMERICS.md, section 4).

Quantizers are immutable. What the learned, clipped and following ones learn is kept by the layers that they are used in
(`StatefulQuantizer`), so that one object serves many layers. They know nothing of layers: call one on any float
tensor. Every layer of `kerasq.layers` takes any of them, and those of one's own (`Quantizer` says how one is written), as an
object, by its name or by its config: `get` makes one of each.

>>> kerasq.quantizers.FixedPoint(bits=8, frac_bits=4)(keras.ops.array([0.03, 0.04, 9.0])).numpy()
array([0.    , 0.0625, 7.9375], dtype=float32)
"""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.quantizers.base import Quantizer
from kerasq.quantizers.binary_connect import BinaryConnect
from kerasq.quantizers.binary_weight import BinaryWeight
from kerasq.quantizers.clipped_activation import ClippedActivation
from kerasq.quantizers.fixed_point import FixedPoint
from kerasq.quantizers.following_fixed_point import FollowingFixedPoint
from kerasq.quantizers.identifiers import QuantizerLike, get
from kerasq.quantizers.learned_fixed_point import LearnedFixedPoint
from kerasq.quantizers.learned_scaled_fixed_point import LearnedScaledFixedPoint
from kerasq.quantizers.learned_ternary import LearnedTernary
from kerasq.quantizers.scaled_fixed_point import ScaledFixedPoint
from kerasq.quantizers.stateful import StatefulQuantizer
from kerasq.quantizers.ternary import Ternary

__all__ = [
    "BinaryConnect",
    "BinaryWeight",
    "ClippedActivation",
    "FixedPoint",
    "FollowingFixedPoint",
    "LearnedFixedPoint",
    "LearnedScaledFixedPoint",
    "LearnedTernary",
    "Quantizer",
    "QuantizerLike",
    "ScaledFixedPoint",
    "StatefulQuantizer",
    "Ternary",
    "get",
]
