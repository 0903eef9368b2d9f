"""A layer computes what the Keras layer computes with the quantized kernel and bias."""

import keras
import numpy as np
import pytest

from kerasq import layers
from kerasq.qformat import FLOAT32, SIGN
from layers.layer_cases import CONVOLUTIONS, DENSE, KERNEL_LAYERS, batch, input_shape, make, spread_weights

to_numpy = keras.ops.convert_to_numpy


def run_both(layer, reference, inputs):
    """Outputs of a layer and of the Keras layer that has its quantized values as weights."""
    layer.build(inputs.shape)
    spread_weights(layer)
    reference.build(inputs.shape)
    weights = [to_numpy(layer.quantized_kernel)]
    if layer.use_bias:
        weights.append(to_numpy(layer.quantized_bias))
    reference.set_weights(weights)
    return to_numpy(layer(inputs)), to_numpy(reference(inputs))


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": "same", "strides": 2, "use_bias": False},
        {"strides": (2, 1), "activation": "relu"},
        {"dilation_rate": 2, "padding": "same"},
        {"groups": 2, "padding": "same", "activation": "tanh"},
        {"groups": 4, "filters": 8},
        {"kernel_size": (1, 4), "padding": "SAME"},
    ],
)
def test_convolution_equals_keras_with_the_quantized_kernel(layer, arguments):
    arguments = {"filters": 6, "kernel_size": 3, **arguments}
    outputs, expected = run_both(layer(**arguments), keras.layers.Conv2D(**arguments), batch(layer))
    np.testing.assert_array_equal(outputs, expected)
    assert np.ptp(outputs) > 0


@pytest.mark.parametrize("layer", DENSE)
@pytest.mark.parametrize("arguments", [{}, {"use_bias": False}, {"activation": "relu"}])
@pytest.mark.parametrize("shape", [(3, 12), (2, 5, 12)])
def test_dense_equals_keras_with_the_quantized_kernel(layer, arguments, shape):
    inputs = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    outputs, expected = run_both(layer(6, **arguments), keras.layers.Dense(6, **arguments), inputs)
    np.testing.assert_array_equal(outputs, expected)
    assert outputs.shape == (*shape[:-1], 6) == layer(6, **arguments).compute_output_shape(shape)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_channels_first_does_what_keras_does(layer):
    arguments = {"filters": 6, "kernel_size": 3, "data_format": "channels_first"}
    inputs = np.moveaxis(batch(layer), -1, 1)
    reference = keras.layers.Conv2D(**arguments)
    try:
        reference(inputs)
    except Exception as refusal:  # the backend cannot convolve channels first on this machine
        with pytest.raises(type(refusal)):
            layer(**arguments)(inputs)
    else:
        np.testing.assert_array_equal(*run_both(layer(**arguments), keras.layers.Conv2D(**arguments), inputs))
    assert layer(**arguments).compute_output_shape(inputs.shape) == (3, 6, 7, 6)


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_quantized_values_are_stored_values(layer):
    instance = make(layer)
    instance.build((None, *input_shape(layer)))
    spread_weights(instance)
    latent, quantized = to_numpy(instance.kernel), to_numpy(instance.quantized_kernel)
    if instance.kernel_format == SIGN:
        magnitude = to_numpy(instance.alpha) if "Weight" in layer.__name__ else 1
        np.testing.assert_array_equal(quantized, magnitude * np.where(latent >= 0, 1, -1))
        assert instance.bias_format == FLOAT32
        np.testing.assert_array_equal(to_numpy(instance.quantized_bias), to_numpy(instance.bias))
    else:
        for values, format_ in ((latent, instance.kernel_format), (to_numpy(instance.bias), instance.bias_format)):
            stored = format_.quantize(values)
            quantized = to_numpy(instance.quantized_kernel if values is latent else instance.quantized_bias)
            np.testing.assert_array_equal(quantized, format_.dequantize(stored))
        assert {quantized.min() for quantized in [to_numpy(instance.quantized_kernel)]} == {instance.kernel_format.min}
    assert not np.array_equal(latent, to_numpy(instance.quantized_kernel))


@pytest.mark.parametrize("layer", [layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense])
def test_switches_leave_kernel_or_bias_float(layer):
    for switched_off in ("kernel", "bias"):
        instance = make(layer, **{f"quantize_{switched_off}": False})
        instance.build((None, *input_shape(layer)))
        spread_weights(instance)
        for name in ("kernel", "bias"):
            same = np.array_equal(to_numpy(getattr(instance, name)), to_numpy(getattr(instance, f"quantized_{name}")))
            assert same == (name == switched_off)
            assert getattr(instance, f"{name}_format").is_float == (name == switched_off)


def test_formats_of_constants():
    def make_dense(**arguments):
        return layers.FixedPointQuantizedDense(2, **arguments)

    assert str(make_dense(bits=6, frac_bits=5).kernel_format) == "FIXED8_5"
    # Kernels and biases of a file are signed.
    assert str(make_dense(bits=7, signed=False).kernel_format) == "FIXED8_7"
    assert str(make_dense(bits=8, signed=False).kernel_format) == "FIXED16_7"
    assert str(make_dense(bias_bits=16, bias_signed=False).bias_format) == "FIXED32_8"
    assert make_dense(use_bias=False).bias_format is None


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_layer_without_bias_has_no_quantized_bias(layer):
    instance = make(layer, use_bias=False)
    instance.build((None, *input_shape(layer)))
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


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_symbolic_and_eager_shapes_and_dtypes_agree(layer):
    symbolic = make(layer)(keras.Input(input_shape(layer)))
    eager = make(layer)(batch(layer))
    assert symbolic.shape[1:] == eager.shape[1:]
    assert symbolic.dtype == keras.backend.standardize_dtype(eager.dtype) == "float32"
