"""Layer families: which classes stand for "convolution" and "dense" when a network of the zoo is built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras


class LayerFamily(NamedTuple):
    """Constructors with the arguments of `keras.layers.Conv2D` and `keras.layers.Dense`."""

    conv2d: Callable[..., Any]
    dense: Callable[..., Any]


def layer_family(name: str, argument: str = "layers") -> LayerFamily:
    """The family called `name`, which `argument` of a network of the zoo asks for.

    Raises:
        ValueError: `name` is not a family.
    """
    from kerasq import layers, quantizers

    def scaled(quantizer: quantizers.Quantizer) -> LayerFamily:
        return LayerFamily(partial(layers.QuantizedConv2D, kernel_quantizer=quantizer), keras.layers.Dense)

    families = {
        "float": LayerFamily(keras.layers.Conv2D, keras.layers.Dense),
        "binary_connect": LayerFamily(layers.BinaryConnectConv2D, keras.layers.Dense),
        "binary_weight": LayerFamily(layers.BinaryWeightConv2D, keras.layers.Dense),
        "ternary": scaled(quantizers.Ternary()),
        "fixed4": scaled(quantizers.ScaledFixedPoint(4)),
        "fixed_point": LayerFamily(layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense),
    }
    if name not in families:
        raise ValueError(f"`{argument}` must be one of {', '.join(map(repr, families))}. Received: {argument}={name!r}")
    return families[name]
