"""QuantizedDense: `keras.layers.Dense` with any quantizer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq.layers.base import QuantizedKernel
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class QuantizedDense(QuantizedKernel, keras.layers.Dense):
    """Dense layer whose kernel goes through a quantizer.

    Forward: `activation(dot(inputs, q(kernel)) + bias)`; `q` is the kernel quantizer. Backward: the latent kernel gets the
    gradient of the quantized one as the quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.Dense`, in its order. `kernel_initializer`, `kernel_regularizer` and
            `kernel_constraint` concern the latent kernel.
        kernel_quantizer: A quantizer of `kerasq.quantizers` or of one's own, its name or its config; `None`: the kernel is
            used as it is.
        bias_quantizer: The same for the bias.
        sum_quantizer: The same for what the activation function reads.
        output_quantizer: The same for what the layer returns.
        seed: Integer seed of the draws of a stochastic quantizer; `None`: a different one each time.

    Input shape:
        `(batch, ..., inputs)`: the last axis is summed over.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: An argument is out of its range, or asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.layers.QuantizedDense(8, kernel_quantizer="fixed_point")
    >>> layer(keras.ops.ones((2, 16))).shape
    TensorShape([2, 8])
    >>> str(layer.kernel_format)
    'FIXED8_4'
    """

    @with_arguments_of(keras.layers.Dense, QuantizedKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return ops.matmul(inputs, kernel)
