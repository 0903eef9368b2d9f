"""FixedPointQuantize: activations in fixed point."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq.layers.base import AlreadyQuantized, activation_format
from kerasq.qformat import QFormat
from kerasq.quantizers import FixedPoint


@keras.saving.register_keras_serializable("kerasq")
class FixedPointQuantize(AlreadyQuantized, keras.layers.Layer):
    """Rounds activations to a multiple of 2^-frac_bits and saturates them at the range of `bits` bits.

    Put it where the device stores a tensor: after the activation function of a convolution, after an addition, at the
    input. The converter takes the format from it. The formulas are those of `kerasq.quantizers.FixedPoint`; arithmetic is in
    float32 under every dtype policy, but a half-precision policy then rounds what does not fit its mantissa.

    Args:
        bits: Width of the stored integer, 2..16.
        frac_bits: Number of fractional bits, -32..63: the step is 2^-frac_bits.
        signed: Whether values may be negative. `False` suits tensors after a ReLU: one bit more.
        straight_through: `"fine_grained"`: gradient inside the range only, ends included; `"identity"`: everywhere.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        That of the input.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> layer = kerasq.FixedPointQuantize(bits=8, frac_bits=4)
    >>> layer(keras.ops.array([-9.0, 0.03, 0.04])).numpy()
    array([-8.    ,  0.    ,  0.0625], dtype=float32)
    >>> str(layer.output_format)
    'FIXED8_4'

    Source:
        nnabla's FixedPointQuantize, with the same defaults (there: `n=8, delta=2**-4, sign=True, ste_fine_grained=True`), a
        full instead of a symmetric range, and ties up instead of away from zero.
    """

    def __init__(
        self,
        bits: int = 8,
        frac_bits: int = 4,
        signed: bool = True,
        straight_through: str = "fine_grained",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.quantizer = FixedPoint(bits, frac_bits, signed, straight_through)
        self.supports_masking = True

    @property
    def output_format(self) -> QFormat:
        """The format of the tensor on the device, where activations take 8 or 16 bits."""
        return activation_format(self.quantizer.spec())

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return ops.cast(self.quantizer(inputs, training=training), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.quantizer.get_config()}
