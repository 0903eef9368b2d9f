"""The arithmetic of NUMERICS.md section 2, against exact rational numbers: ties, ends of the range and beyond."""

import fractions
import math

import numpy as np
import pytest

from kerasq.qformat import FLOAT32, MAX_FRAC_BITS, MIN_FRAC_BITS, SIGN, Kind, QFormat, fixed, shift_right

Fraction = fractions.Fraction
NAMES = [
    "FIXED4_1",
    "FIXED8_4",
    "FIXED8_-2",
    "FIXED8_12",
    "UFIXED8_8",
    "UFIXED8_0",
    "FIXED16_12",
    "UFIXED16_16",
    "FIXED32_20",
    "FIXED32_-32",
]
FORMATS = [QFormat.parse(name) for name in NAMES]
SHIFTS = [-40, -32, -9, -1, 0, 1, 2, 7, 8, 31, 32, 33, 61, 62, 63, 64, 65, 100]


def round_half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def saturated(format_: QFormat, integer: int) -> int:
    return min(max(integer, format_.min_int), format_.max_int)


def critical_values(format_: QFormat, dtype: type) -> np.ndarray:
    """Values at, just below and just above every kind of boundary of the format, and random ones."""
    rng = np.random.default_rng(8)
    integers = [0, 1, -1, 2, -2, 3, format_.min_int, format_.min_int - 1, format_.max_int, format_.max_int + 1]
    integers += rng.integers(format_.min_int, format_.max_int, 50).tolist()
    halves = [integer + part for integer in integers for part in (0.0, 0.25, 0.5, 0.75)]
    exact = np.array([math.ldexp(value, -(format_.frac_bits or 0)) for value in halves])
    spread = rng.normal(0, format_.max, 200)
    values = np.concatenate([exact, spread, [1e300 if dtype is np.float64 else 1e38, 5e-324, -0.0]]).astype(dtype)
    return np.concatenate([values, np.nextafter(values, dtype(np.inf)), np.nextafter(values, dtype(-np.inf))])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("format_", FORMATS, ids=str)
def test_quantize_rounds_half_up_and_saturates(format_, dtype):
    values = critical_values(format_, dtype)
    stored = format_.quantize(values)
    assert stored.dtype == format_.dtype
    scale = Fraction(2) ** format_.frac_bits
    for value, found in zip(values.tolist(), stored.tolist(), strict=True):
        assert found == saturated(format_, round_half_up(Fraction(value) * scale)), value


def test_the_value_just_below_one_half_rounds_down():
    format_ = QFormat.parse("FIXED8_0")
    below = [np.nextafter(np.float64(0.5), 0), np.nextafter(np.float32(0.5), np.float32(0))]
    assert [int(format_.quantize(value)) for value in below] == [0, 0]
    assert format_.quantize(np.array([0.5, -0.5, 1.5, -1.5, 2.5, -2.5])).tolist() == [1, 0, 2, -1, 3, -2]


@pytest.mark.parametrize("format_", FORMATS, ids=str)
def test_quantize_special_values(format_):
    assert format_.quantize(np.array([np.nan, np.inf, -np.inf])).tolist() == [0, format_.max_int, format_.min_int]


@pytest.mark.parametrize("format_", FORMATS, ids=str)
def test_quantize_takes_integers_exactly(format_):
    integers = np.array([0, 1, -1, 255, -256, 2**31, -(2**40)])
    expected = [saturated(format_, round_half_up(int(value) * Fraction(2) ** format_.frac_bits)) for value in integers]
    assert format_.quantize(integers).tolist() == expected


@pytest.mark.parametrize("format_", FORMATS, ids=str)
def test_dequantize_is_exact_and_quantize_brings_it_back(format_):
    rng = np.random.default_rng(9)
    stored = np.append(rng.integers(format_.min_int, format_.max_int, 100), [format_.min_int, format_.max_int, 0])
    values = format_.dequantize(stored, np.float64)
    for integer, value in zip(stored.tolist(), values.tolist(), strict=True):
        assert Fraction(value) == integer / Fraction(2) ** format_.frac_bits
    np.testing.assert_array_equal(format_.quantize(values), stored)
    assert (format_.min, format_.max) == (values[-3], values[-2])


