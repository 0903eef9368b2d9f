"""What holds for every quantizer of `kerasq.quantizers`, and for one of a user's own: a new one is tested without an edit here.

(Its values are those of the example in its documentation, and its formula a test of its own where it has one; in layers,
models and files it is tested by tests/layers.)
"""

import dataclasses

import keras
import numpy as np
import pytest

from kerasq import quantizers
from kerasq.quantizers import LearnedFixedPoint
from kerasq.quantizers.straight_through import FINE_GRAINED, IDENTITY
from quantizers.all_quantizers import CLASSES, PUBLISHED, Halves, changed, plain
from quantizers.gradients import value_and_gradient

to_numpy = keras.ops.convert_to_numpy
DEFAULTS = [quantizer() for quantizer in CLASSES]
ALL = [*DEFAULTS, *map(changed, CLASSES)]


def latent(shape=(3, 3, 5, 7), seed=0):
    """Weights on both sides of the range, its usual ends and both zeros among them."""
    weights = np.random.default_rng(seed).normal(0, 4, shape).astype(np.float32)
    weights.reshape(-1)[:6] = [0.0, -0.0, 1.0, -1.0, np.nextafter(np.float32(1), np.float32(2)), -1e-30]
    return weights


@pytest.mark.parametrize("quantizer", ALL, ids=repr)
@pytest.mark.parametrize("shape", [(3, 3, 5, 7), (60, 4)])
def test_values_are_those_of_the_format(quantizer, shape):
    """Up to a factor per output channel where there is an alpha; SIGN, too, with zeros that are let through. Deterministic."""
    weights = latent(shape)
    values = to_numpy(quantizer(weights))
    np.testing.assert_array_equal(values, to_numpy(quantizer(weights)))
    assert values.dtype == np.float32
    assert values.shape == shape
    stored = plain(quantizer, weights)
    for format_ in (stored.spec(), stored.constant_spec()):
        assert format_.is_fixed or format_.is_sign
        if format_.is_sign:
            magnitudes = np.abs(values).max(tuple(range(len(shape) - 1)))
            assert np.all((np.abs(values) == magnitudes) | (weights == 0))
        elif quantizer.alpha(weights) is None:
            np.testing.assert_array_equal(format_.dequantize(format_.quantize(values)), values)
        else:
            alpha = to_numpy(quantizer.alpha(weights))
            integers = np.rint(values / alpha)
            assert np.all((format_.min <= integers) & (integers <= format_.max))
            np.testing.assert_array_equal(integers.astype(np.float32) * alpha, values)
    assert stored.constant_spec().signed


@pytest.mark.parametrize("quantizer", ALL, ids=repr)
def test_larger_weights_have_values_no_smaller(quantizer):
    weights = np.sort(latent((500, 3)), axis=0)
    assert np.all(np.diff(to_numpy(quantizer(weights)), axis=0) >= 0)


@pytest.mark.parametrize("quantizer", CLASSES)
@pytest.mark.parametrize("shape", [(3, 3, 5, 7), (60, 4)])
def test_gradient_is_the_upstream_one_where_the_estimator_passes_it(quantizer, shape):
    weights = latent(shape, 3)
    upstream = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    values, gradient = value_and_gradient(quantizer(straight_through=IDENTITY), weights, upstream)
    np.testing.assert_array_equal(gradient, upstream)
    fine_grained = quantizer(straight_through=FINE_GRAINED)
    same_values, masked = value_and_gradient(fine_grained, weights, upstream)
    np.testing.assert_array_equal(masked, np.where(to_numpy(fine_grained.outside(weights)), 0, upstream))
    np.testing.assert_array_equal(values, same_values)
    assert 0 < np.count_nonzero(masked) <= masked.size
    assert np.count_nonzero(masked) < masked.size or isinstance(fine_grained, LearnedFixedPoint)  # whose range holds them all


@pytest.mark.parametrize("quantizer", ALL, ids=repr)
def test_a_weight_that_is_nan_is_seen(quantizer):
    values = to_numpy(quantizer(np.array([[np.nan], [0.5]], np.float32)))
    assert np.isnan(values[0, 0])


@pytest.mark.parametrize("quantizer", DEFAULTS, ids=repr)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_quantized_in_float32(quantizer, dtype):
    half = keras.ops.cast(latent((60, 4)) / 4, dtype)
    values = quantizer(half)
    assert keras.backend.standardize_dtype(values.dtype) == dtype
    expected = keras.ops.cast(quantizer(keras.ops.cast(half, "float32")), dtype)
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(values, "float32")), to_numpy(keras.ops.cast(expected, "float32")))


@pytest.mark.parametrize("quantizer", DEFAULTS, ids=repr)
def test_integers_become_float32(quantizer):
    values = quantizer(np.array([[3], [200]], np.uint8))
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    np.testing.assert_array_equal(to_numpy(values), to_numpy(quantizer(np.array([[3], [200]], np.float32))))


@pytest.mark.parametrize("quantizer", ALL, ids=repr)
def test_config_round_trip_and_immutability(quantizer):
    config = keras.saving.serialize_keras_object(quantizer)
    package = "kerasq_tests" if isinstance(quantizer, Halves) else "kerasq"
    assert config["registered_name"] == f"{package}>{type(quantizer).__name__}"
    assert config["config"] == dataclasses.asdict(quantizer)
    assert keras.saving.deserialize_keras_object(config) == quantizer == quantizers.get(config)
    assert type(quantizer)() == quantizers.get(config["registered_name"]) == quantizers.get(type(quantizer))
    with pytest.raises(dataclasses.FrozenInstanceError):
        quantizer.straight_through = IDENTITY


@pytest.mark.parametrize("quantizer", CLASSES)
def test_a_wrong_argument_is_named_with_its_value(quantizer):
    with pytest.raises(ValueError, match=quantizer.__name__) as caught:
        quantizer(straight_through="none")
    assert "straight_through='none'" in str(caught.value)
    assert "'fine_grained', 'identity'" in str(caught.value)
    for field in dataclasses.fields(quantizer):
        with pytest.raises(ValueError, match=f"`{field.name}`.* Received: {field.name}="):
            quantizer(**{field.name: "wrong"})


def test_a_quantizer_has_a_documented_example():
    for quantizer in PUBLISHED:
        assert ">>>" in quantizer.__doc__
