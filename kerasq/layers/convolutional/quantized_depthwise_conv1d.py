"""QuantizedDepthwiseConv1D: `keras.layers.DepthwiseConv1D` with any quantizer."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.convolutional.depthwise_kernel import DepthwiseKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class QuantizedDepthwiseConv1D(DepthwiseKernel, keras.layers.DepthwiseConv1D):
    """One-dimensional depthwise convolution whose kernel goes through a quantizer.

    Forward: `activation(depthwise_conv1d(inputs, q(kernel)) + bias)`; `q` is the kernel quantizer, which sees an output
    channel for each input channel and multiple: `BinaryWeight` has an alpha for each of them. Backward: the latent kernel gets
    the gradient of the quantized one as the quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.DepthwiseConv1D`, in its order. `depthwise_initializer`,
            `depthwise_regularizer` and `depthwise_constraint` concern the latent kernel.
        kernel_quantizer: A quantizer of `kerasq.quantizers` or of one's own, its name or its config; `None`: the kernel is
            used as it is.
        bias_quantizer: The same for the bias.
        sum_quantizer: The same for what the activation function reads.
        output_quantizer: The same for what the layer returns.
        seed: Integer seed of the draws of a stochastic quantizer; `None`: a different one each time.

    Input shape:
        `(batch, steps, channels)`, or `(batch, channels, steps)` with `data_format="channels_first"`.

    Output shape:
        `(batch, new_steps, channels * depth_multiplier)`, or with the channels first.

    Raises:
        ValueError: An argument is out of its range, or asks for a quantization mode of Keras.

    Example:

    >>> layer = kerasq.layers.QuantizedDepthwiseConv1D(3, kernel_quantizer=kerasq.quantizers.FixedPoint(4, 3))
    >>> layer(keras.ops.ones((2, 16, 3))).shape
    TensorShape([2, 14, 3])
    >>> str(layer.kernel_format)
    'FIXED4_3'
    """

    @with_arguments_of(keras.layers.DepthwiseConv1D, DepthwiseKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
