"""QuantizedSeparableConv2D: `keras.layers.SeparableConv2D` with any quantizer."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.convolutional.separable_kernel import SeparableKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class QuantizedSeparableConv2D(SeparableKernel, keras.layers.SeparableConv2D):
    """Two-dimensional separable convolution whose kernels go through quantizers.

    Forward: `activation(conv2d(depthwise_conv2d(inputs, q_d(depthwise_kernel)), q_p(pointwise_kernel)) + bias)`; `q_d` and
    `q_p` are the quantizers of the two kernels. `layer.kernel` is the pointwise one. Backward: a latent kernel gets the gradient
    of the quantized one as its quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.SeparableConv2D`, in its order. Initializers, regularizers and
            constraints of both kernels concern the latent ones.
        kernel_quantizer: A quantizer of `kerasq.quantizers` or of one's own, its name or its config, for the pointwise kernel;
            `None`: it is used as it is.
        depthwise_quantizer: The same for the depthwise kernel, in which few weights lie: it seldom bears fewer than 8 bits.
        bias_quantizer: The same for the bias.
        depthwise_output_quantizer: The same for what the depthwise half computes, which a device stores.
        sum_quantizer: The same for what the activation function reads.
        output_quantizer: The same for what the layer returns.
        seed: Integer seed of the draws of a stochastic quantizer; `None`: a different one each time.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with `data_format="channels_first"`.

    Output shape:
        `(batch, new_height, new_width, filters)`, or `(batch, filters, new_height, new_width)`.

    Raises:
        ValueError: An argument is out of its range, or asks for a quantization mode of Keras.

    Example:

    >>> layer = kerasq.layers.QuantizedSeparableConv2D(
    ...     8, 3, padding="same", kernel_quantizer="binary_weight", depthwise_quantizer=kerasq.quantizers.FixedPoint(8, 7)
    ... )
    >>> layer(keras.ops.ones((2, 16, 16, 3))).shape
    TensorShape([2, 16, 16, 8])
    >>> str(layer.kernel_format), str(layer.depthwise_format)
    ('SIGN', 'FIXED8_7')
    """

    @with_arguments_of(keras.layers.SeparableConv2D, SeparableKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
