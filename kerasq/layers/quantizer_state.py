"""The parameters of a stateful quantizer, as the sub-layer of the layer that computes with them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kerasq.quantizers.stateful import State, StatefulQuantizer

_RANGE = 7.99  # of values that nobody has seen yet: that of `FixedPointQuantize`, 8 bits with 4 of them fractional


class QuantizerState(keras.layers.Layer):
    """Holds a quantizer's parameters as weights.

    (A sub-layer, because Keras' convolutions save and load their own kernel and bias only.)

    Args:
        quantizer: The rule, which several layers may share.
        regularizer: Of the parameters: a penalty in the loss.
    """

    def __init__(self, quantizer: StatefulQuantizer, regularizer: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quantizer = quantizer
        self.regularizer = regularizer

    def create(self, channels: int, first: Any = None) -> None:
        """Makes the weights, for values with so many channels, as they are to begin with for the values `first()`."""
        sample = np.full((2, channels), _RANGE, np.float32)

        def initial(name: str) -> Any:
            def values(shape: Any, dtype: Any = None) -> Any:
                state = self.quantizer.initial_state(ops.convert_to_tensor(sample) if first is None else first())
                return ops.reshape(ops.cast(state[name], dtype), shape)

            return values

        for name, shape in self.quantizer.state_shapes(channels).items():
            weight = self.add_weight(
                shape=shape,
                initializer=initial(name),
                name=name,
                dtype="float32",
                autocast=False,
                trainable=self.quantizer.trains_state,
                regularizer=self.regularizer if self.quantizer.trains_state else None,
                aggregation="mean",
            )
            setattr(self, name, weight)
        self.built = True

    @property
    def values(self) -> State:
        """The parameters by name."""
        return {name: ops.convert_to_tensor(getattr(self, name)) for name in self.quantizer.state_shapes(1)}

    def begin(self, x: Any) -> None:
        """Sets the parameters to those that the quantizer begins with for the values `x`."""
        for name, value in self.quantizer.initial_state(ops.cast(ops.convert_to_tensor(x), "float32")).items():
            getattr(self, name).assign(value)

    def follow(self, x: Any) -> None:
        """What a training step that saw `x` does to parameters that no optimizer moves."""
        if not self.quantizer.trains_state:
            for name, value in self.quantizer.next_state(ops.stop_gradient(x), self.values).items():
                getattr(self, name).assign(value)


def state_of(quantizer: Any, name: str, regularizer: Any = None) -> QuantizerState | None:
    """A place for the parameters of `quantizer`, or `None` where it has none."""
    return QuantizerState(quantizer, regularizer, name=name) if isinstance(quantizer, StatefulQuantizer) else None


def quantized(quantizer: Any, state: QuantizerState | None, x: Any, training: bool | None, seed: Any) -> Any:
    """`x` as `quantizer` has it with these parameters; in training those that follow the data do so first."""
    if state is None:
        return quantizer(x, training=training, seed=seed)
    if training:
        state.follow(x)
    return quantizer(x, training=training, seed=seed, state=state.values)


def at_state(quantizer: Any, state: QuantizerState | None) -> Any:
    """The quantizer without a state whose format stores the values."""
    return quantizer if state is None else quantizer.at(state.values)
