"""Networks of one or a few layers, by the kinds of layers that people use; `make` gives one with weights that are not trivial."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from converters.zoo import L, randomized

SEQUENCE, IMAGE = (16, 3), (9, 10, 3)


def sequence(*layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(SEQUENCE, name="signal"), *layers])


def image(*layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(IMAGE, name="image"), *layers])


def features(*layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((12,), name="features"), *layers])


def pair(join: keras.Layer, shape: tuple[int, ...] = IMAGE) -> keras.Model:
    inputs = [keras.Input(shape, name="a"), keras.Input(shape, name="b")]
    return keras.Model(inputs, join(inputs))


def normalization(axis: int | tuple[int, ...] | None, shape: tuple[int, ...]) -> keras.Layer:
    rng = np.random.default_rng(4)
    return L.Normalization(axis=axis, mean=rng.normal(size=shape), variance=rng.uniform(0.5, 2, shape))


def residual_of_sequences() -> keras.Model:
    signal = keras.Input(SEQUENCE, name="signal")
    x = L.Conv1D(4, 3, padding="causal", use_bias=False, name="stem")(signal)
    x = L.ReLU(name="stem_relu")(L.BatchNormalization(name="stem_bn")(x))
    h = L.ReLU(name="unit_relu")(L.Conv1D(4, 3, dilation_rate=2, padding="causal", name="unit")(x))
    x = L.ReLU(name="sum_relu")(L.Add(name="sum")([x, h]))
    return keras.Model(signal, L.Dense(3, name="classes")(L.GlobalAveragePooling1D(name="pool")(x)))


def two_inputs_two_outputs() -> keras.Model:
    a, b = keras.Input(IMAGE, name="picture"), keras.Input((5,), name="sensors")
    encoder = L.Conv2D(4, 3, activation="relu", name="encoder")
    x = L.GlobalAveragePooling2D(name="average")(encoder(a))
    x = L.Add(name="join")([x, L.Dense(4, name="sensor_features")(b)])
    return keras.Model([a, b], [L.Dense(2, name="angle")(x), L.Dense(3, activation="softmax", name="kind")(x)])


LAYERS: dict[str, Callable[[], keras.Model]] = {
    "conv1d": lambda: sequence(L.Conv1D(4, 3, padding="same", strides=2), L.BatchNormalization(), L.ReLU()),
    "conv1d_causal": lambda: sequence(L.Conv1D(4, 3, padding="causal", activation="relu"), L.Conv1D(2, 1)),
    "conv1d_dilated": lambda: sequence(L.Conv1D(4, 3, dilation_rate=2, padding="same"), L.Conv1D(4, 3, dilation_rate=3)),
    "conv1d_causal_dilated": lambda: sequence(L.Conv1D(4, 3, dilation_rate=2, padding="causal"), L.ReLU()),
    "conv1d_groups": lambda: sequence(L.Conv1D(6, 3, groups=3)),
    "depthwise1d": lambda: sequence(
        L.DepthwiseConv1D(3, padding="same", depth_multiplier=2), L.BatchNormalization(), L.ReLU(6.0)
    ),
    "depthwise1d_dilated": lambda: sequence(L.DepthwiseConv1D(3, dilation_rate=2)),
    "depthwise2d_dilated": lambda: image(L.DepthwiseConv2D(3, dilation_rate=2, padding="same"), L.ReLU()),
    "separable1d": lambda: sequence(L.SeparableConv1D(4, 3, padding="same", activation="relu")),
    "separable2d": lambda: image(L.SeparableConv2D(4, 3, strides=2, padding="same"), L.BatchNormalization(), L.ReLU()),
    "separable2d_dilated": lambda: image(L.SeparableConv2D(4, 3, dilation_rate=2, padding="same")),
    "max_pooling1d": lambda: sequence(L.MaxPooling1D(3, padding="same", strides=2)),
    "average_pooling1d": lambda: sequence(L.AveragePooling1D(3), L.ReLU()),
    "global_average1d": lambda: sequence(L.Conv1D(4, 3), L.GlobalAveragePooling1D(), L.Dense(3)),
    "global_maximum1d": lambda: sequence(L.GlobalMaxPooling1D(keepdims=True)),
    "mean_over_rows": lambda: image(L.Lambda(lambda x: keras.ops.mean(x, axis=1))),
    "dense_of_sequence": lambda: sequence(L.Dense(5, activation="relu"), L.Dense(2, use_bias=False)),
    "dense_of_image": lambda: image(L.Conv2D(4, 3), L.Dense(5), L.BatchNormalization(), L.ReLU()),
    "softmax_of_sequence": lambda: sequence(L.Dense(4, activation="softmax")),
    "normalization_of_sequence": lambda: sequence(L.BatchNormalization()),
    "normalization_after_pooling": lambda: image(L.Conv2D(4, 3), L.AveragePooling2D(2), L.BatchNormalization(), L.ReLU()),
    "normalization_before_flatten": lambda: image(L.ReLU(), L.BatchNormalization(), L.Flatten(), L.Dense(3)),
    "normalization_after_reshape": lambda: features(
        L.Dense(18), L.Reshape((3, 3, 2)), L.BatchNormalization(), L.ReLU(), L.Conv2D(2, 2)
    ),
    "rescaling": lambda: image(L.Rescaling(1 / 127.5, offset=-1.0), L.Conv2D(4, 3)),
    "layer_normalization": lambda: image(L.Conv2D(6, 3), L.LayerNormalization(), L.Conv2D(4, 3)),
    "layer_normalization_of_features": lambda: features(L.Dense(16), L.LayerNormalization(), L.ReLU(), L.Dense(4)),
    "layer_normalization_of_maps": lambda: image(L.Conv2D(6, 3), L.LayerNormalization(axis=(1, 2, 3)), L.Conv2D(4, 3)),
    "group_normalization": lambda: image(L.Conv2D(6, 3), L.GroupNormalization(2), L.ReLU(), L.Conv2D(4, 3)),
    "instance_normalization": lambda: image(L.Conv2D(6, 3), L.GroupNormalization(-1, scale=False), L.ReLU(), L.Conv2D(4, 3)),
    "group_normalization_of_sequence": lambda: sequence(L.Conv1D(6, 3), L.GroupNormalization(3), L.Conv1D(4, 3)),
    "rms_normalization": lambda: sequence(L.Dense(8), L.RMSNormalization(), L.Dense(4)),
    "unit_normalization": lambda: sequence(L.Dense(8), L.UnitNormalization(), L.Dense(4)),
    "input_normalization": lambda: image(normalization(-1, (3,)), L.Conv2D(4, 3)),
    "input_normalization_of_features": lambda: features(normalization(-1, (12,)), L.Dense(4)),
    "input_normalization_of_elements": lambda: sequence(normalization((1, 2), SEQUENCE), L.Conv1D(4, 3)),
    "zero_padding": lambda: image(L.ZeroPadding2D(((1, 0), (2, 1))), L.Conv2D(4, 3)),
    "zero_padding_alone": lambda: image(L.ZeroPadding2D(((1, 2), (3, 4))), L.MaxPooling2D(2)),
    "zero_padding1d": lambda: sequence(L.ZeroPadding1D((1, 2)), L.Conv1D(2, 3)),
    "cropping2d": lambda: image(L.Cropping2D(((1, 2), (3, 0))), L.ReLU()),
    "cropping1d": lambda: sequence(L.Conv1D(2, 3), L.Cropping1D((1, 2))),
    "last_time_step": lambda: sequence(L.Conv1D(4, 3), L.Lambda(lambda x: x[:, -1]), L.Dense(2)),
    "einsum_dense": lambda: image(
        L.EinsumDense("abcd,de->abce", (9, 10, 4), bias_axes="e", activation="relu"),
        L.Flatten(),
        L.EinsumDense("...x,xy->...y", 5),
    ),
    "transposed_and_cut": lambda: sequence(
        L.Conv1DTranspose(4, 3, strides=2), L.BatchNormalization(), L.ReLU(), L.Conv1DTranspose(2, 5, strides=3)
    ),
    "transposed2d_and_cut": lambda: image(L.Conv2DTranspose(4, 3, strides=2, activation="relu"), L.Conv2D(2, 1)),
    "subtract": lambda: pair(L.Subtract()),
    "average": lambda: pair(L.Average(), SEQUENCE),
    "autoencoder": lambda: features(*(L.Dense(units, activation="relu") for units in (8, 3, 8)), L.Dense(12)),
    "relu_with_maximum": lambda: image(L.Conv2D(4, 3), L.ReLU(max_value=1.5)),
    "hard_sigmoid": lambda: image(L.Conv2D(4, 3, activation="hard_sigmoid")),
    "noise_and_dropout": lambda: image(
        L.GaussianNoise(0.1), L.Conv2D(4, 3), L.SpatialDropout2D(0.2), L.GaussianDropout(0.2), L.ActivityRegularization(0.1)
    ),
    "residual_of_sequences": residual_of_sequences,
    "two_inputs_two_outputs": two_inputs_two_outputs,
}


def make(name: str) -> keras.Model:
    """A network of the zoo, always with the same weights."""
    keras.utils.set_random_seed(31)
    return randomized(LAYERS[name]())


def examples(model: keras.Model, count: int, seed: int) -> list[np.ndarray]:
    """Random examples, one array for each input."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(count, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
