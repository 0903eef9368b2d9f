"""BinaryConnectDense: `keras.layers.Dense` with weights +1 and -1."""

from __future__ import annotations

from typing import Any

import keras

from kerasq.layers.binary_connect import BinaryConnectKernel
from kerasq.layers.core.quantized_dense import QuantizedDense
from kerasq.layers.signature import with_arguments_of


@keras.saving.register_keras_serializable("kerasq")
class BinaryConnectDense(BinaryConnectKernel, QuantizedDense):
    """Dense layer with weights +1 and -1 (BinaryConnect).

    Forward: `activation(dot(inputs, sign(kernel)) + bias)`, the bias in float. Backward: the latent float kernel gets the
    gradient with respect to its sign (straight-through). A sum of many ±1 products is large: follow the layer with
    BatchNormalization.

    With 8-bit inputs the sums are exact in float32 up to 131,072 weights per output: the converted file then gives the same
    integers (`kerasq.layers` states the bound).

    Args:
        *args, **kwargs: All arguments of `keras.layers.Dense`, in its order. `kernel_initializer`, `kernel_regularizer` and
            `kernel_constraint` concern the latent kernel.
        quantize_zero_to: What the sign of a latent weight of exactly 0 is: 1, -1 or 0 (a kernel with zeros can't be converted).
        straight_through: `"identity"`: the latent kernel gets the gradient of the sign; `"fine_grained"`: only where
            its magnitude is at most 1.
        stochastic: Draw the signs at random in training, +1 with probability `clip((w + 1) / 2, 0, 1)`. Inference takes the sign.
        seed: Integer seed of the draws; `None`: a different one each time. As for Keras' Dropout, files keep the seed, not how
            far the draws have come.

    Input shape:
        `(batch, ..., inputs)`: the last axis is summed over.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: An argument is out of its range, or asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.BinaryConnectDense(8)
    >>> layer(keras.ops.ones((2, 16))).shape
    TensorShape([2, 8])
    >>> str(layer.kernel_format), sorted(set(layer.quantized_kernel.numpy().ravel().tolist()))
    ('SIGN', [-1.0, 1.0])

    Reference:
        Courbariaux, Bengio, David: BinaryConnect, [arXiv:1511.00363](https://arxiv.org/abs/1511.00363). The gradient, the
        missing clipping of latent weights and the zero are nnabla's (BinaryConnectAffine).
    """

    @with_arguments_of(keras.layers.Dense, BinaryConnectKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
