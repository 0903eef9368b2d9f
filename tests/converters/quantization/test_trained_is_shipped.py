"""What is trained is what is shipped: every tensor of a converted model, by every layer kind and recipe, after some training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
from converters import layer_zoo, zoo
from converters.quantization.networks import pixels, powers_of_two, residual
from converters.quantization.same_tensors import assert_shipped, trained
from kerasq import format as kq
from kerasq.layers import twins
from kerasq_convert.quantization.quantize import has_kernel
from kerasq_convert.quantization.recipes import RECIPES

# Steps inside of these layers are stored, where there is no place for a quantizer.
UNREACHED = ("average", "hard_sigmoid")


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe(recipe):
    x = pixels(32)
    model = trained(kerasq.quantize_model(residual(), x[0], recipe), x)
    content = kerasq.convert(model)
    loaded = kq.loads(content)
    units = assert_shipped(model, content, pixels(64, seed=1))
    activations = [tensor.name for tensor in loaded.tensors if not tensor.is_constant]
    assert set(units) | {"image", "pool/output"} == set(activations)
    assert all(tensor.format.bits == 8 for tensor in loaded.tensors if not tensor.is_constant)
    assert not any(operator.kind == "QUANTIZE" for operator in loaded.operators)


L = keras.layers
KINDS = [name for name in layer_zoo.LAYERS if name not in UNREACHED]


@pytest.mark.parametrize("name", KINDS)
def test_every_layer(name):
    assert_a_step_is_shipped(layer_zoo.make(name))


OTHERS = {
    "transposed": lambda: layer_zoo.image(
        L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"), L.Conv2DTranspose(3, 2, activation="tanh")
    ),
    "transposed1d": lambda: layer_zoo.sequence(L.Conv1DTranspose(4, 3, activation="relu"), L.Conv1D(2, 3)),
    "einsum_dense": lambda: layer_zoo.sequence(
        L.EinsumDense("...x,xy->...y", 8, bias_axes="y", activation="relu"), L.EinsumDense("abc,cd->abd", (16, 6))
    ),
    "separable_with_table": lambda: layer_zoo.image(L.SeparableConv2D(6, 3, activation="tanh"), L.SeparableConv2D(4, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("recipe", ["fixed8", {"*": "binary_weight"}], ids=str)
def test_further_kinds(name, recipe):
    keras.utils.set_random_seed(31)
    assert_a_step_is_shipped(zoo.randomized(OTHERS[name]()), recipe)


def assert_a_step_is_shipped(model, recipe="fixed8"):
    """Of a quantized model after a step of training."""
    x = layer_zoo.examples(model, 16, seed=3)
    quantized = kerasq.quantize_model(model, x if len(x) > 1 else x[0], recipe)
    assert all(twins.kind_of(layer) for layer in model._flatten_layers(include_self=False) if has_kernel(layer))
    if model.trainable_weights:
        trained(quantized, x, steps=1)
    content = kerasq.convert(quantized)
    assert_shipped(quantized, content, layer_zoo.examples(model, 32, seed=4))
    assert [tensor.name for tensor in kq.loads(content).tensors if not tensor.is_constant and tensor.format.is_float] == []


@pytest.mark.parametrize("recipe", ["fixed8", {"*": "binary_connect", "last": kerasq.quantizers.FixedPoint(4, 3)}])
def test_networks_of_powers_of_two_are_equal_throughout(recipe):
    x = pixels(32)
    model = trained(kerasq.quantize_model(powers_of_two(), x[0], recipe), x)
    content = kerasq.convert(model)
    new = pixels(64, seed=2)[0]
    np.testing.assert_array_equal(kerasq.Interpreter(model_content=content).predict(new), model.predict_on_batch(new))


@pytest.mark.parametrize("name", ["nested", "shared"])
def test_models_in_models_and_shared_layers(name):
    model = zoo.NETWORKS[name]()
    x = [np.random.default_rng(6).normal(size=(32, *zoo.SHAPE)).astype(np.float32)]
    quantized = trained(kerasq.quantize_model(model, x[0]), x)
    assert_shipped(quantized, kerasq.convert(quantized), x)
