"""Outputs of inner layers, and how two networks' are compared."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def with_hints(network: keras.Model, names: list[str]) -> keras.Model:
    """The same layers with outputs `[outputs of the network, outputs of the layers so called]`."""
    outputs = network.outputs[0] if len(network.outputs) == 1 else network.outputs
    return keras.Model(
        network.inputs, [outputs, [network.get_layer(name).output for name in names]], name=f"{network.name}_and_hints"
    )


def attention(ours: Any, theirs: Any) -> Any:
    """The mean over the batch of |a(ours) - a(theirs)|^2, where a is the energy at each position as a unit vector.

    Shape:
        `(batch, ..., channels)`; the channels may differ.
    """
    return ops.mean(ops.sum(ops.square(_energy(ours) - _energy(theirs)), axis=1))


def mean_squared_error(ours: Any, theirs: Any) -> Any:
    """The mean of (ours - theirs)^2, for equal shapes."""
    return ops.mean(ops.square(ours - theirs))


HINT_LOSSES = {"attention": attention, "mse": mean_squared_error}


def _energy(features: Any) -> Any:
    energy = ops.mean(ops.square(features), axis=-1)
    energy = ops.reshape(energy, (ops.shape(energy)[0], -1))
    # The square root of a sum that may be 0 has no gradient there.
    return energy * ops.rsqrt(ops.sum(ops.square(energy), axis=1, keepdims=True) + 1e-12)
