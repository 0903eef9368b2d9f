"""NUMERICS.md, section 4: up to which number of taps a float32 forward pass equals the integers, and that it does not beyond."""

import keras
import numpy as np
import pytest

from kerasq.layers import BinaryConnectDense, FixedPointQuantizedConv2D, FixedPointQuantizedDense

STEP = 2.0**-11  # 8-bit inputs with 4 fractional bits, 8-bit weights with 7


def outputs_in_steps(layer, inputs, kernel, step):
    """What a layer without bias gives, in units of the step of its products: float64, exact."""
    layer.build(inputs.shape)
    layer.kernel.assign(kernel)
    return keras.ops.convert_to_numpy(layer(inputs)).astype(np.float64) / step


@pytest.mark.parametrize("extreme", [True, False])
def test_8_bit_by_8_bit_is_exact_up_to_1024_taps(extreme):
    rng = np.random.default_rng(0)
    inputs, kernel = rng.integers(-128, 128, (16, 1024)), rng.integers(-128, 128, (1024, 8))
    if extreme:
        inputs[:], kernel[:] = -128, -128
    layer = FixedPointQuantizedDense(8, use_bias=False)
    outputs = outputs_in_steps(layer, (inputs / 16).astype(np.float32), (kernel / 128).astype(np.float32), STEP)
    np.testing.assert_array_equal(outputs, inputs @ kernel)
    assert np.abs(outputs).max() == 2**24 if extreme else np.abs(outputs).max() < 2**24


def test_8_bit_by_8_bit_is_not_exact_beyond():
    inputs, kernel = np.full((1, 1025), -128), np.full((1025, 1), -128)
    inputs[0, -1] = kernel[-1, 0] = 1
    layer = FixedPointQuantizedDense(1, use_bias=False)
    outputs = outputs_in_steps(layer, (inputs / 16).astype(np.float32), (kernel / 128).astype(np.float32), STEP)
    assert (inputs @ kernel).item() == 2**24 + 1  # no float32
    assert outputs.item() != 2**24 + 1


def test_convolution_is_exact_too():
    rng = np.random.default_rng(1)
    inputs, kernel = rng.integers(-128, 128, (2, 7, 7, 64)), rng.integers(-128, 128, (4, 4, 64, 3))  # 4·4·64 = 1024 taps
    layer = FixedPointQuantizedConv2D(3, 4, use_bias=False)
    outputs = outputs_in_steps(layer, (inputs / 16).astype(np.float32), (kernel / 128).astype(np.float32), STEP)
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (4, 4), axis=(1, 2))
    np.testing.assert_array_equal(outputs, np.einsum("nyxcij,ijco->nyxo", windows, kernel))


def test_8_bit_by_sign_is_exact_up_to_131072_taps_and_not_beyond():
    taps = 131_072
    layer = BinaryConnectDense(1, use_bias=False)
    outputs = outputs_in_steps(layer, np.full((1, taps), -8, np.float32), np.full((taps, 1), -0.25, np.float32), 1 / 16)
    assert outputs.item() == 128 * taps == 2**24
    inputs = np.full((1, taps + 1), -8, np.float32)
    inputs[0, -1] = -1 / 16
    layer = BinaryConnectDense(1, use_bias=False)
    outputs = outputs_in_steps(layer, inputs, np.full((taps + 1, 1), -0.25, np.float32), 1 / 16)
    assert outputs.item() != 128 * taps + 1
