"""Float networks to be quantized."""

from __future__ import annotations

import keras
import numpy as np

from converters import zoo

L = keras.layers


def residual():
    """What one trains: normalizations, an addition, poolings, a function with a table, depthwise layers."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((12, 12, 3), name="image")
    x = L.Rescaling(1 / 255, name="scale")(inputs)
    x = L.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(x)
    x = L.ReLU(name="stem_relu")(L.BatchNormalization(name="stem_bn")(x))
    h = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    h = L.Activation("swish", name="swish")(L.BatchNormalization(name="depthwise_bn")(h))
    h = L.BatchNormalization(name="pointwise_bn")(L.Conv2D(8, 1, use_bias=False, name="pointwise")(h))
    x = L.ReLU(6.0, name="sum_relu")(L.Add(name="sum")([h, x]))
    x = L.MaxPooling2D(2, name="pool")(x)
    h = L.Conv2D(6, 3, padding="same", activation="tanh", name="curved")(x)
    x = L.Concatenate(name="joined")([x, h])
    x = L.Dropout(0.1, name="dropout")(L.GlobalAveragePooling2D(name="average")(x))
    return zoo.randomized(keras.Model(inputs, L.Dense(5, name="logits")(L.Dense(8, activation="relu", name="hidden")(x))))


def pixels(count, seed=0):
    return [np.random.default_rng(seed).integers(0, 256, (count, 12, 12, 3)).astype(np.float32)]


def powers_of_two():
    """Every factor of it is a power of two: no normalization, a scale of 1/256, averages of four pixels."""
    keras.utils.set_random_seed(8)
    inputs = keras.Input((12, 12, 3), name="image")
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="stem")(L.Rescaling(1 / 256, name="scale")(inputs))
    h = L.Conv2D(8, 3, padding="same", name="unit")(x)
    x = L.AveragePooling2D(2, name="average")(L.ReLU(name="sum_relu")(L.Add(name="sum")([h, x])))
    x = L.DepthwiseConv2D(3, use_bias=False, name="depthwise")(L.MaxPooling2D(2, name="pool")(x))
    return zoo.randomized(keras.Model(inputs, L.Dense(5, name="logits")(L.Flatten(name="flatten")(x))))
