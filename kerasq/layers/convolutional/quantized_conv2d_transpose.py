"""QuantizedConv2DTranspose: `keras.layers.Conv2DTranspose` with any quantizer."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.convolutional.transposed_kernel import TransposedKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class QuantizedConv2DTranspose(TransposedKernel, keras.layers.Conv2DTranspose):
    """Two-dimensional transposed convolution whose kernel goes through a quantizer.

    Forward: `activation(conv2d_transpose(inputs, q(kernel)) + bias)`; `q` is the kernel quantizer, which sees the axis of
    filters, the last but one of Keras' kernel, as that of output channels. Backward: the latent kernel gets
    the gradient of the quantized one as the quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.Conv2DTranspose`, in its order. `kernel_initializer`,
            `kernel_regularizer` and `kernel_constraint` concern the latent kernel.
        kernel_quantizer: A quantizer of `kerasq.quantizers` or of one's own, its name or its config; `None`: the kernel is
            used as it is.
        bias_quantizer: The same for the bias.
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

    >>> layer = kerasq.layers.QuantizedConv2DTranspose(8, 3, strides=2, padding="same", kernel_quantizer="binary_connect")
    >>> layer(keras.ops.ones((2, 16, 16, 3))).shape
    TensorShape([2, 32, 32, 8])
    """

    @with_arguments_of(keras.layers.Conv2DTranspose, TransposedKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
