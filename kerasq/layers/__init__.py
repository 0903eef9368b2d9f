"""Keras layers that train what a device will compute: binary or fixed-point weights, fixed-point activations.

Each layer is a Keras layer with the same arguments in the same order, plus keyword arguments for its quantizer
(`kerasq.quantizers`, where the formulas are). It holds the *latent* float weights: the optimizer moves them, `.keras` and
`.weights.h5` files store them, `layer.kernel` is them. The forward pass computes with `layer.quantized_kernel`, exactly the
values that the converted file stores, for which the format `layer.kernel_format` suffices (for BinaryWeight: the signs; alpha
becomes part of a multiplier, which the converter may round).

The generic layers take any quantizer, one's own too, as in `QuantizedConv2D(32, 3,
kernel_quantizer=kerasq.quantizers.BinaryWeight())`. There is one for Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D,
SeparableConv1D, SeparableConv2D (with a quantizer for either kernel), Conv1DTranspose, Conv2DTranspose, Dense, and EinsumDense
where that is a Dense layer. The layers that nnabla has are named forms of these, with the arguments of their quantizer as
arguments of the layer:

| layer | weights | nnabla's |
| --- | --- | --- |
| `BinaryConnectConv2D`, `BinaryConnectDense` | +1, -1 | BinaryConnectConvolution, BinaryConnectAffine |
| `BinaryWeightConv2D`, `BinaryWeightDense` | +alpha, -alpha per output channel | BinaryWeightConvolution, BinaryWeightAffine |
| `FixedPointQuantizedConv2D`, `FixedPointQuantizedDense` | multiples of 2^-frac_bits | FixedPointQuantizedConvolution, -Affine |
| `FixedPointQuantize` | none: it quantizes activations | FixedPointQuantize |

`Quantize` quantizes activations by any quantizer: positions that are learned, limits that are.

The forward pass is a float32 computation on exact values. It equals the device's integers bit for bit, in whatever order the
products are added, as long as every partial sum has a magnitude of at most 2^24 steps of a product: for 8-bit inputs, up to
1,024 8-bit weights or 131,072 of BinaryConnect's per output (NUMERICS.md, section 4). Beyond that, for BinaryWeight, whose
alpha is any float, and with TF32 on a GPU, the last places may differ. Mixed precision is for training: weights are quantized
in float32 and then cast. Evaluate and export under float32.

`model.quantize` and LoRA do not apply to these layers: they are quantized already.

The classes are registered with Keras when this module is imported: `import kerasq.layers` before `keras.models.load_model`.
(`import kerasq` alone does it after `import keras`, not before: it doesn't import Keras.)
"""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.layers.activations.fixed_point_quantize import FixedPointQuantize
from kerasq.layers.activations.quantize import Quantize
from kerasq.layers.convolutional.binary_connect_conv2d import BinaryConnectConv2D
from kerasq.layers.convolutional.binary_weight_conv2d import BinaryWeightConv2D
from kerasq.layers.convolutional.fixed_point_quantized_conv2d import FixedPointQuantizedConv2D
from kerasq.layers.convolutional.quantized_conv1d import QuantizedConv1D
from kerasq.layers.convolutional.quantized_conv1d_transpose import QuantizedConv1DTranspose
from kerasq.layers.convolutional.quantized_conv2d import QuantizedConv2D
from kerasq.layers.convolutional.quantized_conv2d_transpose import QuantizedConv2DTranspose
from kerasq.layers.convolutional.quantized_depthwise_conv1d import QuantizedDepthwiseConv1D
from kerasq.layers.convolutional.quantized_depthwise_conv2d import QuantizedDepthwiseConv2D
from kerasq.layers.convolutional.quantized_separable_conv1d import QuantizedSeparableConv1D
from kerasq.layers.convolutional.quantized_separable_conv2d import QuantizedSeparableConv2D
from kerasq.layers.core.binary_connect_dense import BinaryConnectDense
from kerasq.layers.core.binary_weight_dense import BinaryWeightDense
from kerasq.layers.core.fixed_point_quantized_dense import FixedPointQuantizedDense
from kerasq.layers.core.quantized_dense import QuantizedDense
from kerasq.layers.core.quantized_einsum_dense import QuantizedEinsumDense

__all__ = [
    "BinaryConnectConv2D",
    "BinaryConnectDense",
    "BinaryWeightConv2D",
    "BinaryWeightDense",
    "FixedPointQuantize",
    "FixedPointQuantizedConv2D",
    "FixedPointQuantizedDense",
    "Quantize",
    "QuantizedConv1D",
    "QuantizedConv1DTranspose",
    "QuantizedConv2D",
    "QuantizedConv2DTranspose",
    "QuantizedDense",
    "QuantizedDepthwiseConv1D",
    "QuantizedDepthwiseConv2D",
    "QuantizedEinsumDense",
    "QuantizedSeparableConv1D",
    "QuantizedSeparableConv2D",
]
