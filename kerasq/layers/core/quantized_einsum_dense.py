"""QuantizedEinsumDense: `keras.layers.EinsumDense`, where that is a Dense layer, with any quantizer."""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import ops

from kerasq.layers.base import QuantizedKernel
from kerasq.layers.signature import with_arguments_of

_DENSE = re.compile(r"(?P<kept>(\.\.\.)?\w*)(?P<summed>\w),(?P=summed)(?P<units>\w)->(?P=kept)(?P=units)")


def is_dense(equation: str, bias_axes: str | None) -> bool:
    """Whether an EinsumDense sums over its last axis only, with a kernel of two axes and a bias for each unit."""
    match = _DENSE.fullmatch(equation.replace(" ", ""))
    return match is not None and bias_axes in (None, "", match["units"])


@keras.saving.register_keras_serializable("kerasq")
class QuantizedEinsumDense(QuantizedKernel, keras.layers.EinsumDense):
    """EinsumDense layer whose kernel goes through a quantizer, where it is a Dense layer: `"...x,xy->...y"`, `"abc,cd->abd"`.

    Forward: `activation(dot(inputs, q(kernel)) + bias)`; `q` is the kernel quantizer. Backward: the latent kernel gets the
    gradient of the quantized one as the quantizer passes it (`kerasq.quantizers`).

    Args:
        *args, **kwargs: All arguments of `keras.layers.EinsumDense`, in its order. `kernel_initializer`, `kernel_regularizer`
            and `kernel_constraint` concern the latent kernel.
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
        ValueError: The equation sums over another axis than the last or gives more than one new one, the bias has other axes
            than that of the units, or an argument asks for LoRA or a quantization mode of Keras.

    Example:

    >>> layer = kerasq.layers.QuantizedEinsumDense("...x,xy->...y", 8, bias_axes="y", kernel_quantizer="fixed_point")
    >>> layer(keras.ops.ones((2, 5, 16))).shape
    TensorShape([2, 5, 8])
    >>> str(layer.kernel_format)
    'FIXED8_4'
    """

    @with_arguments_of(keras.layers.EinsumDense, QuantizedKernel)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_dense(self.equation, self.bias_axes):
            raise ValueError(
                "`equation` must be that of a Dense layer, as '...x,xy->...y', and `bias_axes` None or its last axis. "
                f"Received: equation={self.equation!r}, bias_axes={self.bias_axes!r}"
            )

    @classmethod
    def stands_for(cls, layer: Any) -> bool:
        return is_dense(layer.equation, layer.bias_axes)

    @property
    def use_bias(self) -> bool:
        """Whether there is a bias."""
        return bool(self.bias_axes)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return ops.matmul(inputs, kernel)
