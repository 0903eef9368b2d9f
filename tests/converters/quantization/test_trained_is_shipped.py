"""What is trained is what is shipped: every tensor of a converted model, by every layer kind and recipe, after some training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
from converters import layer_zoo, zoo
from converters.quantization.networks import pixels, powers_of_two, residual
from converters.quantization.same_tensors import OF_RANDOM_FACTORS, SHARE, assert_shipped, trained
from kerasq import format as kq
from kerasq.layers import twins
from kerasq.nested import quantized_kernels
from kerasq_convert.quantization.quantize import has_kernel
from kerasq_convert.quantization.recipes import RECIPES

# Steps inside of these layers are stored, where there is no place for a quantizer.
UNREACHED = ("average", "hard_sigmoid")
# Of all values of such a network. At most a 256th of those of 8 bits behind a normalization are moved to the neighbour, times
# gamma over its smallest (formats/normalized.py): twice as many with gammas of 0.5 to 1.5, which the zoo has, but less than half
# of all values lie there.
OF_NORMALIZATIONS = 1 / 256


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe(recipe):
    x = pixels(32)
    model = trained(kerasq.quantize_model(residual(), x[0], recipe), x)
    content = kerasq.convert(model)
    assert kerasq.convert(model, representative_dataset=x[0]) == content, "examples decide nothing: no ranges are filled"
    loaded = kq.loads(content)
    units = assert_shipped(model, content, pixels(64, seed=1), OF_RANDOM_FACTORS)
    activations = [tensor.name for tensor in loaded.tensors if not tensor.is_constant]
    assert set(units) | {"image", "pool/output"} == set(activations)
    assert all(tensor.format.bits == 8 for tensor in loaded.tensors if not tensor.is_constant)
    assert not any(operator.kind == "QUANTIZE" for operator in loaded.operators)


L = keras.layers
NORMALIZATIONS = (L.LayerNormalization, L.GroupNormalization, L.RMSNormalization, L.UnitNormalization)
KINDS = [name for name in layer_zoo.LAYERS if name not in UNREACHED]


@pytest.mark.parametrize("name", KINDS)
def test_every_layer(name):
    model = layer_zoo.make(name)
    normalizes = any(isinstance(layer, NORMALIZATIONS) for layer in model.layers)
    assert_a_step_is_shipped(model, OF_NORMALIZATIONS if normalizes else SHARE)


def every_layer_of_images():
    return layer_zoo.image(
        L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="transposed"),
        L.SeparableConv2D(6, 3, activation="tanh", name="separable"),
        L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise"),
        L.Conv2D(8, 3, strides=2, name="convolution"),
        L.EinsumDense("abcd,de->abce", (6, 7, 6), bias_axes="e", activation="relu", name="mixed"),
        L.Flatten(name="flatten"),
        L.Dense(5, name="dense"),
    )


def every_layer_of_sequences():
    return layer_zoo.sequence(
        L.Conv1DTranspose(4, 3, strides=2, activation="relu", name="transposed"),
        L.SeparableConv1D(6, 3, padding="same", name="separable"),
        L.DepthwiseConv1D(3, depth_multiplier=2, activation="relu", name="depthwise"),
        L.Conv1D(8, 3, padding="causal", activation="tanh", name="convolution"),
        L.EinsumDense("...x,xy->...y", 8, bias_axes="y", activation="relu", name="mixed"),
        L.GlobalMaxPooling1D(name="pool"),
        L.Dense(5, name="dense"),
    )


QUANTIZERS = [
    *RECIPES,
    kerasq.quantizers.ScaledFixedPoint(8),
    kerasq.quantizers.LearnedTernary(),
    kerasq.quantizers.LearnedFixedPoint(8),
    kerasq.quantizers.FollowingFixedPoint(6, criterion="max"),
]
OF_POWERS_OF_TWO = ("fixed8", "binary_connect", kerasq.quantizers.LearnedFixedPoint, kerasq.quantizers.FollowingFixedPoint)


@pytest.mark.parametrize("make", [every_layer_of_images, every_layer_of_sequences])
@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
def test_every_layer_with_every_quantizer(make, quantizer):
    keras.utils.set_random_seed(34)
    model = zoo.randomized(make())
    x = layer_zoo.examples(model, 16, seed=3)
    quantized = trained(kerasq.quantize_model(model, x[0], {"*": quantizer}), x)
    for layer, part in quantized_kernels(quantized):  # as if training had gone on: positions are two bits coarser
        if isinstance(getattr(layer, part.quantizer), kerasq.quantizers.LearnedFixedPoint):
            (position,) = getattr(layer, part.state).weights
            position.assign(2 * position if position.name == "average" else position + 1.5)
    new = layer_zoo.examples(model, 32, seed=4)
    units = assert_shipped(quantized, kerasq.convert(quantized), new, OF_RANDOM_FACTORS)
    assert len(units) == len(model.layers) - 1 + 2  # all but the flattened or pooled one; in halves, and before the table
    if quantizer in OF_POWERS_OF_TWO or isinstance(quantizer, OF_POWERS_OF_TWO[2:]):
        assert not any(array.any() for array in units.values())


@pytest.mark.parametrize("scaled", [False, True])
def test_activations_whose_quantizers_learn(scaled):
    """Limits and positions; equal to the bit where kernels have no factors."""
    kernel = {"kernel_quantizer": "LearnedScaledFixedPoint" if scaled else kerasq.quantizers.FixedPoint(8, 6), "use_bias": scaled}
    keras.utils.set_random_seed(32)
    model = layer_zoo.image(
        kerasq.layers.Quantize(kerasq.quantizers.LearnedFixedPoint(8), name="first"),
        kerasq.layers.QuantizedConv2D(6, 3, activation="relu", name="convolution", **kernel),
        kerasq.layers.Quantize(kerasq.quantizers.ClippedActivation(7, limit=1.7), name="clipped"),
        kerasq.layers.QuantizedDepthwiseConv2D(3, name="depthwise", **kernel),
        kerasq.layers.Quantize(kerasq.quantizers.FollowingFixedPoint(8, momentum=0.5), name="following"),
        L.Flatten(),
        kerasq.layers.QuantizedDense(5, name="dense", **kernel),
        kerasq.layers.Quantize(kerasq.quantizers.LearnedFixedPoint(6), name="last"),
    )
    x = layer_zoo.examples(model, 16, seed=3)
    before = [layer.state.get_weights()[0] for layer in model.layers if isinstance(layer, kerasq.layers.Quantize)]
    trained(model, x, steps=3)
    after = [layer.state.get_weights()[0] for layer in model.layers if isinstance(layer, kerasq.layers.Quantize)]
    assert all(np.not_equal(before, after))
    units = assert_shipped(model, kerasq.convert(model), layer_zoo.examples(model, 64, seed=4))
    assert set(units) >= {"clipped/output", "following/output", "last/output"}
    assert scaled or not any(array.any() for array in units.values())


def assert_a_step_is_shipped(model, share=SHARE):
    """Of a quantized model after a step of training."""
    x = layer_zoo.examples(model, 16, seed=3)
    quantized = kerasq.quantize_model(model, x if len(x) > 1 else x[0])
    assert all(twins.kind_of(layer) for layer in model._flatten_layers(include_self=False) if has_kernel(layer))
    if model.trainable_weights:
        trained(quantized, x, steps=1)
    content = kerasq.convert(quantized)
    assert_shipped(quantized, content, layer_zoo.examples(model, 32, seed=4), share)
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


@pytest.mark.parametrize(("rows", "numbers"), [(50, "UFIXED8_0"), (700, "UFIXED16_0")])
def test_rows_of_an_embedding(rows, numbers):
    """Numbers come in unrounded, rows are rounded once; what is normalized behind a ReLU has a sign again."""
    keras.utils.set_random_seed(35)
    layers = (
        L.Embedding(rows, 8, name="rows"),
        L.ReLU(name="positive"),
        L.LayerNormalization(name="normalized"),
        L.Flatten(),
        L.Dense(4),
    )
    model = keras.Sequential([keras.Input((12,), dtype="int32", name="words"), *layers])
    x = [np.random.default_rng(7).integers(0, rows, (32, 12)).astype(np.int32)]
    quantized = trained(kerasq.quantize_model(model, x[0]), x)
    content = kerasq.convert(quantized)
    units = assert_shipped(quantized, content, x, OF_NORMALIZATIONS)
    assert not units["positive_quantizer/output"].any()
    formats = {tensor.name: tensor.format for tensor in kq.loads(content).tensors}
    assert str(formats["words"]) == numbers
    assert formats["normalized_quantizer/output"].signed
    assert not any(form.is_float for form in formats.values())


@pytest.mark.parametrize("smallest", [False, True])
def test_labels(smallest):
    features = keras.Input((12,), name="features")
    scores = L.Dense(5, name="scores")(features)
    label = (keras.ops.argmin if smallest else keras.ops.argmax)(scores, axis=-1)
    x = np.random.default_rng(8).normal(size=(64, 12)).astype(np.float32)
    quantized = kerasq.quantize_model(keras.Model(features, label), x)
    labels = kerasq.Interpreter(model_content=kerasq.convert(quantized)).predict(x)
    assert len(np.unique(labels)) > 2
    np.testing.assert_array_equal(labels.reshape(-1), quantized.predict_on_batch(x))
