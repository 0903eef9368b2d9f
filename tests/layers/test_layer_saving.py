"""Latent weights survive `.keras`, `.weights.h5` and SavedModel, in every kind of model."""

import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasq import layers
from layers.layer_cases import TENSORFLOW

to_numpy = keras.ops.convert_to_numpy


def convolutional_stack():
    return [
        layers.BinaryConnectConv2D(6, 3, padding="same", stochastic=True, seed=1, name="connect"),
        layers.BinaryWeightConv2D(6, 3, strides=2, use_bias=False, name="weight"),
        keras.layers.BatchNormalization(name="norm"),
        layers.FixedPointQuantize(8, 4, name="activation"),
        layers.FixedPointQuantizedConv2D(4, 1, bits=6, frac_bits=5, name="fixed"),
        keras.layers.Flatten(name="flatten"),
        layers.BinaryConnectDense(7, name="connect_dense"),
        layers.BinaryWeightDense(6, name="weight_dense"),
        layers.FixedPointQuantizedDense(5, quantize_bias=False, name="fixed_dense"),
    ]


def sequential():
    return keras.Sequential([keras.Input((9, 9, 3)), *convolutional_stack()])


def functional():
    inputs = outputs = keras.Input((9, 9, 3))
    for layer in convolutional_stack():
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


@keras.saving.register_keras_serializable("kerasq_tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stack = convolutional_stack()

    def call(self, inputs, training=None):
        for layer in self.stack:
            inputs = layer(inputs, training=training) if layer.name in ("connect", "norm") else layer(inputs)
        return inputs


BUILDERS = {"sequential": sequential, "functional": functional, "subclassed": Subclassed}


def images(size=4):
    return np.random.default_rng(0).normal(0, 1, (size, 9, 9, 3)).astype(np.float32)


@functools.cache
def trained(kind):
    """A model after two steps, so that no weight has its first value. Tests do not change it."""
    keras.utils.set_random_seed(1)
    model = BUILDERS[kind]()
    model.compile("sgd", "mse")
    model.fit(images(), np.ones((4, 5), np.float32), batch_size=2, verbose=0)
    return model


def assert_same(model, other):
    """The same weights, bit for bit, and the same outputs. (Keras saves no states of random draws: not Dropout's either.)"""
    assert len(model.weights) == len(other.weights) == 15
    for weight, restored in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), to_numpy(restored))
    np.testing.assert_array_equal(to_numpy(model(images(), training=False)), to_numpy(other(images(), training=False)))


@pytest.mark.parametrize("kind", BUILDERS)
def test_keras_file_restores_latent_weights_bit_for_bit(kind, tmp_path):
    trained(kind).save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert_same(trained(kind), restored)
    # The latent values, not signs or grid points.
    kernels = [to_numpy(weight) for weight in restored.weights if weight.name == "kernel"]
    assert len(kernels) == 6
    assert all(len(np.unique(kernel)) > 0.9 * kernel.size for kernel in kernels)


@pytest.mark.parametrize("kind", BUILDERS)
def test_weights_file_restores_latent_weights_bit_for_bit(kind, tmp_path):
    trained(kind).save_weights(tmp_path / "model.weights.h5")
    restored = BUILDERS[kind]()
    restored(images(1))
    kernels = [(to_numpy(a), to_numpy(b)) for a, b in zip(trained(kind).weights, restored.weights, strict=True)]
    assert any(np.any(kernel != fresh) for kernel, fresh in kernels)
    restored.load_weights(tmp_path / "model.weights.h5")
    assert_same(trained(kind), restored)


def test_weights_go_between_a_float_model_and_a_quantized_one():
    """The same variables in the same order: a float network's weights are first values of a quantized one."""
    quantized = keras.Sequential(
        [keras.Input((9, 9, 3)), layers.BinaryWeightConv2D(4, 3), layers.FixedPointQuantizedConv2D(2, 3)]
    )
    plain = keras.Sequential([keras.Input((9, 9, 3)), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(2, 3)])
    quantized.set_weights(plain.get_weights())
    for value, other in zip(quantized.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)


def test_clone_model_copies_the_arguments():
    model = sequential()
    clone = keras.models.clone_model(model)
    assert [layer.get_config() for layer in clone.layers] == [layer.get_config() for layer in model.layers]


@pytest.mark.skipif(not TENSORFLOW, reason="a SavedModel is TensorFlow's")
def test_saved_model_computes_the_same(tmp_path):
    import tensorflow as tf

    keras.utils.set_random_seed(2)
    inputs = keras.Input((9, 9, 3))
    branches = {layer.name: layer for layer in convolutional_stack() if layer.name not in ("norm", "flatten")}
    model = keras.Model(inputs, {name: layer(inputs) for name, layer in branches.items()})
    model.export(tmp_path / "saved_model", verbose=False)
    restored = tf.saved_model.load(tmp_path / "saved_model")
    on_grid = np.round(images() * 16) / 16
    served, expected = restored.serve(on_grid), model(on_grid, training=False)
    assert set(served) == set(branches)
    for name in branches:
        # Sums over alpha are rounded in an order that may differ; all others are exact in any.
        tolerance = 1e-5 if name.startswith("weight") else 0
        np.testing.assert_allclose(served[name].numpy(), to_numpy(expected[name]), rtol=tolerance, atol=tolerance)


@pytest.mark.skipif(not TENSORFLOW, reason="reads the traced TensorFlow graph")
@pytest.mark.parametrize(("bits", "frac_bits", "signed"), [(8, 4, True), (16, 12, False), (8, -2, True)])
def test_traced_activation_quantizer_is_clip_scale_floor_scale(bits, frac_bits, signed):
    """The sequence of operators by which a converter recognises the format, with its constants exact."""
    import tensorflow as tf

    layer = layers.FixedPointQuantize(bits, frac_bits, signed)
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None, 3))).graph
    quantized = next(op for op in graph.get_operations() if op.type == "StopGradient").inputs[0].op
    types, constants = [], []
    while quantized.type != "Placeholder":
        types.append(quantized.type)
        constants += [float(tf.get_static_value(x)) for x in quantized.inputs if x.op.type == "Const"]
        quantized = quantized.inputs[0].op
    assert types == ["Mul", "AddV2", "Floor", "Mul", "Maximum", "Minimum"]
    assert constants == [2.0**-frac_bits, 2.0**frac_bits, layer.quantizer.min, layer.quantizer.max]


def test_another_process_loads_the_file_once_the_layers_are_imported(tmp_path):
    model = trained("functional")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "expected.npy", to_numpy(model(images(), training=False)))
    np.save(tmp_path / "images.npy", images())
    script = (
        "import kerasq.layers, keras, numpy as np\n"
        "model = keras.models.load_model('model.keras')\n"
        "outputs = keras.ops.convert_to_numpy(model(np.load('images.npy'), training=False))\n"
        "np.testing.assert_array_equal(outputs, np.load('expected.npy'))\n"
        "print('equal')"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("equal"), done.stderr
