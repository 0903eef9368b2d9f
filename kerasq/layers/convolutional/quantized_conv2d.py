"""QuantizedConv2D: `keras.layers.Conv2D` with any quantizer."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.base import QuantizedKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class QuantizedConv2D(QuantizedKernel, keras.layers.Conv2D):
    """Two-dimensional convolution whose kernel goes through a quantizer.

    Forward: `activation(conv2d(inputs, q(kernel)) + bias)`; `q` is the kernel quantizer. Backward: the latent kernel gets the
    gradient of the quantized one as the quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.Conv2D`, in its order. `kernel_initializer`, `kernel_regularizer` and
            `kernel_constraint` concern the latent kernel.
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
        ValueError: An argument is out of its range, or asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.layers.QuantizedConv2D(8, 3, kernel_quantizer=kerasq.quantizers.BinaryWeight())
    >>> layer(keras.ops.ones((2, 16, 16, 3))).shape
    TensorShape([2, 14, 14, 8])
    >>> str(layer.kernel_format)
    'SIGN'
    """

    @with_arguments_of(keras.layers.Conv2D, QuantizedKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return self.convolution_op(inputs, kernel)
