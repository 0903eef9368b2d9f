"""Faults that runtimes of this kind have had: each is a network here, computed by every engine, against plain integers of Python.

Truncation and saturation of partial sums, biases rescaled in place, shifts by the wrong sign, saturation that wraps, averages
cut towards zero, sizes of bit rows rounded down, float32 in the place of an accumulator, 16-bit intermediates that saturate.
"""

import numpy as np
import pytest

import kerasq
from kerasq.format.model import ABSENT
from kerasq.qformat import QFormat
from networks import NetworkBuilder

ENGINES = {"reference": ("reference", None)}
if kerasq.runtime.available():
    ENGINES |= {tier: ("native", tier) for tier in kerasq.runtime.tiers()}


@pytest.fixture(params=ENGINES)
def outputs(request):
    """From a model and stored inputs to stored outputs."""
    engine, isa = ENGINES[request.param]

    def run(model, x):
        return kerasq.Interpreter(model_content=model, engine=engine, isa=isa, num_threads=1).predict(x, raw=True)

    return run


def dense(x_format, kernel, kernel_format, y_format, bias=None, bias_format=None):
    net = NetworkBuilder()
    x = net.activation("x", (1, kernel.shape[1]), x_format)
    inputs = (x, net.constant("kernel", kernel, kernel_format), ABSENT, net.constant("bias", bias, bias_format))
    return net.build((x,), (net.apply("DENSE", inputs, y_format),))


def expected(x, kernel, places, y_format, bias=0):
    """Exact: Python's integers, one rounding, one saturation. `places` is the shift to the right."""
    form = QFormat.parse(y_format)
    sums = [[sum(int(a) * int(w) for a, w in zip(row, weights, strict=True)) + bias for weights in kernel] for row in x]
    rounded = [[(2 * s + (1 << places)) >> (places + 1) if places >= 0 else s << -places for s in row] for row in sums]
    return np.clip(rounded, form.min_int, form.max_int).astype(form.dtype)


@pytest.mark.parametrize("taps", [63, 64, 65, 1000, 4096])
def test_alternating_extremes_cancel_in_a_long_sum(outputs, taps):
    """Partial sums that saturate or truncate (per input channel, or in 16-bit lanes) don't come back to a small number."""
    kernel = np.tile(np.array([127, -127], np.int8), (3, taps))[:, :taps]
    x = np.array([np.full(taps, 127), np.full(taps, -128), np.where(np.arange(taps) % 2, -128, 127)], np.int8)
    model = dense("FIXED8_4", kernel, "FIXED8_7", "FIXED16_4")
    np.testing.assert_array_equal(outputs(model, x), expected(x, kernel, 7, "FIXED16_4"))


def test_small_products_are_not_lost_one_by_one(outputs):
    """16 * 6 / 128 is 0 when each is truncated; 64 of them are 48."""
    x, kernel = np.full((1, 64), 16, np.int8), np.full((1, 64), 6, np.int8)
    assert outputs(dense("FIXED8_4", kernel, "FIXED8_7", "FIXED8_4"), x).tolist() == [[48]]


@pytest.mark.parametrize("kernel_format", ["FIXED8_7", "FIXED16_7"])
def test_sums_of_16_bits_by_4096_taps(outputs, kernel_format):
    rng = np.random.default_rng(0)
    form = QFormat.parse(kernel_format)
    x = rng.integers(-(1 << 15), 1 << 15, (4, 4096)).astype(np.int16)
    kernel = rng.integers(form.min_int, form.max_int, (5, 4096), endpoint=True).astype(form.dtype)
    model = dense("FIXED16_8", kernel, kernel_format, "FIXED16_-4")
    np.testing.assert_array_equal(outputs(model, x), expected(x, kernel, 19, "FIXED16_-4"))


def test_sums_beyond_24_bits_keep_their_last_bit(outputs):
    """float32 holds 24 bits: 2**24 + 1 would become 2**24."""
    kernel = np.zeros((1, 1100), np.int8)
    kernel[0] = 127
    x = np.full((2, 1100), 127, np.int8)
    x[1, :3] = (1, 2, 4)
    sums = (x.astype(np.int64) @ kernel[0].astype(np.int64)).tolist()
    assert min(sums) > 1 << 24
    model = dense("FIXED8_0", kernel, "FIXED8_0", "FIXED16_0", bias=np.array([-sums[1] + 5], np.int32), bias_format="FIXED32_0")
    assert outputs(model, x).tolist() == [[min(sums[0] - sums[1] + 5, 32767)], [5]]


@pytest.mark.parametrize("y_format", ["FIXED8_11", "FIXED8_12", "FIXED8_20", "FIXED16_14", "UFIXED8_63", "FIXED8_-3"])
def test_shifts_of_either_sign(outputs, y_format):
    """An output finer than the sum shifts left; an unsigned difference of the fractional bits would be enormous."""
    x = np.array([[1, 0, 0], [0, -1, 1], [-3, 2, 127], [0, 0, 0]], np.int8)
    kernel = np.array([[1, 2, -1], [-4, 3, 7]], np.int8)
    places = 11 - QFormat.parse(y_format).frac_bits
    model = dense("FIXED8_4", kernel, "FIXED8_7", y_format)
    np.testing.assert_array_equal(outputs(model, x), expected(x, kernel, places, y_format))


def test_ties_round_up_on_both_sides_of_zero(outputs):
    x = np.array([[-3], [-2], [-1], [0], [1], [2], [3]], np.int8)
    assert outputs(dense("FIXED8_1", np.ones((1, 1), np.int8), "FIXED8_0", "FIXED8_0"), x)[:, 0].tolist() == [
        -1,
        -1,
        0,
        0,
        1,
        1,
        2,
    ]