@pytest.mark.parametrize("format_", FORMATS, ids=str)
@pytest.mark.parametrize("shift", SHIFTS)
def test_requantize_rounds_half_up_and_saturates(format_, shift):
    rng = np.random.default_rng(10)
    sizes = rng.integers(0, 63, 300)
    integers = np.concatenate(
        [
            rng.integers(-(2**sizes), 2**sizes, endpoint=True),
            [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 127, 128, -128, -129],
        ]
    )
    if 0 < shift < 62:  # ties of both signs
        integers = np.concatenate([integers, np.array([1, -1, 3, -3, 255, -255]) << (shift - 1)])
    found = format_.requantize(integers, shift)
    assert found.dtype == format_.dtype
    for integer, result in zip(integers.tolist(), found.tolist(), strict=True):
        assert result == saturated(format_, round_half_up(integer / Fraction(2) ** shift)), integer


@pytest.mark.parametrize("shift", [shift for shift in SHIFTS if shift >= 0])
def test_shift_right_never_overflows(shift):
    ends = np.array([2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1, 2**62, 2**62 - 1, -(2**62), -(2**62) - 1])
    expected = [round_half_up(value / Fraction(2) ** shift) for value in ends.tolist()]
    assert shift_right(ends, shift).tolist() == expected


@pytest.mark.parametrize("format_", FORMATS, ids=str)
def test_saturate_limits_to_the_whole_range(format_):
    integers = np.array([format_.min_int - 1, format_.min_int, 0, format_.max_int, format_.max_int + 1, 2**62, -(2**62)])
    assert format_.saturate(integers).tolist() == [saturated(format_, value) for value in integers.tolist()]


def test_sign_and_float():
    assert SIGN.quantize(np.array([0.0, -0.0, 3.0, -1e-30])).tolist() == [1, 1, 1, -1]
    assert SIGN.dequantize(np.array([1, -1])).tolist() == [1.0, -1.0]
    assert FLOAT32.quantize(np.array([0.1])).tolist() == [float(np.float32(0.1))]


@pytest.mark.parametrize("name", [*NAMES, "FIXED8", "UFIXED16", "SIGN", "FLOAT32", "FIXED8_-32", "FIXED8_63"])
def test_names_are_read_and_printed(name):
    assert str(QFormat.parse(name)) == name


NO_FORMATS = ["", "FIXED", "FIXED8_", "FIXED7_2", "FIXED8_64", "FIXED8_-33", "UFIXED32_0", "FLOAT16", "SIGN_1", "fixed8_4"]


@pytest.mark.parametrize("text", [*NO_FORMATS, "FIXED8_4 ", 8, None])
def test_what_is_no_format_is_refused_with_its_text(text):
    with pytest.raises(ValueError, match=r"FIXED|frac_bits") as error:
        QFormat.parse(text)
    assert str(text) in str(error.value)


def test_a_family_has_no_step():
    family = QFormat.parse("FIXED8")
    assert family.frac_bits is None
    assert family.with_frac_bits(3) == fixed(8, 3)
    for use in (lambda: family.step, lambda: family.quantize(np.zeros(1)), lambda: family.dequantize(np.zeros(1, np.int8))):
        with pytest.raises(ValueError, match="FIXED8 is a family"):
            use()


def test_parts_that_do_not_fit_are_refused():
    too_fine = (Kind.FIXED, 8, MAX_FRAC_BITS + 1)
    for arguments in [(Kind.FIXED, 7, 0), (Kind.UFIXED, 32, 0), (Kind.SIGN, 1, 1), (Kind.FLOAT, 32, 2), too_fine]:
        with pytest.raises(ValueError, match="Received"):
            QFormat(*arguments)
    assert QFormat(Kind.FIXED, 8, MIN_FRAC_BITS).step == 2.0**32


@pytest.mark.parametrize("name", ["SIGN", "FIXED4_0", "FIXED8_0", "FIXED16_0", "FLOAT32"])
@pytest.mark.parametrize("shape", [(3, 5), (1, 32), (2, 3, 3, 4), (7,)])
def test_bytes_of_a_tensor(name, shape):
    format_ = QFormat.parse(name)
    count = math.prod(shape)
    words_of_signs = shape[0] * math.ceil(count / shape[0] / 32)  # each output channel has words of its own
    assert format_.nbytes(shape) == (4 * words_of_signs if name == "SIGN" else math.ceil(count * format_.bits / 8))
