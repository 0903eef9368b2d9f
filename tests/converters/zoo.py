"""Small Keras networks that the converter's tests share, each with weights that are not trivial."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

import kerasq

L = keras.layers
SHAPE = (9, 10, 3)
FLOAT = {"buffers": {"*": "FLOAT32"}, "parameters": {"*": "FLOAT32"}}  # settings: nothing is quantized


def randomized(model: keras.Model, seed: int = 11) -> keras.Model:
    """The model with random statistics and scales in its normalizations, and biases that are not zero."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            for weight in layer.weights:
                low, high = (0.3, 2.0) if weight.name in ("moving_variance", "gamma") else (-0.5, 0.5)
                weight.assign(rng.uniform(low, high, weight.shape))
        elif isinstance(layer, L.LayerNormalization | L.GroupNormalization | L.RMSNormalization):
            for weight in layer.weights:
                low, high = (0.5, 1.5) if weight.name in ("gamma", "scale") else (-0.5, 0.5)
                weight.assign(rng.uniform(low, high, weight.shape))
        elif getattr(layer, "use_bias", False):
            layer.bias.assign(rng.uniform(-0.5, 0.5, layer.bias.shape))
    return model


def sequential(*layers: keras.Layer) -> keras.Model:
    return randomized(keras.Sequential([keras.Input(SHAPE, name="image"), *layers]))


def residual(conv: Callable[..., keras.Layer] = L.Conv2D) -> keras.Model:
    inputs = keras.Input(SHAPE, name="image")
    x = L.Rescaling(1 / 255, name="scale")(inputs)
    x = conv(6, 3, padding="same", use_bias=False, name="stem")(x)
    x = L.ReLU(name="stem_relu")(L.BatchNormalization(epsilon=1e-5, name="stem_bn")(x))
    h = conv(4, 1, name="unit_conv1", activation="relu")(x)
    h = L.BatchNormalization(name="unit_bn2")(conv(6, 3, padding="same", name="unit_conv2")(h))
    x = L.ReLU(name="unit_relu")(L.Add(name="unit_add")([h, x]))
    x = L.MaxPooling2D(2, name="pool")(x)
    x = L.Flatten(name="flatten")(L.AveragePooling2D((2, 3), name="average")(x))
    return randomized(keras.Model(inputs, L.Dense(5, activation="softmax", name="classes")(x)))


def nested() -> keras.Model:
    inputs = keras.Input(SHAPE, name="image")
    block = keras.Sequential(
        [L.DepthwiseConv2D(3, strides=2, padding="same", name="dw"), L.BatchNormalization(name="bn"), L.ReLU(6.0, name="relu6")],
        name="block",
    )
    x = L.GlobalAveragePooling2D(keepdims=True, name="gap")(block(inputs))
    return randomized(keras.Model(inputs, L.Conv2D(4, 1, name="head")(x)))


def shared() -> keras.Model:
    inputs = keras.Input(SHAPE, name="image")
    twice = L.Conv2D(3, 3, padding="same", name="twice")
    return randomized(keras.Model(inputs, twice(L.ReLU(name="between")(twice(inputs)))))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.conv = L.Conv2D(4, 3, name="conv")
        self.head = L.Dense(3, name="head")

    def call(self, x):
        x = keras.ops.relu(self.conv(x))
        return self.head(keras.ops.mean(x, axis=(1, 2)))


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, *SHAPE), np.float32))
    return randomized(model)


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "residual": residual,
    "residual_binary_weight": lambda: residual(kerasq.BinaryWeightConv2D),
    "residual_binary_connect": lambda: residual(kerasq.BinaryConnectConv2D),
    "residual_fixed_point": lambda: residual(kerasq.FixedPointQuantizedConv2D),
    "nested": nested,
    "shared": shared,
    "subclassed": subclassed,
    "offset_before_padding": lambda: sequential(L.Rescaling(1 / 127.5, offset=-1.0), L.Conv2D(4, 3, padding="same", name="conv")),
    "offset_without_padding": lambda: sequential(L.Rescaling(1 / 127.5, offset=-1.0), L.Conv2D(4, 3, name="conv")),
    "normalization_first": lambda: sequential(L.BatchNormalization(name="bn"), L.Conv2D(4, 3, groups=1, name="conv")),
    "normalization_without_scale": lambda: sequential(
        L.Conv2D(4, 3, name="add_conv_pool"), L.BatchNormalization(scale=False, center=False, epsilon=1e-5), L.ReLU()
    ),
    "normalization_after_relu": lambda: sequential(
        L.Conv2D(4, 3, activation="relu", name="conv"),
        L.BatchNormalization(name="bn"),
        L.Conv2D(2, 3, padding="same", name="next"),
    ),
    "normalization_before_dense": lambda: sequential(
        L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.BatchNormalization(), L.Dense(3, name="dense")
    ),
    "normalization_of_features": lambda: sequential(
        L.Flatten(), L.Dense(6, activation="relu"), L.BatchNormalization(), L.ReLU(), L.Dense(3)
    ),
    "groups": lambda: sequential(L.Conv2D(6, 3, groups=3, name="grouped"), L.BatchNormalization(), L.Conv2D(6, 3, groups=2)),
    "dilation": lambda: sequential(L.Conv2D(4, 3, dilation_rate=(2, 3), padding="same"), L.Conv2D(4, 3, dilation_rate=2)),
    "strides": lambda: sequential(L.Conv2D(4, (2, 3), strides=(2, 3), padding="same"), L.MaxPooling2D((2, 1), padding="same")),
    "depth_multiplier": lambda: sequential(L.DepthwiseConv2D((3, 2), depth_multiplier=2, strides=2), L.BatchNormalization()),
    "average_with_padding": lambda: sequential(L.AveragePooling2D(3, strides=2, padding="same"), L.ReLU(negative_slope=0.0)),
    "global_max": lambda: sequential(L.Conv2D(4, 3), L.GlobalMaxPooling2D(), L.Dropout(0.5), L.Softmax()),
    "reshape_output": lambda: sequential(L.Conv2D(4, 3), L.Reshape((7, 32))),
}


def build(name: str) -> keras.Model:
    """A network of the zoo, always with the same weights."""
    keras.utils.set_random_seed(21)
    return NETWORKS[name]()


def images(count: int = 4, seed: int = 12) -> np.ndarray:
    """Pixels 0..255 as float32."""
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE)).astype(np.float32)


def signal_to_noise_db(expected: np.ndarray, found: np.ndarray) -> float:
    """Power of what was expected over that of the difference."""
    return 10 * np.log10(np.mean(expected**2) / max(np.mean((found - expected) ** 2), 1e-30))
