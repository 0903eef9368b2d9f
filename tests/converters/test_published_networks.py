"""Small forms of what networks that people publish are made of: they compute what Keras computes."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized
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


NETWORKS = {
    "shufflenet_v2": ((8, 8, 3), shufflenet_v2),
    "gray_image_mirrored": ((6, 5, 3), lambda x: L.Conv2D(2, 3)(L.Conv2D(1, 1)(x)[:, :, ::-1])),
    "columns_of_a_gray_image": ((6, 5, 1), lambda x: OPS.take(x, [3, 1, 1], axis=2)),
    "rows_of_a_column": ((6, 1, 1), lambda x: OPS.take(x, [3, 1, 1], axis=1)),
    "one_signal_backwards": ((5, 1), lambda x: L.SimpleRNN(3, use_bias=False, go_backwards=True)(x)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_keras_computes(name):
    assert_computes_what_keras_computes(network(*NETWORKS[name]))
