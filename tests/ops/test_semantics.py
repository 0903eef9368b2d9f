"""Corners of the arithmetic, one by one: ties, signs, long sums, extreme shifts, rounding to float32."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import exact_oracle
from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import exact_dtype, requantization
from kerasq.qformat import FLOAT32, QFormat
from networks import NetworkBuilder


def run(model: Model, *inputs: np.ndarray) -> np.ndarray:
    (operator,) = model.operators
    assert list(ops.problems(model, operator)) == []
    return ops.prepare(model, operator)(*inputs)


def one(
    kind: str,
    source: str,
    output: str,
    shape: tuple[int, ...],
    constants: tuple[tuple[object, str] | None, ...] = (),
    **attributes,
) -> Model:
    """A model of one operator with one activation."""
    net = NetworkBuilder()
    x = net.activation("x", shape, source)
    indices = [
        ABSENT if constant is None else net.constant(f"constant{i}", np.asarray(constant[0]), constant[1])
        for i, constant in enumerate(constants)
    ]
    y = net.apply(kind, (x, *indices), output, "y", **attributes)
    return net.build((x,), (y,))


@pytest.mark.parametrize("kind", ["QUANTIZE", "CONV_2D", "DENSE"])
@pytest.mark.parametrize("clamp", [None, (-1, 1), (-2, 100), (0, 3), (-30, -7), (5, 5)])
def test_ties_round_up_for_both_signs(kind, clamp):
    x = np.arange(-128, 128, dtype=np.int8).reshape(-1, 1, 1, 1)
    constants = {"QUANTIZE": (), "CONV_2D": (([[[[1]]]], "SIGN"), None, None), "DENSE": (([[1]], "SIGN"), None, None)}[kind]
    y = run(one(kind, "FIXED8_2", "FIXED8_0", (1, 1, 1, 1), constants, clamp=clamp), x)
    # in quarters: -6/4 = -1.5 -> -1, -2/4 -> 0, 2/4 -> 1, 6/4 -> 2
    low, high = clamp or (-128, 127)
    assert y.ravel().tolist() == [min(max((q + 2) // 4, low), high) for q in range(-128, 128)]


@pytest.mark.parametrize(("kernel_form", "size"), [("FIXED8_0", 256), ("FIXED8_0", 2048), ("FIXED16_0", 8), ("FIXED16_0", 100)])
def test_large_sums_keep_their_last_bit(kernel_form, size):
    """The bias takes a large sum down to a small number: a single lost bit on the way shows."""
    rng = np.random.default_rng(size)
    form, channels = QFormat.parse(kernel_form), 50
    # Terms of one sign and near the largest make the sum as large as can be.
    x = rng.integers(100, 128, (1, size)) * rng.choice([-1, 1], (1, size))
    kernel = rng.integers(form.max_int * 3 // 4, form.max_int, (channels, size), endpoint=True) * np.sign(x)
    wanted = rng.integers(-128, 128, channels)
    bias = wanted - (kernel * x).sum(axis=1)
    model = one("DENSE", "FIXED8_0", "FIXED8_0", (1, size), ((kernel, kernel_form), None, (bias, "FIXED32_0")))
    assert run(model, x.astype(np.int8)).tolist() == [wanted.tolist()]


@pytest.mark.parametrize("order", ["alternating", "up then down"])
def test_nothing_saturates_before_the_end(order):
    """Partial sums leave the output's range, and 16 bits, by far; the sum is 100."""
    size = 4096
    x = np.where(np.arange(size) % 2, -127, 127) if order == "alternating" else np.sort(np.tile([-127, 127], size // 2))[::-1]
    x[-1] = -27
    model = one("DENSE", "FIXED8_0", "FIXED8_0", (1, size), ((np.full((1, size), 127), "FIXED8_0"), None, ([0], "FIXED32_0")))
    assert run(model, x.astype(np.int8)[None]).tolist() == [[127]]
    scaled = one("DENSE", "FIXED8_0", "FIXED8_-7", (1, size), ((np.full((1, size), 127), "FIXED8_0"), None, None))
    assert run(scaled, x.astype(np.int8)[None]).tolist() == [[(100 * 127 + 64) // 128]]


def test_sums_beyond_the_mantissa_of_float64():
    """2**23 products of 2**31 reach 2**54; all but a few cancel, and what is left must be right to the last bit."""
    size = 1 << 23
    kernel = np.full((1, size), -32768, np.int16)
    kernel[0, : size // 2] = 32767
    model = one("DENSE", "UFIXED16_0", "UFIXED16_0", (1, size), ((kernel, "FIXED16_0"), None, ([137], "FIXED32_0")))
    bounds = ops.bounds(model, model.operators[0])
    assert bounds is not None
    assert exact_dtype(bounds.accumulator) == np.int64
    x = np.full((1, size), 65535, np.uint16)
    x[0, -3:] = 65534, 1, 2
    left = 65535 * (size // 2) * 32767 - 32768 * (65535 * (size // 2 - 3) + 65534 + 1 + 2) + 137
    assert run(model, x).item() == min(max(left, 0), 65535)
    exact = one("DENSE", "UFIXED16_0", "FLOAT32", (1, size), ((kernel, "FIXED16_0"), None, ([137], "FIXED32_0")))
    assert run(exact, x).item() == exact_oracle.float32(Fraction(left))


def test_absent_taps_count_nothing_for_sign_kernels():
    model = one(
        "CONV_2D", "UFIXED8_0", "FIXED8_0", (1, 3, 3, 1), ((-np.ones((1, 3, 3, 1)), "SIGN"), None, None), padding=(1, 1, 1, 1)
    )
    y = run(model, np.full((1, 3, 3, 1), 2, np.uint8))
    assert y[0, :, :, 0].tolist() == [[-8, -12, -8], [-12, -18, -12], [-8, -12, -8]]


@pytest.mark.parametrize(
    ("source", "output"), [("FIXED16_-32", "FIXED16_63"), ("FIXED8_0", "UFIXED8_40"), ("FIXED8_-8", "FIXED16_30")]
)
def test_long_left_shifts_saturate(source, output):
    low, high = QFormat.parse(output).min_int, QFormat.parse(output).max_int
    x = np.array([[-128, -1, 0, 1, 127]], QFormat.parse(source).dtype)
    assert run(one("QUANTIZE", source, output, (1, 5)), x).tolist() == [[low, low, 0, high, high]]


def test_long_right_shifts_leave_nothing_but_a_tie():
    x = np.array([[-32768, -16385, -16384, 16383, 16384, 32767]], np.int16)
    assert run(one("QUANTIZE", "FIXED16_15", "FIXED8_0", (1, 6)), x).tolist() == [[-1, -1, 0, 0, 1, 1]]
    assert run(one("QUANTIZE", "FIXED16_16", "FIXED8_0", (1, 6)), x).tolist() == [[0, 0, 0, 0, 0, 0]]
    assert run(one("QUANTIZE", "FIXED16_31", "FIXED8_-32", (1, 6)), x).tolist() == [[0, 0, 0, 0, 0, 0]]


def test_a_bias_of_zero_may_be_shifted_by_any_number_of_places():
    constants = (([[1]], "FIXED8_60"), None, ([0], "FIXED32_-32"))
    model = one("DENSE", "FIXED8_60", "FLOAT32", (1, 1), constants)
    assert run(model, np.array([[5]], np.int8)).item() == 5 * 2.0**-120


def test_average_of_negative_partial_windows():
    model = one("AVERAGE_POOL_2D", "FIXED8_0", "FIXED8_0", (1, 3, 3, 1), window=(2, 2), strides=(2, 2), padding=(1, 0, 1, 0))
    x = np.array([[-5, -1, -2], [-3, 4, -128], [1, -128, -128]], np.int8).reshape(1, 3, 3, 1)
    # windows: {-5}; {-1, -2} -> -1.5 -> -1; {-3, 1} -> -1; {4, -128, -128, -128} -> -95
    assert run(model, x).ravel().tolist() == [-5, -1, -1, -95]


@pytest.mark.parametrize(
    ("output", "bound"),
    [("FIXED8_2", 2 * 12 * (128 * 4 + 1)), ("FIXED8_-1", 2 * 12 * (128 + 2)), ("FLOAT32", 12 * 128)],
)
def test_a_window_counts_as_at_most_the_input_in_the_bound_of_an_average(output, bound):
    window = {"window": (5, 6), "strides": (1, 1), "padding": (2, 2, 2, 3)}  # over 3 x 4
    model = one("AVERAGE_POOL_2D", "FIXED8_0", output, (1, 3, 4, 1), **window)
    assert ops.bounds(model, model.operators[0]).largest == bound


def test_average_as_float_is_rounded_once():
    model = one("AVERAGE_POOL_2D", "FIXED16_20", "FLOAT32", (1, 7, 3, 1), window=(7, 3))
    x = np.arange(-30000, -30000 + 21 * 977, 977, dtype=np.int16).reshape(1, 7, 3, 1)
    expected = exact_oracle.float32(Fraction(int(x.sum()), 21 << 20))
    assert run(model, x).item() == expected


TOTALS = [
    *(sign * value for sign in (1, -1) for value in (0, 1, 3, 2**24 - 1, 2**24 + 1, 2**24 + 3, 2**25 + 2, 2**53 - 1, 2**53 + 1)),
    *((2**24 + odd << 34) + extra for odd in (1, 3) for extra in (-1, 0, 1)),
    *(-(2**24 + odd << 38) + extra for odd in (1, 3) for extra in (-1, 0, 1)),
    *(2**62 + (1 << 38) + extra for extra in (-1, 0, 1)),
    2**63 - 1,
    -(2**63) + 1,
]


@pytest.mark.parametrize("frac_bits", [0, 20, -64, -96, 100, 125, 140, 150, 170, 186, 189])
@pytest.mark.parametrize("clamp", [None, (-2.0, 0.5)])
def test_totals_become_float32_with_one_rounding(frac_bits, clamp):
    operator = Operator(OperatorKind.CONV_2D, (), (), clamp=clamp)
    for bound in (1 << 53, (1 << 63) - 1):
        totals = np.array([total for total in TOTALS if abs(total) < bound], np.int64)
        rounding = requantization(operator, FLOAT32, frac_bits, Bounds(bound - 1, bound - 1))
        out = np.empty(totals.shape, np.float32)
        rounding.finish(totals.astype(rounding.dtype), out)
        expected = [exact_oracle.store(Fraction(total) * Fraction(2) ** -frac_bits, FLOAT32, clamp) for total in totals.tolist()]
        assert out.tolist() == expected


def test_dequantizing_is_exact():
    x = np.arange(-128, 128, dtype=np.int8)[None]
    y = run(one("QUANTIZE", "FIXED8_5", "FLOAT32", (1, 256)), x)
    assert y.dtype == np.float32
    assert y.tolist() == (x / 32.0).tolist()


def test_float_to_fixed_follows_section_2():
    half_minus = np.nextafter(np.float32(0.5), np.float32(0))
    x = np.array([[0.5, -0.5, half_minus, -1.5, 2.5, 1e30, -1e30, np.inf, -np.inf, np.nan]], np.float32)
    y = run(one("QUANTIZE", "FLOAT32", "FIXED8_0", (1, 10)), x)
    assert y.tolist() == [[1, 0, 0, -1, 3, 127, -128, 127, -128, 0]]
    clamped = run(one("QUANTIZE", "FLOAT32", "FIXED8_0", (1, 10), clamp=(0, 100)), x)
    assert clamped.tolist() == [[1, 0, 0, 0, 3, 100, 0, 100, 0, 0]]


def test_relu_of_floats():
    x = np.array([[-1.5, 0.0, 2.5, 100.0]], np.float32)
    assert run(one("QUANTIZE", "FLOAT32", "FLOAT32", (1, 4), clamp=(0.0, 6.0)), x).tolist() == [[0.0, 0.0, 2.5, 6.0]]


def test_a_total_that_is_a_tie_only_with_its_bias():
    # 3/2 + 1/2 = 2; -4/2 + 1/2 = -1.5 -> -1; -6/2 + 1/2 = -2.5 -> -2; -2/2 + 1/2 = -0.5 -> 0
    constants = (([[1]], "FIXED8_1"), None, ([1], "FIXED8_1"))
    model = one("DENSE", "FIXED8_0", "FIXED8_0", (1, 1), constants)
    assert run(model, np.array([[3], [-4], [-6], [-2]], np.int8)).ravel().tolist() == [2, -1, -2, 0]
