"""FixedPointQuantizedConv2D: `keras.layers.Conv2D` with kernel and bias in fixed point."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.convolutional.quantized_conv2d import QuantizedConv2D
from kerasq.layers.fixed_point import FixedPointKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class FixedPointQuantizedConv2D(FixedPointKernel, QuantizedConv2D):
    """Two-dimensional convolution with kernel and bias in fixed point.

    Forward: `activation(conv2d(inputs, q(kernel)) + q(bias))`; `q` rounds to a multiple of 2^-frac_bits and saturates
    (`kerasq.quantizers.FixedPoint`). The inputs are taken as they come: quantize them with `kerasq.FixedPointQuantize`. The
    largest `frac_bits` that saturates no weight is `bits - 1 - ceil(log2(max |w|))`; the default holds weights in [-1, 1).

    With 8-bit inputs and weights the sums are exact in float32 up to 1,024 weights per output, whatever their values: the
    converted file then gives the same integers (`kerasq.layers` states the bound).

    Args:
        *args, **kwargs: All arguments of `keras.layers.Conv2D`, in its order. `kernel_initializer`, `kernel_regularizer` and
            `kernel_constraint` concern the latent kernel.
        bits: Width of a stored weight, 2..16.
        frac_bits: Fractional bits of a weight, -32..63: the step is 2^-frac_bits.
        signed: `False`: weights in 0 .. (2^bits - 1) · step. (A file's kernels are signed: 8 unsigned bits take FIXED16.)
        straight_through: `"fine_grained"`: the latent kernel gets the gradient of the quantized one where it lies in the
            range, ends included; `"identity"`: everywhere.
        quantize_kernel: `False`: the kernel is used as it is.
        quantize_bias: `False`: the bias is used as it is.
        bias_bits: Width of the stored bias, 2..16.
        bias_frac_bits: Fractional bits of the bias. The device adds it to sums whose step is 2^-n, n = frac_bits + those of
            the input: more than n would have to be rounded off by the converter.
        bias_signed, bias_straight_through: As for the kernel.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with `data_format="channels_first"`.

    Output shape:
        `(batch, new_height, new_width, filters)`, or `(batch, filters, new_height, new_width)`.

    Raises:
        ValueError: An argument is out of its range, or asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.FixedPointQuantizedConv2D(8, 3, padding="same")
    >>> layer(keras.ops.ones((2, 16, 16, 3))).shape
    TensorShape([2, 16, 16, 8])
    >>> str(layer.kernel_format), str(layer.bias_format)
    ('FIXED8_7', 'FIXED16_8')

    Source:
        nnabla's FixedPointQuantizedConvolution. Its defaults are 8 bits with a step of 2^-4 for weights and bias, its range
        is symmetric and its ties go away from zero (see `kerasq.quantizers.FixedPoint`).
    """

    @with_arguments_of(keras.layers.Conv2D, FixedPointKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
