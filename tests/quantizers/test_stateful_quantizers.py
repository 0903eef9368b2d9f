"""Quantizers that learn: values on the grid, the papers' gradients in NumPy, states that follow; in layers, through files."""

import keras
import numpy as np
import pytest

from kerasq import layers
from kerasq.quantizers import (
    ClippedActivation,
    FixedPoint,
    FollowingFixedPoint,
    LearnedFixedPoint,
    LearnedScaledFixedPoint,
    LearnedTernary,
    ScaledFixedPoint,
    Ternary,
)
from kerasq.quantizers.straight_through import FINE_GRAINED
from quantizers.gradients import value_and_gradient

to_numpy = keras.ops.convert_to_numpy


def values(seed=0):
    """Far beyond the ranges below, ties among them."""
    x = np.random.default_rng(seed).normal(0, 3, (60, 4)).astype(np.float32)
    x.reshape(-1)[:5] = [0.0, 0.03125, -0.03125, 7.96875, 100.0]
    return x


def state_gradient(quantizer, name, value, x, upstream):
    """With respect to the one parameter of the state."""
    state = np.array(value, np.float32)
    return value_and_gradient(lambda s: quantizer(x, state={name: s}), state, upstream)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("threshold", [-1.0, 0.3, 1.999, 2.5])
def test_learned_position_has_the_values_of_fixed_point_and_the_gradients_of_the_paper(threshold, bits, signed):
    x, upstream = values(), np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    quantizer = LearnedFixedPoint(bits, signed)
    frac_bits = bits - signed - int(np.ceil(threshold))
    y, gradient = state_gradient(quantizer, "log2_threshold", threshold, x, upstream)
    np.testing.assert_array_equal(y, to_numpy(FixedPoint(bits, frac_bits, signed)(x)))

    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    step, scaled = 2.0**-frac_bits, x.astype(np.float64) * 2.0**frac_bits
    rounded = np.floor(scaled + 0.5)
    inside = (low <= rounded) & (rounded <= high)
    slope = step * np.log(2) * np.where(inside, rounded - scaled, np.clip(rounded, low, high))
    np.testing.assert_allclose(gradient, np.sum(slope * upstream), rtol=1e-4, atol=1e-4)
    _, to_x = value_and_gradient(lambda v: quantizer(v, state={"log2_threshold": np.float32(threshold)}), x, upstream)
    np.testing.assert_array_equal(to_x, np.where(inside, upstream, 0))
    assert 0 < inside.mean() < 1


@pytest.mark.parametrize("limit", [0.7, 1.0, 3.1, 6.0])
@pytest.mark.parametrize("bits", [3, 8])
def test_clipped_activation_has_the_gradients_of_the_paper(limit, bits):
    x, upstream = values(), np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    y, gradient = state_gradient(ClippedActivation(bits), "limit", limit, x, upstream)
    frac_bits = bits - int(np.ceil(np.log2(limit)))
    largest = min(np.floor(limit * 2.0**frac_bits + 0.5), 2**bits - 1)
    expected = np.minimum(np.floor(np.clip(x, 0, np.float32(limit)) * 2.0**frac_bits + 0.5), largest) * 2.0**-frac_bits
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(gradient, np.sum(upstream[x >= np.float32(limit)]), rtol=1e-5)
    _, to_x = value_and_gradient(lambda v: ClippedActivation(bits)(v, state={"limit": np.float32(limit)}), x, upstream)
    np.testing.assert_array_equal(to_x, np.where((x >= 0) & (x < np.float32(limit)), upstream, 0))


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.3])
@pytest.mark.parametrize("shape", [(3, 3, 5, 4), (60, 4)])
def test_learned_ternary_has_the_gradients_of_the_paper(threshold, shape):
    x, upstream = (np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32) for seed in (5, 6))
    alpha = np.array([0.25, 1.0, 3.0, -0.5], np.float32)
    quantizer = LearnedTernary(threshold, FINE_GRAINED)
    axes = tuple(range(len(shape) - 1))
    magnitudes = np.abs(x.astype(np.float64))
    signs = np.where(magnitudes > threshold * magnitudes.mean(axes), np.sign(x), 0)
    y, to_alpha = value_and_gradient(lambda a: quantizer(x, state={"alpha": a}), alpha, upstream)
    np.testing.assert_array_equal(y, alpha * signs)
    np.testing.assert_allclose(to_alpha, np.sum(signs * upstream, axes), rtol=1e-4, atol=1e-4)
    _, to_x = value_and_gradient(lambda v: quantizer(v, state={"alpha": alpha}), x, upstream)
    np.testing.assert_array_equal(to_x, np.where(magnitudes <= 1, upstream, 0))
    begun = to_numpy(quantizer.initial_state(keras.ops.convert_to_tensor(x))["alpha"])
    np.testing.assert_array_equal(begun, to_numpy(Ternary(threshold).alpha(x)))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("shape", [(3, 3, 5, 4), (60, 4)])
