"""A layer computes what the Keras layer computes with the quantized kernel and bias."""

import keras
import numpy as np
import pytest

from kerasq import layers
from kerasq.qformat import FLOAT32
from layers.kinds import CASES, CLASSES, GENERIC, batch, built, quantized_weights, spread_weights, to_numpy
from quantizers.gradients import layer_gradients

VARIANTS = [(case, variant) for case in GENERIC for variant in case.kind.variants]
VARIANTS += [(case, {}) for case in CASES]
ids = [f"{case}-{','.join(map(str, variant)) or 'plain'}" for case, variant in VARIANTS]


def run_both(layer, reference, inputs):
    """Outputs of a layer and of the Keras layer that has its quantized values as weights."""
    layer.build(inputs.shape)
    spread_weights(layer)
    reference.build(inputs.shape)
    reference.set_weights(quantized_weights(layer))
    return to_numpy(layer(inputs)), to_numpy(reference(inputs))


@pytest.mark.parametrize(("case", "variant"), VARIANTS, ids=ids)
def test_a_layer_equals_that_of_keras_with_the_quantized_kernel(case, variant):
    variant = dict(variant)
    shape = variant.pop("input_shape", case.kind.shape)
    inputs = np.random.default_rng(2).normal(size=(3, *shape)).astype(np.float32)
    if variant.get("data_format") == "channels_first":
        inputs = np.moveaxis(inputs, -1, 1)
    layer, reference = case.make(**variant), case.keras(**variant)
    expected_shape = tuple(reference.compute_output_shape(inputs.shape))
    assert tuple(layer.compute_output_shape(inputs.shape)) == expected_shape
    try:
        case.keras(**variant)(inputs)
    except Exception as refusal:  # the backend cannot convolve channels first on this machine
        assert "data_format" in variant
        with pytest.raises(type(refusal)):
            layer(inputs)
    else:
        outputs, expected = run_both(layer, reference, inputs)
        tolerance = 0 if case.kind.same_order else 1e-5
        np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)
        assert all(size in (None, found) for size, found in zip(expected_shape, outputs.shape, strict=True))  # None: of any batch
        assert np.ptp(outputs) > 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_quantized_values_are_stored_values(case):
    layer = built(case)
    for part in layer.kernel_parts:
        channels_last = getattr(layer, part.channels_last)
        format_ = layer.kernel_format if part is layer.kernel_parts[-1] else layer.depthwise_format
        latent = channels_last(to_numpy(getattr(layer, part.latent)))
        assert_stored(latent, channels_last(layer.quantize_kernel(part)), format_, layer.kernel_quantizer)
    assert_stored(to_numpy(layer.bias), layer.quantized_bias, layer.bias_format)


def assert_stored(latent, quantized, format_, quantizer=None):
    """Values are those of the format, up to a factor for each output channel of a kernel whose quantizer has an alpha."""
    latent, quantized = to_numpy(latent), to_numpy(quantized)
    alpha = None if quantizer is None else quantizer.alpha(latent)
    if format_ == FLOAT32:
        np.testing.assert_array_equal(quantized, latent)
        return
    assert not np.array_equal(latent, quantized)
    if format_.is_sign:
        np.testing.assert_array_equal(np.sign(quantized), np.where(latent >= 0, 1, -1))
        magnitudes = np.abs(quantized).reshape(-1, quantized.shape[-1])
        np.testing.assert_array_equal(magnitudes, np.broadcast_to(magnitudes[0], magnitudes.shape))
    elif alpha is not None:
        integers = np.rint(quantized / to_numpy(alpha))
        assert np.all((format_.min <= integers) & (integers <= format_.max))
        np.testing.assert_array_equal(integers.astype(np.float32) * to_numpy(alpha), quantized)
    else:
        np.testing.assert_array_equal(format_.dequantize(format_.quantize(quantized)), quantized)


