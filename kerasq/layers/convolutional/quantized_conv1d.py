"""QuantizedConv1D: `keras.layers.Conv1D` with any quantizer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq.layers.base import QuantizedKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class QuantizedConv1D(QuantizedKernel, keras.layers.Conv1D):
    """One-dimensional convolution whose kernel goes through a quantizer.

    Forward: `activation(conv1d(inputs, q(kernel)) + bias)`; `q` is the kernel quantizer. Backward: the latent kernel gets the
    gradient of the quantized one as the quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.Conv1D`, in its order. `kernel_initializer`, `kernel_regularizer` and
            `kernel_constraint` concern the latent kernel.
        kernel_quantizer: A quantizer of `kerasq.quantizers` or of one's own, its name or its config; `None`: the kernel is
            used as it is.
        bias_quantizer: The same for the bias.
        sum_quantizer: The same for what the activation function reads.
        output_quantizer: The same for what the layer returns.
        seed: Integer seed of the draws of a stochastic quantizer; `None`: a different one each time.

    Input shape:
        `(batch, steps, channels)`, or `(batch, channels, steps)` with `data_format="channels_first"`.

    Output shape:
        `(batch, new_steps, filters)`, or `(batch, filters, new_steps)`.

    Raises:
        ValueError: An argument is out of its range, or asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.layers.QuantizedConv1D(8, 3, padding="causal", kernel_quantizer="binary_connect")
    >>> layer(keras.ops.ones((2, 16, 3))).shape
    TensorShape([2, 16, 8])
    """

    @with_arguments_of(keras.layers.Conv1D, QuantizedKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        if self.padding != "causal":
            return self.convolution_op(inputs, kernel)
        past = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
        steps_axis = 1 if self.data_format == "channels_last" else 2
        inputs = ops.pad(inputs, [past if axis == steps_axis else (0, 0) for axis in range(3)])
        return ops.conv(
            inputs,
            kernel,
            strides=list(self.strides),
            padding="valid",
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
