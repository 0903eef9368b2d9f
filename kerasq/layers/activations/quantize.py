"""Quantize: activations by any quantizer, learned positions among them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq import quantizers
from kerasq.layers.base import AlreadyQuantized, activation_format
from kerasq.layers.quantizer_state import at_state, quantized, state_of
from kerasq.qformat import QFormat
from kerasq.quantizers import QuantizerLike


@keras.saving.register_keras_serializable("kerasq")
class Quantize(AlreadyQuantized, keras.layers.Layer):
    """Sends activations through a quantizer: `FixedPointQuantize` with any other rule.

    Put it where the device stores a tensor. What its quantizer learns begins with a range up to 8, or as the quantizer's own
    arguments say; `calibrate` sets it to what example values ask for.

    Args:
        quantizer: A quantizer of `kerasq.quantizers` or of one's own, its name or its config. One with an alpha is for kernels.
        state_regularizer: A penalty on what the quantizer learns: `keras.regularizers.L2(1e-4)` for `ClippedActivation`, say.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Input shape:
        Any with at least one axis beside the batch.

    Output shape:
        That of the input.

    Raises:
        ValueError: `quantizer` is none, or one for kernels.

    Example:

    >>> layer = kerasq.layers.Quantize(kerasq.quantizers.ClippedActivation(limit=6.0))
    >>> layer(keras.ops.array([[-1.0, 0.04, 7.0]])).numpy()
    array([[0.     , 0.03125, 6.     ]], dtype=float32)
    >>> str(layer.output_format)
    'UFIXED8_5'
    """

    def __init__(self, quantizer: QuantizerLike, state_regularizer: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quantizer: Any = quantizers.get(quantizer, "quantizer")
        if self.quantizer is None or type(self.quantizer).alpha is not quantizers.Quantizer.alpha:
            raise ValueError(
                "Quantize: `quantizer` must be one for activations: `FixedPoint`, `LearnedFixedPoint`, `FollowingFixedPoint`, "
                f"`ClippedActivation`, or one's own. Received: quantizer={quantizer!r}"
            )
        self.state_regularizer = keras.regularizers.get(state_regularizer)
        self.state = state_of(self.quantizer, "state", self.state_regularizer)
        self.seed_generator = keras.random.SeedGenerator() if self.quantizer.stochastic else None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if self.state is not None:
            self.state.create(input_shape[-1])
        self.built = True

    def calibrate(self, x: Any) -> None:
        """Sets what the quantizer learns to what it begins with for the values `x`; nothing for one that learns nothing."""
        if self.state is not None:
            if not self.built:
                self.build(ops.shape(x))
            self.state.begin(x)

    @property
    def output_format(self) -> QFormat:
        """The format of the tensor on the device, where activations take 8 or 16 bits."""
        return activation_format(at_state(self.quantizer, self.state).spec())

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return ops.cast(quantized(self.quantizer, self.state, inputs, training, self.seed_generator), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "quantizer": keras.saving.serialize_keras_object(self.quantizer),
            "state_regularizer": keras.regularizers.serialize(self.state_regularizer),
        }
