"""BinaryConnect and BinaryWeight: exact values, documented gradients, draws that mean the weight."""

import keras
import numpy as np
import pytest

from kerasq.qformat import SIGN
from kerasq.quantizers import BinaryConnect, BinaryWeight, FixedPoint, Ternary
from quantizers.gradients import value_and_gradient

SHAPES = [(3, 3, 5, 7), (11, 4)]


def latent(shape, seed=0):
    """Weights on both sides of ±1, the ends and both zeros among them."""
    weights = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    weights.reshape(-1)[:6] = [0.0, -0.0, 1.0, -1.0, np.nextafter(np.float32(1), np.float32(2)), -1e-30]
    return weights


def expected_sign(weights, zero):
    return np.where(weights > 0, 1, np.where(weights < 0, -1, zero)).astype(np.float32)


@pytest.mark.parametrize("zero", [1, -1, 0, 1.0])
@pytest.mark.parametrize("straight_through", ["fine_grained", "identity"])
@pytest.mark.parametrize("shape", SHAPES)
def test_binary_connect_is_the_sign(shape, straight_through, zero):
    weights = latent(shape)
    y = BinaryConnect(quantize_zero_to=zero, straight_through=straight_through)(weights)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), expected_sign(weights, zero))


@pytest.mark.parametrize("zero", [1, -1, 0])
@pytest.mark.parametrize("straight_through", ["fine_grained", "identity"])
@pytest.mark.parametrize("shape", SHAPES)
def test_binary_weight_is_alpha_times_the_sign_exactly(shape, straight_through, zero):
    weights = latent(shape)
    quantizer = BinaryWeight(zero, straight_through)
    y = keras.ops.convert_to_numpy(quantizer(weights))
    alpha = keras.ops.convert_to_numpy(quantizer.alpha(weights))
    np.testing.assert_array_equal(y, alpha * expected_sign(weights, zero))
    mean = np.abs(weights.astype(np.float64)).reshape(-1, shape[-1]).mean(0)
    np.testing.assert_allclose(alpha, mean, rtol=1e-6)


@pytest.mark.parametrize("quantizer", [BinaryConnect, BinaryWeight])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(quantizer, shape):
    weights = latent(shape, 3)
    upstream = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    _, identity = value_and_gradient(quantizer(), weights, upstream)
    np.testing.assert_array_equal(identity, upstream)
    _, masked = value_and_gradient(quantizer(straight_through="fine_grained"), weights, upstream)
    np.testing.assert_array_equal(masked, np.where(np.abs(weights) <= 1, upstream, 0))
    assert 0 < np.count_nonzero(masked) < masked.size


@pytest.mark.parametrize("quantizer", [BinaryWeight, Ternary])
@pytest.mark.parametrize("shape", SHAPES)
def test_magnitude_aware_gradients_are_larger_in_channels_of_larger_weights(quantizer, shape):
    weights = latent(shape, 3) * np.linspace(0.2, 1.5, shape[-1], dtype=np.float32)
    upstream = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    magnitudes = np.abs(weights.astype(np.float64)).reshape(-1, shape[-1])
    large = magnitudes > 0.7 * magnitudes.mean(0) if quantizer is Ternary else np.ones_like(magnitudes)
    alpha = np.sum(magnitudes * large, axis=0) / large.sum(axis=0)
    values, gradient = value_and_gradient(quantizer(straight_through="magnitude_aware"), weights, upstream)
    np.testing.assert_allclose(gradient, np.where(np.abs(weights) <= 1, upstream * alpha, 0), rtol=1e-5)
    np.testing.assert_array_equal(values, keras.ops.convert_to_numpy(quantizer()(weights)))


def test_quantizers_without_an_alpha_are_not_aware_of_magnitudes():
    for quantizer in (BinaryConnect, FixedPoint):
        with pytest.raises(ValueError, match=r"one of 'fine_grained', 'identity'\. Received: straight_through='magnitude_aware'"):
            quantizer(straight_through="magnitude_aware")


def test_stochastic_signs_have_the_probability_of_the_hard_sigmoid():
    draws = 20_000
    weights = np.array([-3.0, -1.0, -0.5, 0.0, 0.2, 0.9, 1.0, 2.0], np.float32)
    seed = keras.random.SeedGenerator(5)
    y = BinaryConnect(stochastic=True)(np.tile(weights, (draws, 1)), training=True, seed=seed)
    y = keras.ops.convert_to_numpy(y)
    assert set(np.unique(y)) == {-1.0, 1.0}
    probability = np.clip((weights + 1) / 2, 0, 1)
    error = np.abs((y > 0).mean(0) - probability)
    assert np.all(error <= 4.5 * np.sqrt(probability * (1 - probability) / draws))


def test_stochastic_signs_are_new_at_every_call_and_the_same_from_the_same_seed():
    weights = np.zeros((64, 8), np.float32)
    quantizer = BinaryConnect(stochastic=True)

    def two_calls():
        seed = keras.random.SeedGenerator(6)
        return [keras.ops.convert_to_numpy(quantizer(weights, training=True, seed=seed)) for _ in range(2)]

    first, second = two_calls()
    assert np.any(first != second)
    np.testing.assert_array_equal([first, second], two_calls())


@pytest.mark.parametrize("training", [False, None])
def test_inference_takes_the_sign_even_if_stochastic(training):
    weights = latent((50, 4))
    y = BinaryConnect(stochastic=True)(weights, training=training, seed=keras.random.SeedGenerator(7))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), expected_sign(weights, 1))


def test_stochastic_gradient_passes_as_without():
    weights, upstream = latent((20, 4)), np.full((20, 4), 0.25, np.float32)
    quantizer = BinaryConnect(stochastic=True, straight_through="fine_grained")
    _, gradient = value_and_gradient(lambda w: quantizer(w, training=True, seed=8), weights, upstream)
    np.testing.assert_array_equal(gradient, np.where(np.abs(weights) <= 1, upstream, 0))


def test_stochastic_training_without_a_seed_is_an_error():
    with pytest.raises(ValueError, match="seed=None"):
        BinaryConnect(stochastic=True)(latent((11, 4)), training=True)


@pytest.mark.parametrize("quantizer", [BinaryConnect, BinaryWeight])
@pytest.mark.parametrize("zero", [2, 0.5, "1", None, True])
def test_errors_name_every_problem(quantizer, zero):
    with pytest.raises(ValueError, match=quantizer.__name__) as caught:
        quantizer(quantize_zero_to=zero, straight_through="none")
    assert f"quantize_zero_to={zero!r}" in str(caught.value)
    assert "straight_through='none'" in str(caught.value)


def test_stochastic_must_be_a_boolean():
    with pytest.raises(ValueError, match="stochastic=1"):
        BinaryConnect(stochastic=1)


@pytest.mark.parametrize("quantizer", [BinaryConnect, BinaryWeight])
def test_signs_are_stored_as_such(quantizer):
    assert quantizer().spec() == quantizer().constant_spec() == SIGN
