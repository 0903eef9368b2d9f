"""Values that fixed point hardly reaches: nothing beside a bias, or an error naming the tensor; never zeros without a word."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L, signal_to_noise_db
from kerasq import format as kq
from kerasq.statistics import Statistics
from kerasq_convert import ConversionError


def features(seed=0, count=64, width=6):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def converted(model, examples, **options):
    content = kerasq.convert(model, representative_dataset=examples, **options)
    return kerasq.Interpreter(model_content=content), kq.loads(content)


def scaled(model, name, factor, bias=None):
    layer = model.get_layer(name)
    layer.kernel.assign(np.asarray(layer.kernel) * np.float32(factor))
    if bias is not None:
        layer.bias.assign(np.full(layer.bias.shape, bias))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("per_channel", [None, True, False])
@pytest.mark.parametrize("size", [1e-6, 1e-10, 1e-18, 1e-30])
def test_kernels_that_count_for_nothing_beside_the_bias_pass_the_proof(bits, per_channel, size):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), L.Dense(3, name="small")])
    scaled(model, "small", size, 0.1)
    interpreter, _ = converted(model, features(), bits=bits, per_channel=per_channel)
    np.testing.assert_allclose(interpreter.predict(features(1)), 0.1, atol=0.002)


def test_a_convolution_with_an_addend_far_larger_than_itself():
    keras.utils.set_random_seed(1)
    image = keras.Input((5, 5, 2), name="image")
    small = L.Conv2D(2, 3, padding="same", use_bias=False, name="small")(image)
    model = keras.Model(image, L.Add()([small, image]))
    scaled(model, "small", 1e-15)
    x = np.random.default_rng(0).normal(size=(32, 5, 5, 2)).astype(np.float32)
    assert signal_to_noise_db(x, converted(model, x)[0].predict(x)) > 35


def test_terms_of_very_different_sizes_are_added():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    model = keras.Model([a, b], L.Add()([a, b]))
    x = [features(0), features(1) * np.float32(1e-13)]
    interpreter, found = converted(model, lambda: [x])
    assert max(found.tensors[index].format.frac_bits for index in found.inputs) > 40
    assert signal_to_noise_db(x[0] + x[1], interpreter.predict(x)) > 35


def test_an_average_that_is_tiny_beside_what_it_averages():
    model = keras.Sequential([keras.Input((4, 4, 1)), L.GlobalAveragePooling2D(), L.Dense(2)])
    x = np.random.default_rng(0).normal(size=(32, 4, 4, 1)) * 1e4
    x -= x.mean(axis=(1, 2), keepdims=True)  # leaves 1e-12, and in float32 some 1e-4
    converted(model, x.astype(np.float32))


def network_with_small_weights(size):
    keras.utils.set_random_seed(1)
    layers = [L.Conv2D(3, 3, padding="same", use_bias=False, name="conv"), L.Flatten(), L.Dense(4, use_bias=False, name="dense")]
    model = keras.Sequential([keras.Input((4, 4, 2), name="image"), *layers])
    scaled(model, "conv", size)
    return model


IMAGES = np.random.default_rng(0).normal(size=(32, 4, 4, 2)).astype(np.float32)


@pytest.mark.parametrize("per_channel", [None, True, False])
def test_weights_that_would_all_be_zero_are_named(per_channel):
    with pytest.raises(ConversionError) as error:
        converted(network_with_small_weights(1e-21), IMAGES, per_channel=per_channel)
    assert "conv/" in str(error.value)
    assert "nothing but zeros" in str(error.value)
    assert "FLOAT32" in str(error.value)


def test_without_ranges_weights_of_nothing_but_zeros_are_named_too():
    with pytest.raises(ConversionError, match=r"conv/kernel.*nothing but zeros"):
        kerasq.convert(network_with_small_weights(1e-21))


def test_with_statistics_alone_an_activation_of_nothing_but_zeros_is_named():
    statistics = Statistics()
    statistics.add("image", IMAGES)
    statistics.add("conv/output", IMAGES[..., :1].repeat(3, axis=-1) * np.float32(1e-21))
    statistics.add("dense/output", IMAGES[:, 0, :2].reshape(-1, 4) * np.float32(1e-21))
    with pytest.raises(ConversionError, match=r"conv/output.*nothing but zeros"):
        kerasq.convert(network_with_small_weights(1e-21), statistics=statistics)


def test_the_remedies_help():
    model = network_with_small_weights(1e-21)
    interpreter, _ = converted(model, IMAGES, settings=FLOAT)
    np.testing.assert_allclose(interpreter.predict(IMAGES), model.predict(IMAGES, verbose=0), atol=1e-26)
    model = network_with_small_weights(1e-15)
    interpreter, _ = converted(model, IMAGES)
    wanted, found = model.predict(IMAGES, verbose=0) * 1e15, interpreter.predict(IMAGES) * 1e15  # squares stay in float32
    assert signal_to_noise_db(wanted, found) > 25


def test_small_weights_whose_outputs_are_scaled_up_again_keep_their_signal():
    model = network_with_small_weights(1e-12)
    scaled(model, "dense", 1e9)
    interpreter, _ = converted(model, IMAGES)
    assert signal_to_noise_db(model.predict(IMAGES, verbose=0), interpreter.predict(IMAGES)) > 25
