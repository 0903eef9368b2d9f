"""`quantize_model(fold_batch_norm=True)`: the same function with fewer layers, and positions that its examples ask for."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
from converters import zoo
from converters.quantization.networks import pixels, residual
from converters.quantization.same_tensors import assert_shipped, trained
from kerasq import format as kq
from kerasq.quantizers import FixedPoint, FollowingFixedPoint, LearnedFixedPoint
from kerasq_convert.quantization.folding import with_folded_normalizations

L = keras.layers


def normalizations(model):
    return [layer.name for layer in model._flatten_layers() if isinstance(layer, L.BatchNormalization)]


def sequential(*layers, shape=(8, 9, 4)):
    keras.utils.set_random_seed(3)
    return zoo.randomized(keras.Sequential([keras.Input(shape), *layers]))


def with_shared_and_read_sums():
    """A convolution called twice, one whose sums something else reads, one with an activation: all three stay as they are."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 9, 4))
    shared, twice = L.Conv2D(4, 3, padding="same", name="shared"), L.BatchNormalization(name="twice")
    x = L.ReLU()(twice(shared(L.ReLU()(L.BatchNormalization(name="first")(shared(inputs))))))
    sums = L.Conv2D(4, 3, padding="same", name="read")(x)
    x = L.Add()([L.BatchNormalization(name="beside")(sums), sums])
    x = L.BatchNormalization(name="behind")(L.Conv2D(4, 1, activation="relu")(x))
    inner = keras.Sequential([keras.Input((8, 9, 4)), L.Conv2D(3, 1), L.BatchNormalization(name="inner")], name="nested")
    return zoo.randomized(keras.Model(inputs, inner(x)))


MODELS = {
    "residual": (residual, []),
    "kinds": (
        lambda: sequential(
            L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
            L.BatchNormalization(scale=False),
            L.Conv2DTranspose(6, 3, strides=2),
            L.BatchNormalization(center=False),
            L.SeparableConv2D(5, 3, activation="linear"),
            L.BatchNormalization(),
            L.Reshape((-1, 5)),
            L.DepthwiseConv1D(3),
            L.BatchNormalization(),
            L.Conv1DTranspose(3, 2),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dense(7, use_bias=False),
            L.BatchNormalization(),
        ),
        [],
    ),
    "others_stay": (with_shared_and_read_sums, ["first", "twice", "beside", "behind"]),
    "another_axis": (lambda: sequential(L.Conv2D(4, 3), L.BatchNormalization(axis=1, name="rows")), ["rows"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_function_stays_without_the_normalizations(name):
    make, left = MODELS[name]
    model = make()
    weights, before = model.get_weights(), normalizations(model)
    folded = with_folded_normalizations(model)
    assert sorted(normalizations(folded)) == sorted(left)
    assert len(before) > len(left) or name == "another_axis"
    x = np.random.default_rng(1).normal(0, 2, (4, *model.input_shape[1:])).astype(np.float32)
    wanted = model.predict_on_batch(x)
    np.testing.assert_allclose(folded.predict_on_batch(x), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert normalizations(model) == before


def uneven():
    """Two depthwise channels of sixteen have hardly any input, and weights two hundred times those of the others."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((12, 12, 16), name="image")
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(inputs)
    x = L.ReLU(name="relu")(L.BatchNormalization(epsilon=1e-6, name="bn")(x))
    model = keras.Model(inputs, L.Conv2D(8, 1, name="pointwise")(x))
    variance = np.ones(16, np.float32)
    variance[:2] = 200.0**-2
    model.get_layer("bn").moving_variance.assign(variance)
    x = np.random.default_rng(2).normal(size=(128, 12, 12, 16)).astype(np.float32)
    x[..., :2] *= 0.0005
    return model, x


def decibels(wanted, outputs):
    return 10 * np.log10(np.sum(wanted**2) / np.sum((wanted - outputs) ** 2))


def test_examples_place_a_kernel_whose_channels_differ():
    """By its own squared error the large channels take the range; by the outputs' they don't."""
    model, x = uneven()
    wanted = model.predict_on_batch(x[64:])
    reached = {}
    for recipe in ("fixed8", {"*": "learned_fixed_point"}, {"depthwise": FixedPoint(8, -1)}):
        quantized = kerasq.quantize_model(model, x[:64], recipe, fold_batch_norm=True)
        reached[str(recipe)] = decibels(wanted, quantized.predict_on_batch(x[64:]))
    by_examples, learned, by_hand = reached.values()
    assert by_examples > 25
    assert learned > 25
    assert by_hand < 15
    minmax = kerasq.quantize_model(model, x[:64], fold_batch_norm=True, criterion="minmax")
    assert decibels(wanted, minmax.predict_on_batch(x[64:])) < 15


def test_what_a_rule_says_in_full_stays():
    model, x = uneven()
    for quantizer in (FixedPoint(8, -1), LearnedFixedPoint(8, frac_bits=-1), FollowingFixedPoint(8)):
        quantized = kerasq.quantize_model(model, x[:16], {"*": quantizer}, fold_batch_norm=True)
        assert quantized.get_layer("depthwise").kernel_quantizer == quantizer


@pytest.mark.parametrize("recipe", ["fixed8", {"*": LearnedFixedPoint(8)}, "ternary"], ids=str)
def test_trained_without_normalizations_is_shipped(recipe):
    """One format a kernel and no multipliers, but for the scale of the pixels, which one format can't take in."""
    x = pixels(32)
    model = trained(kerasq.quantize_model(residual(), x[0], recipe, fold_batch_norm=True), x)
    content = kerasq.convert(model)
    assert_shipped(model, content, pixels(64, seed=1))
    multipliers = [tensor for tensor in kq.loads(content).tensors if tensor.name.endswith("/multiplier")]
    if recipe != "ternary":
        assert [tensor.name for tensor in multipliers] == ["stem/multiplier"]
        assert len(np.unique(multipliers[0].values)) == 1
