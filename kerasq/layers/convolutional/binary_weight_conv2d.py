"""BinaryWeightConv2D: `keras.layers.Conv2D` with weights +alpha and -alpha."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.binary_weight import BinaryWeightKernel
from kerasq.layers.convolutional.quantized_conv2d import QuantizedConv2D
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class BinaryWeightConv2D(BinaryWeightKernel, QuantizedConv2D):
    """Two-dimensional convolution with weights +alpha and -alpha (the binary weight networks of XNOR-Net).

    Forward: `activation(conv2d(inputs, alpha * sign(kernel)) + bias)`, the bias in float; alpha is the mean magnitude of the
    latent weights of each output channel. Backward: the latent kernel gets the gradient with respect to the scaled signs as it
    is; alpha passes none.

    A file stores the signs, one bit a weight, and a multiplier per channel. Its sums over the signs are integers; those that
    Keras computes, over alpha · sign, round as floats do. The two agree within a few units in the last place of a float32.

    Args:
        *args, **kwargs: All arguments of `keras.layers.Conv2D`, in its order. `kernel_initializer`, `kernel_regularizer` and
            `kernel_constraint` concern the latent kernel.
        quantize_zero_to: What the sign of a latent weight of exactly 0 is: 1, -1 or 0 (a kernel with zeros can't be converted).
        straight_through: `"identity"`: the latent kernel gets the gradient of the scaled sign; `"fine_grained"`: only where
            its magnitude is at most 1.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with `data_format="channels_first"`.

    Output shape:
        `(batch, new_height, new_width, filters)`, or `(batch, filters, new_height, new_width)`.

    Attributes:
        alpha: Magnitude of the weights of each output channel, computed from the present latent kernel.

    Raises:
        ValueError: An argument is out of its range, or asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.BinaryWeightConv2D(8, 3, padding="same")
    >>> layer(keras.ops.ones((2, 16, 16, 3))).shape
    TensorShape([2, 16, 16, 8])
    >>> bool((abs(layer.quantized_kernel) == layer.alpha).numpy().all())
    True

    Reference:
        Rastegari, Ordonez, Redmon, Farhadi: XNOR-Net, [arXiv:1603.05279](https://arxiv.org/abs/1603.05279). The gradient and
        the zero are nnabla's (BinaryWeightConvolution).
    """

    @with_arguments_of(keras.layers.Conv2D, BinaryWeightKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
