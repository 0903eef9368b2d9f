"""Small forms of what networks that people publish are made of: they compute what Keras computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import L, randomized, signal_to_noise_db
from kerasq_convert import ConversionError
from kerasq_convert.pipeline import float_model

OPS = keras.ops


def network(shape, layers):
    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape, name="x")
    return randomized(keras.Model(inputs, layers(inputs)))


def examples(model, count=8, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, *model.inputs[0].shape[1:])).astype(np.float32)


def assert_computes_what_keras_computes(model):
    x = examples(model)
    expected = np.asarray(model(x, training=False))
    found = kerasq.Interpreter(model_content=float_model(model), engine="reference").predict(x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def shuffled(x, groups):
    height, width, channels = x.shape[1:]
    x = L.Reshape((height, width, groups, channels // groups))(x)
    return L.Reshape((height, width, channels))(L.Permute((1, 2, 4, 3))(x))


def shufflenet_v2(x):
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    for _ in range(2):
        left, right = OPS.split(x, 2, axis=-1)  # what was shuffled is read twice
        right = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 1)(right)))
        right = L.Conv2D(4, 1, activation="relu")(L.DepthwiseConv2D(3, padding="same")(right))
        x = shuffled(L.Concatenate()([left, right]), 2)
    return L.Dense(3)(L.GlobalAveragePooling2D()(x))


def normalized_log(x):
    """As before a network that finds pitches: decibels between an example's own least and largest."""
    decibels = OPS.log10(OPS.square(x) + 1e-3)
    above = decibels - OPS.min(decibels, axis=(1, 2), keepdims=True)
    return OPS.divide_no_nan(above, OPS.max(above, axis=(1, 2), keepdims=True))


def attentive_pooling(x):
    x = L.Conv1D(8, 3, padding="same", activation="relu")(x)
    weights = OPS.exp(L.Dense(1, activation="tanh")(x))
    return OPS.sum(x * (weights / OPS.sum(weights, axis=1, keepdims=True)), axis=1)


def divided_along_channels(x):
    x = OPS.sigmoid(L.Conv2D(6, 3)(x))
    return x / OPS.sum(x, axis=-1, keepdims=True)


def channels_first_by_their_maxima(x):
    return x / OPS.max(OPS.abs(x), axis=(2, 3), keepdims=True)


DIVIDED = {
    "normalized_log": ((8, 6), normalized_log),
    "attentive_pooling": ((16, 6), attentive_pooling),
    "by_the_sum_of_channels": ((6, 5, 3), divided_along_channels),
    "by_the_maximum_of_all": ((6, 5, 3), lambda x: x / OPS.max(OPS.abs(x), axis=(1, 2, 3), keepdims=True)),
    "by_the_maximum_of_each_channel": ((6, 5, 3), lambda x: x / OPS.max(OPS.abs(x), axis=(1, 2), keepdims=True)),
    "channels_first": ((3, 6, 5), channels_first_by_their_maxima),
}
NETWORKS = DIVIDED | {
    "shufflenet_v2": ((8, 8, 3), shufflenet_v2),
    "gray_image_mirrored": ((6, 5, 3), lambda x: L.Conv2D(2, 3)(L.Conv2D(1, 1)(x)[:, :, ::-1])),
    "columns_of_a_gray_image": ((6, 5, 1), lambda x: OPS.take(x, [3, 1, 1], axis=2)),
    "rows_of_a_column": ((6, 1, 1), lambda x: OPS.take(x, [3, 1, 1], axis=1)),
    "one_signal_backwards": ((5, 1), lambda x: L.SimpleRNN(3, use_bias=False, go_backwards=True)(x)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_keras_computes(name):
    assert_computes_what_keras_computes(network(*NETWORKS[name]))


@pytest.mark.parametrize("name", ["normalized_log", "attentive_pooling", "by_the_sum_of_channels"])
def test_a_quotient_is_good_in_eight_bits(name):
    model = network(*DIVIDED[name])
    content = kerasq.convert(model, representative_dataset=examples(model, 32, seed=1))
    x = examples(model, 32)
    found = [kerasq.Interpreter(model_content=content, engine=engine).predict(x) for engine in ("native", "reference")]
    np.testing.assert_array_equal(*found)
    assert signal_to_noise_db(np.asarray(model(x, training=False)), found[0]) > 30


def test_a_quotient_by_nothing_is_nothing():
    model = network((4,), lambda x: OPS.divide_no_nan(x, OPS.sum(OPS.relu(x), axis=1, keepdims=True)))
    x = -np.abs(examples(model))
    found = kerasq.Interpreter(model_content=float_model(model), engine="reference").predict(x)
    np.testing.assert_array_equal(found, np.zeros_like(x))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (lambda x: tf.nn.local_response_normalization(x, depth_radius=1), "BatchNormalization"),
        (lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"), "strides"),
        (lambda x: x / (x[..., ::-1] + 3.0), "divides two activations"),
    ],
)
def test_what_is_refused_names_a_remedy(layers, words):
    with pytest.raises(ConversionError) as error:
        float_model(network((6, 4, 3), L.Lambda(layers, name="it")))
    (problem,) = error.value.problems
    assert problem.startswith("layer 'it'")
    assert words in problem
