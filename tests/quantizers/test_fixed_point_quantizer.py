"""FixedPoint: exact values, documented gradients, clear errors."""

import functools
from fractions import Fraction

import keras
import numpy as np
import pytest

from kerasq.quantizers import FixedPoint
from quantizers.gradients import value_and_gradient

FORMATS = [(8, 4, True), (8, 4, False), (2, 0, True), (16, 12, True), (16, 16, False), (6, 3, True), (8, -2, True)]
FORMATS += [(8, 12, True), (16, -32, True), (16, 63, False)]


def stored_integer(x, bits, frac_bits, signed):
    """NUMERICS.md section 2 in exact rational arithmetic."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    rounded = (Fraction(float(x)) * Fraction(2) ** frac_bits + Fraction(1, 2)).__floor__()
    return min(max(rounded, low), high)


def samples(bits, frac_bits, signed):
    """Values over twice the range, every kind of tie, and the neighbours of the ties."""
    rng = np.random.default_rng(bits * 100 + frac_bits)
    reach = 2.0 ** (bits if signed else bits + 1)
    ties = np.concatenate([np.arange(-4, 4), [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2**bits - 1]]).astype(np.float32) + 0.5
    points = np.concatenate([rng.uniform(-reach, reach, 300).astype(np.float32), ties, -ties, np.floor(ties), [0.0, -0.0]])
    points = points.astype(np.float32)
    points = np.concatenate([points, np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(-np.inf))])
    points = points[(points == 0) | (np.abs(points) > 2.0**-60)]  # no subnormal numbers after scaling
    return np.ldexp(points, -frac_bits).astype(np.float32)


@pytest.mark.parametrize("straight_through", ["fine_grained", "identity"])
@pytest.mark.parametrize(("bits", "frac_bits", "signed"), FORMATS)
def test_forward_is_the_stored_value_exactly(bits, frac_bits, signed, straight_through):
    x = samples(bits, frac_bits, signed)
    quantizer = FixedPoint(bits, frac_bits, signed, straight_through)
    y = keras.ops.convert_to_numpy(quantizer(x))
    expected = [float(stored_integer(v, bits, frac_bits, signed) * Fraction(2) ** -frac_bits) for v in x]
    np.testing.assert_array_equal(y, np.array(expected, np.float64))
    assert y.dtype == np.float32
    assert y.min() == quantizer.min
    assert y.max() == quantizer.max


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("bits", "frac_bits", "signed"), FORMATS)
def test_training_computes_the_same(bits, frac_bits, signed, compiled):
    """On TensorFlow in a shorter form, which rounds one number otherwise: the one before the tie at half a step."""
    quantizer = FixedPoint(bits, frac_bits, signed)
    x = samples(bits, frac_bits, signed)
    x = x[(x != np.ldexp(np.nextafter(np.float32(0.5), np.float32(0)), -frac_bits)) | (not signed)]
    x = np.concatenate([x, np.float32([np.inf, -np.inf])])
    upstream = np.linspace(-1, 1, len(x), dtype=np.float32)
    in_training = functools.partial(quantizer, training=True)
    if compiled and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        in_training = tf.function(in_training, jit_compile=True, autograph=False)
    values, gradient = value_and_gradient(in_training, x, upstream)
    np.testing.assert_array_equal(
        values, keras.ops.convert_to_numpy(quantizer.quantize(keras.ops.convert_to_tensor(x), None, None))
    )
    np.testing.assert_array_equal(gradient, np.where((x < quantizer.min) | (x > quantizer.max), 0, upstream))
    assert np.isnan(keras.ops.convert_to_numpy(in_training(np.float32([np.nan])))).all()


@pytest.mark.parametrize(("bits", "frac_bits", "signed"), [(8, 4, True), (8, 8, False), (16, 12, True), (4, 3, True)])
def test_forward_agrees_with_the_format(bits, frac_bits, signed):
    quantizer = FixedPoint(bits, frac_bits, signed)
    x = samples(bits, frac_bits, signed)
    spec = quantizer.spec()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(quantizer(x)), spec.dequantize(spec.quantize(x)))
    assert (spec.min, spec.max, spec.step) == (quantizer.min, quantizer.max, quantizer.step)


@pytest.mark.parametrize(
    ("x", "expected"), [(0.49999997, 0.0), (0.5, 1.0), (-0.5, 0.0), (-0.50000006, -1.0), (1.5, 2.0), (2.5, 3.0), (-1.5, -1.0)]
)
def test_ties_go_up_and_nothing_else_does(x, expected):
    assert float(FixedPoint(8, 0)(np.array([x], np.float32))[0]) == expected


def test_infinities_saturate_and_nan_is_seen():
    y = keras.ops.convert_to_numpy(FixedPoint(8, 4)(np.array([np.inf, -np.inf, np.nan], np.float32)))
    np.testing.assert_array_equal(y, [7.9375, -8.0, np.nan])


@pytest.mark.parametrize(("bits", "frac_bits", "signed"), FORMATS)
def test_fine_grained_gradient_is_that_of_the_range_ends_included(bits, frac_bits, signed):
    quantizer = FixedPoint(bits, frac_bits, signed, "fine_grained")
    ends = np.array([quantizer.min, quantizer.max], np.float32)
    beyond = np.nextafter(ends, np.float32([-np.inf, np.inf]))
    beyond = np.where(ends == 0, -np.finfo(np.float32).tiny, beyond)  # TensorFlow may take subnormal numbers for 0
    x = np.concatenate([samples(bits, frac_bits, signed), ends, beyond])
    upstream = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    _, gradient = value_and_gradient(quantizer, x, upstream)
    np.testing.assert_array_equal(gradient, np.where((x >= quantizer.min) & (x <= quantizer.max), upstream, 0))
    assert np.count_nonzero(gradient == 0) > 10


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_quantized_in_float32(dtype):
    # 16 bits with 12 fractional ones: 2049 steps are no float16 or bfloat16, but the float32 in between has them.
    x = keras.ops.cast(np.array([0.3, -1.7, 9.0], np.float32), dtype)
    y = FixedPoint(16, 12)(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    expected = keras.ops.cast(FixedPoint(16, 12)(keras.ops.cast(x, "float32")), dtype)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")), keras.ops.convert_to_numpy(keras.ops.cast(expected, "float32"))
    )


def test_integers_become_float32():
    y = FixedPoint(8, 4)(np.array([3, 200], np.uint8))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(y), [3.0, 7.9375])


@pytest.mark.parametrize(
    ("bits", "signed", "name"),
    [
        (2, True, "FIXED2_3"),
        (2, False, "UFIXED4_3"),
        (3, True, "FIXED4_3"),
        (4, True, "FIXED4_3"),
        (5, True, "FIXED8_3"),
        (8, False, "UFIXED8_3"),
        (9, True, "FIXED16_3"),
        (16, False, "UFIXED16_3"),
    ],
)
def test_spec_is_the_narrowest_format_that_holds_the_values(bits, signed, name):
    assert str(FixedPoint(bits, 3, signed).spec()) == name


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"bits": 1}, ["bits=1"]),
        ({"bits": 17}, ["bits=17"]),
        ({"bits": 8.0}, ["bits=8.0"]),
        ({"bits": True}, ["bits=True"]),
        ({"frac_bits": 64}, ["frac_bits=64"]),
        ({"frac_bits": -33}, ["frac_bits=-33"]),
        ({"frac_bits": None}, ["frac_bits=None"]),
        ({"signed": "yes"}, ["signed='yes'"]),
        ({"straight_through": "clipped"}, ["straight_through='clipped'", "'fine_grained'", "'identity'"]),
        ({"bits": 99, "frac_bits": 99, "straight_through": 0}, ["bits=99", "frac_bits=99", "straight_through=0"]),
    ],
)
def test_errors_name_every_problem(arguments, names):
    with pytest.raises(ValueError, match="FixedPoint: ") as caught:
        FixedPoint(**arguments)
    for name in names:
        assert name in str(caught.value)


def test_integers_of_numpy_serialize():
    quantizer = FixedPoint(np.int64(6), np.int8(-1), False, "identity")
    config = keras.saving.serialize_keras_object(quantizer)
    assert config["config"] == {"bits": 6, "frac_bits": -1, "signed": False, "straight_through": "identity"}
    assert {type(value) for value in config["config"].values()} == {int, bool, str}