@pytest.mark.parametrize("form", ["FIXED8_0", "FIXED16_0", "UFIXED8_0"])
def test_every_pair_of_8_bit_values_adds_with_saturation(outputs, form):
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 256, 256, 1), "FIXED8_0"), net.activation("b", (1, 256, 256, 1), "FIXED8_0")
    model = net.build((a, b), (net.apply("ADD", (a, b), form),))
    values = np.arange(-128, 128)
    left, right = (axis.astype(np.int8)[None, ..., None] for axis in np.meshgrid(values, values))
    parsed = QFormat.parse(form)
    wanted = np.clip(left.astype(int) + right, parsed.min_int, parsed.max_int)
    np.testing.assert_array_equal(outputs(model, [left, right]), wanted)


def test_a_large_bias_keeps_its_precision_beside_small_weights(outputs):
    kernel = np.ones((1, 4), np.int8)
    model = dense("FIXED8_7", kernel, "FIXED8_14", "FIXED16_8", bias=np.array([100 << 14], np.int32), bias_format="FIXED32_14")
    x = np.array([[0, 0, 0, 0], [127, 127, 127, 127]], np.int8)
    assert outputs(model, x).tolist() == [[25600], [25600]]
    np.testing.assert_array_equal(outputs(model, x), expected(x, kernel, 13, "FIXED16_8", bias=100 << 21))


def test_averages_round_like_everything_else(outputs):
    """Cut towards zero, -1/4 .. -3/4 would all be 0; windows at the border count their valid taps only."""
    net = NetworkBuilder()
    x = net.activation("x", (1, 2, 2, 1), "FIXED8_0")
    y = net.apply("AVERAGE_POOL_2D", (x,), "FIXED8_0", window=(2, 2), padding=(1, 1, 1, 1))
    model = net.build((x,), (y,))
    images = np.array([[-1, 0, 0, -1], [-1, -1, -1, 0], [3, -2, 2, 0], [-128, -128, -128, -127]], np.int8).reshape(4, 2, 2, 1)
    wanted = []
    for image in images[..., 0].astype(int):
        windows = [image[max(r - 1, 0) : r + 1, max(c - 1, 0) : c + 1] for r in range(3) for c in range(3)]
        wanted.append([(2 * int(w.sum()) + w.size) // (2 * w.size) for w in windows])
    assert outputs(model, images).reshape(4, 9).tolist() == wanted


@pytest.mark.parametrize("channels", [*range(1, 36), 63, 64, 65, 96, 97, 127, 128, 129, 130])
def test_rows_of_signs_of_any_length(outputs, channels):
    """Rows are padded to whole words: sizes must not be rounded down, nor padding be read as weights."""
    rng = np.random.default_rng(channels)
    x = rng.integers(-128, 128, (3, channels)).astype(np.int8)
    kernel = rng.choice(np.array([-1, 1], np.int8), (channels % 5 + 1, channels))
    model = dense("FIXED8_3", kernel, "SIGN", "FIXED16_3")
    np.testing.assert_array_equal(outputs(model, x), expected(x, kernel, 0, "FIXED16_3"))


@pytest.mark.parametrize("kernel", ["SIGN", "FIXED8_7"])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)])
@pytest.mark.parametrize(
    ("channels", "groups", "filters"), [(1, 1, 1), (5, 1, 17), (6, 3, 9), (33, 1, 7), (34, 34, 34), (12, 12, 24)]
)
def test_absent_taps_are_zeros_for_signs_too(outputs, kernel, padding, channels, groups, filters):
    rng = np.random.default_rng(channels)
    form = QFormat.parse(kernel)
    shape = (filters, 3, 3, channels // groups)
    stored = rng.choice(np.array([-1, 1], np.int8), shape) if form.is_sign else rng.integers(-128, 128, shape).astype(np.int8)
    net = NetworkBuilder()
    x = net.activation("x", (1, 5, 4, channels), "FIXED8_0")
    inputs = (x, net.constant("kernel", stored, form), ABSENT, ABSENT)
    y = net.apply("CONV_2D", inputs, f"FIXED16_{form.frac_bits - 5}", padding=padding, groups=groups)
    images = rng.choice(np.array([-128, 127, -1, 0, 1], np.int8), (2, 5, 4, channels))
    top, bottom, left, right = padding
    padded = np.pad(images.astype(np.int64), ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows, columns = padded.shape[1] - 2, padded.shape[2] - 2
    sums = np.zeros((2, rows, columns, filters), np.int64)
    for f in range(filters):
        first = f // (filters // groups) * (channels // groups)
        for r, c in np.ndindex(3, 3):
            patch = padded[:, r : r + rows, c : c + columns, first : first + channels // groups]
            sums[..., f] += patch @ stored[f, r, c].astype(np.int64)
    wanted = np.clip((sums + 16) >> 5, -(1 << 15), (1 << 15) - 1)
    np.testing.assert_array_equal(outputs(net.build((x,), (y,)), images), wanted)


def test_weights_of_a_thousandth_use_all_their_bits():
    """Fractional bits may exceed the width: at least one integer bit would leave 2**-10 three significant bits."""
    values = np.array([2.0**-10, -(2.0**-10) * 0.992, 2.0**-13])
    form = QFormat.parse("FIXED8").with_frac_bits(QFormat.parse("FIXED8").finest(values.min(), values.max()))
    assert form.frac_bits == 16
    assert np.abs(form.dequantize(form.quantize(values)) - values).max() <= form.step / 2