def test_learned_step_has_the_gradients_of_the_paper(bits, shape):
    x, upstream = (np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32) for seed in (5, 6))
    log2_alpha = np.array([-3.0, -1.0, 0.0, 1.0], np.float32)
    quantizer, largest = LearnedScaledFixedPoint(bits), 2 ** (bits - 1) - 1
    alpha = 2.0 ** log2_alpha.astype(np.float64)
    scaled = x / alpha
    rounded = np.floor(scaled + 0.5)
    inside = np.abs(rounded) <= largest
    stored = np.clip(rounded, -largest, largest)
    y, gradient = value_and_gradient(lambda a: quantizer(x, state={"log2_alpha": a}), log2_alpha, upstream)
    np.testing.assert_array_equal(y, (alpha * stored).astype(np.float32))
    slope = alpha * np.log(2) * np.where(inside, stored - scaled, stored)
    np.testing.assert_allclose(gradient, np.sum(slope * upstream, tuple(range(len(shape) - 1))), rtol=1e-4, atol=1e-4)
    _, to_x = value_and_gradient(lambda v: quantizer(v, state={"log2_alpha": log2_alpha}), x, upstream)
    np.testing.assert_array_equal(to_x, np.where(inside, upstream, 0))
    begun = to_numpy(quantizer.alpha(x))
    np.testing.assert_allclose(begun, to_numpy(ScaledFixedPoint(bits).alpha(x)), rtol=1e-6)


@pytest.mark.parametrize("exponent", [-7, -1, 0, 3, 9])
def test_a_position_begins_where_the_squared_error_is_least(exponent):
    x = np.random.default_rng(2).normal(0, 2.0**exponent, (400, 3)).astype(np.float32)
    for bits in (3, 8):
        quantizer = LearnedFixedPoint(bits)
        chosen = quantizer.at(quantizer.initial_state(keras.ops.convert_to_tensor(x)))
        errors = {n: np.sum((to_numpy(FixedPoint(bits, n)(x)) - x) ** 2) for n in range(-12, 20)}
        assert chosen.frac_bits == min(errors, key=errors.get)


def test_positions_follow_what_is_seen_in_training_only():
    layer = layers.Quantize(FollowingFixedPoint(8, criterion="max", momentum=0.5))
    layer.build((None, 4))
    layer.calibrate(np.full((2, 4), 4.0, np.float32))
    large = np.full((2, 4), -100.0, np.float32)
    layer(large, training=False)
    assert str(layer.output_format) == "FIXED8_5"
    layer(large, training=True)
    np.testing.assert_allclose(to_numpy(layer.state.average), 52.0)
    assert str(layer.output_format) == "FIXED8_1"


def model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Quantize(LearnedFixedPoint(8, frac_bits=5)),
            layers.QuantizedConv2D(6, 3, kernel_quantizer=LearnedFixedPoint(4), bias_quantizer=LearnedFixedPoint(16)),
            layers.Quantize(ClippedActivation(limit=2.0), state_regularizer=keras.regularizers.L2(0.01)),
            layers.QuantizedDepthwiseConv2D(3, kernel_quantizer=FollowingFixedPoint(8)),
            layers.Quantize(FollowingFixedPoint(8)),
            keras.layers.Flatten(),
            layers.QuantizedDense(8, kernel_quantizer=LearnedTernary()),
            layers.QuantizedDense(6, kernel_quantizer=LearnedScaledFixedPoint()),
            layers.QuantizedDense(4, kernel_quantizer=LearnedFixedPoint(8)),
        ]
    )


def test_what_is_learned_trains_is_saved_and_goes_on(tmp_path):
    keras.utils.set_random_seed(1)
    trained = model()
    x, y = (np.random.default_rng(3).normal(size=shape).astype(np.float32) for shape in ((16, 8, 8, 3), (16, 4)))
    before = {weight.path: to_numpy(weight) for weight in trained.weights}
    assert len(trained.losses) == 1
    trained.compile(keras.optimizers.Adam(0.01), "mse")
    trained.fit(x, y, verbose=0)
    states = [weight for weight in trained.weights if "state" in weight.path]
    assert len(states) == 9
    moved = [weight.path for weight in states if np.all(to_numpy(weight) != before[weight.path])]
    # All that have a gradient: a bias of zeros has none yet.
    assert {weight.path for weight in states if weight.trainable and "bias" not in weight.path} <= set(moved)
    assert len(moved) >= 6
    trained.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    for network in (trained, restored):
        network.fit(x, y, verbose=0)
    for weight, other in zip(trained.weights, restored.weights, strict=True):
        np.testing.assert_allclose(to_numpy(weight), to_numpy(other), rtol=1e-6)


def test_a_quantizer_of_kernels_is_refused_for_activations():
    for quantizer in ("binary_weight", "ternary", "learned_ternary", "scaled_fixed_point", "learned_scaled_fixed_point", None):
        with pytest.raises(ValueError, match=r"must be one for activations.* Received: quantizer="):
            layers.Quantize(quantizer)
