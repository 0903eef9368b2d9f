"""Layer families: which classes stand for "convolution" and "dense" when a network of the zoo is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras


class LayerFamily(NamedTuple):
    """Constructors with the arguments of `keras.layers.Conv2D` and `keras.layers.Dense`."""

    conv2d: Callable[..., Any]
    dense: Callable[..., Any]


def layer_family(name: str) -> LayerFamily:
    """The family called `name`.

    Raises:
        ValueError: `name` is not a family.
    """
    from kerasq import layers

    families = {
        "float": LayerFamily(keras.layers.Conv2D, keras.layers.Dense),
        "binary_connect": LayerFamily(layers.BinaryConnectConv2D, keras.layers.Dense),
        "binary_weight": LayerFamily(layers.BinaryWeightConv2D, keras.layers.Dense),
        "fixed_point": LayerFamily(layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense),
    }
    if name not in families:
        raise ValueError(f"`layers` must be one of {', '.join(map(repr, families))}. Received: layers={name!r}")
    return families[name]