@pytest.mark.parametrize("case", [case for case in CASES if "BinaryWeight" in str(case)], ids=str)
def test_alpha_is_the_mean_magnitude_of_the_weights_that_one_output_channel_is_made_of(case):
    layer, inputs = built(case), batch(case.kind)
    latent, quantized = np.abs(to_numpy(layer.kernel)), np.abs(to_numpy(layer.quantized_kernel))
    place = [weight is layer.kernel for weight in layer.trainable_variables].index(True)
    for channel in range(6):
        upstream = np.zeros(layer.compute_output_shape(inputs.shape), np.float32)
        upstream[..., channel] = 1
        its_weights = layer_gradients(layer, inputs, upstream)[place] != 0
        assert 0 < its_weights.mean() < 1
        np.testing.assert_allclose(quantized[its_weights], latent[its_weights].mean(), rtol=1e-6)


@pytest.mark.parametrize("layer", [layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense])
def test_switches_leave_kernel_or_bias_float(layer):
    case = next(case for case in CASES if case.layer is layer)
    for switched_off in ("kernel", "bias"):
        instance = built(case, **{f"quantize_{switched_off}": False})
        for name in ("kernel", "bias"):
            latent, quantized = to_numpy(getattr(instance, name)), to_numpy(getattr(instance, f"quantized_{name}"))
            assert np.array_equal(latent, quantized) == (name == switched_off)
            assert getattr(instance, f"{name}_format").is_float == (name == switched_off)


@pytest.mark.parametrize("layer", [layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense])
def test_fixed_point_weights_are_rounded_to_their_format(layer):
    instance = built(next(case for case in CASES if case.layer is layer))
    for latent, quantized, format_ in (
        (instance.kernel, instance.quantized_kernel, instance.kernel_format),
        (instance.bias, instance.quantized_bias, instance.bias_format),
    ):
        np.testing.assert_array_equal(to_numpy(quantized), format_.dequantize(format_.quantize(to_numpy(latent))))
    assert to_numpy(instance.quantized_kernel).min() == instance.kernel_format.min


def test_formats_of_constants():
    def make_dense(**arguments):
        return layers.FixedPointQuantizedDense(2, **arguments)

    assert str(make_dense(bits=6, frac_bits=5).kernel_format) == "FIXED8_5"
    # Kernels and biases of a file are signed.
    assert str(make_dense(bits=7, signed=False).kernel_format) == "FIXED8_7"
    assert str(make_dense(bits=8, signed=False).kernel_format) == "FIXED16_7"
    assert str(make_dense(bias_bits=16, bias_signed=False).bias_format) == "FIXED32_8"
    assert make_dense(use_bias=False).bias_format is None


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_layer_without_bias_has_no_quantized_bias(case):
    instance = built(case, **case.kind.without_bias)
    assert instance.quantized_bias is None
    assert instance.bias_format is None


def test_fixed_point_quantize_any_shape_and_format():
    layer = layers.FixedPointQuantize(bits=3, frac_bits=1, signed=False)
    inputs = np.linspace(-5, 5, 120, dtype=np.float32).reshape(2, 3, 4, 5)
    outputs = to_numpy(layer(inputs))
    np.testing.assert_array_equal(outputs, np.clip(np.floor(inputs * 2 + 0.5) / 2, 0, 3.5))
    assert layer.compute_output_shape((None, 7)) == (None, 7)
    # The device stores activations in at least 8 bits.
    assert str(layer.output_format) == "UFIXED8_1"
    assert str(layers.FixedPointQuantize(bits=12, frac_bits=9).output_format) == "FIXED16_9"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_symbolic_and_eager_shapes_and_dtypes_agree(case):
    symbolic = case.make()(keras.Input(case.kind.shape))
    eager = case.make()(batch(case.kind))
    assert symbolic.shape[1:] == eager.shape[1:]
    assert symbolic.dtype == keras.backend.standardize_dtype(eager.dtype) == "float32"
