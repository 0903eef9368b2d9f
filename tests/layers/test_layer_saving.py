"""Latent weights survive `.keras`, `.weights.h5` and SavedModel, in every kind of model."""

import functools
import importlib
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from kerasq import layers
from layers.kinds import CASES, TENSORFLOW, all_layers, examples, to_numpy, trained

OLD_FILES = pathlib.Path(__file__).parents[1] / "data" / "old_files"


def convolutional_stack():
    return [
        layers.BinaryConnectConv2D(6, 3, padding="same", stochastic=True, seed=1, name="connect"),
        layers.BinaryWeightConv2D(6, 3, strides=2, use_bias=False, name="weight"),
        keras.layers.BatchNormalization(name="norm"),
        layers.FixedPointQuantize(8, 4, name="activation"),
        layers.QuantizedDepthwiseConv2D(3, kernel_quantizer="fixed_point", bias_quantizer="fixed_point", name="depthwise"),
        layers.FixedPointQuantizedConv2D(4, 1, bits=6, frac_bits=5, name="fixed"),
        keras.layers.Flatten(name="flatten"),
        layers.FixedPointQuantizedDense(5, quantize_bias=False, name="fixed_dense"),
    ]


def sequential():
    return keras.Sequential([keras.Input((9, 9, 3)), *convolutional_stack()])


@keras.saving.register_keras_serializable("kerasq_tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stack = convolutional_stack()

    def call(self, inputs, training=None):
        for layer in self.stack:
            inputs = layer(inputs, training=training) if layer.name in ("connect", "norm") else layer(inputs)
        return inputs


BUILDERS = {"sequential": sequential, "subclassed": Subclassed, "functional": all_layers}


def images(size=4):
    return np.random.default_rng(0).normal(0, 1, (size, 9, 9, 3)).astype(np.float32)


@functools.cache
def after_training(kind):
    """A model after two steps, so that no weight has its first value. Tests do not change it."""
    if kind == "functional":
        return trained()[0]
    keras.utils.set_random_seed(1)
    model = BUILDERS[kind]()
    model.compile("sgd", "mse", run_eagerly=TENSORFLOW and kind == "subclassed")  # two steps cost less than to trace them
    model.fit(images(), np.ones((4, 5), np.float32), batch_size=2, verbose=0)
    return model


def inputs_of(kind):
    return examples(4) if kind == "functional" else images()


def of_layers(model):
    """How many kernels, biases and parameters of quantizers it has."""
    parts = [(layer, part) for layer in model.layers for part in getattr(layer, "kernel_parts", ())]
    return len(parts) + len(CASES) + sum(getattr(layer, part.state) is not None for layer, part in parts)


def assert_same(kind, other):
    """The same weights, bit for bit, and the same outputs. (Keras saves no states of random draws: not Dropout's either.)"""
    model, inputs = after_training(kind), inputs_of(kind)
    assert len(model.weights) == len(other.weights) == (of_layers(model) if kind == "functional" else 13)
    for weight, restored in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), to_numpy(restored))
    outputs, others = (keras.tree.map_structure(to_numpy, network(inputs, training=False)) for network in (model, other))
    keras.tree.map_structure(np.testing.assert_array_equal, outputs, others)


@pytest.mark.parametrize("kind", BUILDERS)
def test_keras_file_restores_latent_weights_bit_for_bit(kind, tmp_path):
    after_training(kind).save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert_same(kind, restored)
    # The latent values, not signs or grid points.
    kernels = [to_numpy(weight) for weight in restored.weights if weight.name.endswith("kernel")]
    assert len(kernels) == (sum(len(case.layer.kernel_parts) for case in CASES) if kind == "functional" else 5)
    assert all(len(np.unique(kernel)) > 0.9 * kernel.size for kernel in kernels)


@pytest.mark.parametrize("kind", BUILDERS)
def test_weights_file_restores_latent_weights_bit_for_bit(kind, tmp_path):
    after_training(kind).save_weights(tmp_path / "model.weights.h5")
    restored = BUILDERS[kind]()
    restored(keras.tree.map_structure(lambda values: values[:1], inputs_of(kind)))
    pairs = [(to_numpy(a), to_numpy(b)) for a, b in zip(after_training(kind).weights, restored.weights, strict=True)]
    assert any(np.any(kernel != fresh) for kernel, fresh in pairs)
    restored.load_weights(tmp_path / "model.weights.h5")
    assert_same(kind, restored)


def test_a_file_of_version_0_1_0_loads_and_computes_the_same():
    """All named layers of that version, with arguments of their own, and the layers that a pickle names by their modules."""
    model = keras.models.load_model(OLD_FILES / "layers_0_1_0.keras")
    with np.load(OLD_FILES / "layers_0_1_0.npz") as old:
        for layer in model.layers:
            if f"{layer.name}/kernel" in old.files:
                np.testing.assert_allclose(to_numpy(layer.quantized_kernel), old[f"{layer.name}/kernel"], rtol=1e-6, atol=0)
        # Alpha, and sums over it, are rounded in an order that a backend may choose.
        np.testing.assert_allclose(to_numpy(model(old["images"], training=False)), old["outputs"], rtol=1e-5, atol=1e-5)
    with zipfile.ZipFile(OLD_FILES / "layers_0_1_0.keras") as file:
        stored = json.loads(file.read("config.json"))["config"]["layers"]
    for layer, entry in zip(model.layers, stored, strict=True):
        if entry["registered_name"] is not None:
            assert getattr(importlib.import_module(entry["module"]), entry["class_name"]) is type(layer)
            assert entry["config"].keys() == layer.get_config().keys()


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
    model = after_training("sequential")
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
