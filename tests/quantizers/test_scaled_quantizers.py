"""Ternary and ScaledFixedPoint: values and factors of the published formulas, in NumPy and float64."""

import keras
import numpy as np
import pytest

from kerasq.quantizers import ScaledFixedPoint, Ternary

to_numpy = keras.ops.convert_to_numpy
SHAPES = [(3, 3, 5, 7), (40, 4)]


def latent(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def rows(weights):
    """The weights of an output channel in a row, float64."""
    return weights.astype(np.float64).reshape(-1, weights.shape[-1]).T


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_ternary_weights_are_those_of_the_paper(shape, threshold):
    weights = latent(shape)
    quantizer = Ternary(threshold)
    for row, values, alpha in zip(
        rows(weights), rows(to_numpy(quantizer(weights))), to_numpy(quantizer.alpha(weights)), strict=True
    ):
        large = np.abs(row) > threshold * np.abs(row).mean()
        assert 0 < large.sum() <= row.size
        np.testing.assert_allclose(alpha, np.abs(row[large]).mean(), rtol=1e-6)
        np.testing.assert_array_equal(values, np.where(large, np.sign(row), 0) * np.float32(alpha))


def test_channels_of_zeros_stay_zero():
    weights = np.zeros((6, 2), np.float32)
    weights[:, 1] = [1, -1, 2, 0, 0, 1]
    for quantizer in (Ternary(), ScaledFixedPoint(4, "max"), ScaledFixedPoint(4, "mse")):
        values = to_numpy(quantizer(weights))
        assert not values[:, 0].any()
        assert values[:, 1].any()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_saturation_the_largest_weight_is_the_largest_integer(shape, bits):
    weights, largest = latent(shape, 1), 2 ** (bits - 1) - 1
    for row, values in zip(rows(weights), rows(to_numpy(ScaledFixedPoint(bits, "max")(weights))), strict=True):
        alpha = np.abs(row).max() / largest
        np.testing.assert_allclose(values, alpha * np.floor(row / alpha + 0.5), rtol=1e-6)


@pytest.mark.parametrize("bits", [2, 4])
def test_the_least_squared_error_is_at_most_that_of_every_part_of_the_range(bits):
    weights, largest = latent((60, 5), 2), 2 ** (bits - 1) - 1
    quantizer = ScaledFixedPoint(bits, "mse")
    for row, values, alpha in zip(
        rows(weights), rows(to_numpy(quantizer(weights))), to_numpy(quantizer.alpha(weights)), strict=True
    ):
        candidates = np.abs(row).max() / largest * (1 - 0.05 * np.arange(14))
        errors = [np.sum((row - a * np.clip(np.floor(row / a + 0.5), -largest, largest)) ** 2) for a in candidates]
        assert np.sum((row - values) ** 2) <= min(errors) * (1 + 1e-5)
        assert np.min(np.abs(candidates / alpha - 1)) < 1e-6
    assert np.any(to_numpy(quantizer.alpha(weights)) < np.abs(weights).max(0) / largest)
