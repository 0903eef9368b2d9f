import fractions
import json
import math

import numpy as np
import pytest

from kerasq.histogram import BINS, Histogram
from kerasq.qformat import QFormat

FORMATS = ["FIXED8_4", "FIXED8_5", "FIXED8_6", "FIXED8_7", "FIXED4_1", "UFIXED8_5", "UFIXED8_6", "FIXED16_12", "FIXED16_13"]


def histogram_of(*batches):
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch)
    return histogram


def stored_values(values, qformat):
    return qformat.dequantize(qformat.quantize(values), np.float64)


def saturates(values, qformat):
    rounded = np.floor(np.ldexp(values, qformat.frac_bits) + 0.5)
    return (rounded < qformat.min_int) | (rounded > qformat.max_int)


def assert_same(a, b):
    """Equal in every count, and in the moments but for rounding."""
    first, second = a.to_dict(), b.to_dict()
    for name in ("mean", "squared_deviations"):
        assert first.pop(name) == pytest.approx(second.pop(name), rel=1e-9)
    assert first == second


@pytest.mark.parametrize("exponent", [-60, -40, -1, 0, 7, 40, 100])
def test_moments_and_extremes_at_any_scale(exponent):
    values = np.ldexp(np.random.default_rng(exponent % 7).normal(3, 1, (50, 7, 3)), exponent).astype(np.float32)
    histogram = histogram_of(*values)
    wide = values.astype(np.float64)
    assert (histogram.count, histogram.min, histogram.max) == (wide.size, wide.min(), wide.max())
    assert histogram.mean == pytest.approx(wide.mean(), rel=1e-12)
    assert histogram.std == pytest.approx(wide.std(), rel=1e-12)
    assert histogram.signal_power == pytest.approx((wide**2).mean(), rel=1e-12)
    assert int(histogram.bins.sum()) == wide.size
    assert max(-histogram.min, histogram.max) <= histogram.limit <= 2 * max(-histogram.min, histogram.max)


def test_deviation_survives_a_large_mean():
    values = 1e8 + np.random.default_rng(1).integers(0, 2, 100_000)
    assert histogram_of(*values.reshape(10, -1)).std == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "exponent"),
    [([1.0], 1), ([-1.0], 0), ([0.999], 0), ([-1.001], 1), ([2**-40], -39), ([-(2.0**40)], 40), ([3, -4], 2), ([3, 4], 3)],
)
def test_limit_is_the_smallest_power_of_two_that_holds_the_values(values, exponent):
    histogram = histogram_of(np.array(values))
    assert histogram.exponent == exponent
    assert histogram.bins.sum() == len(values)


def test_bins_hold_what_numpy_counts():
    values = np.random.default_rng(2).normal(size=20_000)
    histogram = histogram_of(values)
    expected, _ = np.histogram(values, np.linspace(-histogram.limit, histogram.limit, BINS + 1))
    np.testing.assert_array_equal(histogram.bins, expected)


def test_growing_is_exact():
    rng = np.random.default_rng(3)
    batches = [np.ldexp(rng.normal(size=500), exponent) for exponent in (-30, -3, 2, 1, 9)]
    assert_same(histogram_of(*batches), histogram_of(np.concatenate(batches[::-1])))


def test_merge_equals_adding():
    rng = np.random.default_rng(4)
    batches = [np.array([]), np.zeros(3), rng.normal(size=300) * 1e-3, rng.normal(size=200) * 50, [np.nan, -np.inf, np.inf]]
    merged = Histogram()
    for batch in batches:
        part = histogram_of(batch)
        before = part.to_dict()
        merged.merge(part)
        assert part.to_dict() == before
    assert_same(merged, histogram_of(*batches))


def test_merging_leaves_no_shared_memory():
    part = histogram_of([0.5])
    merged = Histogram()
    merged.merge(part)
    merged.add([0.5])
    assert part.bins.sum() == 1
    assert merged.bins.sum() == 2


def test_zeros_are_counted_apart():
    histogram = histogram_of(np.array([0.0, -0.0, 1e-30, -1e-30, 5.0]))
    assert (histogram.count, histogram.zeros) == (5, 2)
    assert histogram.bins.sum() == 3


def test_nan_and_infinity_are_counted_apart():
    histogram = histogram_of([np.nan, 1.0, -np.inf], [np.inf, 2.0**128, -3.0])
    assert (histogram.nan, histogram.infinite, histogram.count) == (1, 3, 2)
    assert (histogram.min, histogram.max, histogram.mean) == (-3.0, 1.0, -1.0)


def test_empty():
    histogram = histogram_of(np.array([]), [np.nan])
    assert histogram.count == 0
    assert all(math.isnan(v) for v in (histogram.min, histogram.max, histogram.mean, histogram.std, histogram.percentile(50)))
    assert histogram.squared_error(QFormat.parse("FIXED8_4")) == 0


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "bool", "float16", "float32", "float64"])
def test_any_real_dtype(dtype):
    histogram = histogram_of(np.array([0, 1, 1], dtype))
    assert (histogram.count, histogram.zeros, histogram.max, histogram.exact_frac_bits) == (3, 1, 1.0, -0)


@pytest.mark.parametrize("q", [0, 0.1, 1, 25, 50, 75, 99, 99.9, 100])
@pytest.mark.parametrize("relu", [False, True])
def test_percentiles(q, relu):
    values = np.random.default_rng(5).normal(size=100_000)
    values = np.maximum(values, 0) if relu else values
    histogram = histogram_of(values)
    assert histogram.percentile(q) == pytest.approx(np.percentile(values, q), abs=2 * histogram.bin_width)


def test_percentile_of_zeros_is_zero():
    histogram = histogram_of(np.array([-1.0, 0, 0, 0, 0, 0, 0, 0, 0, 2.0]))
    assert [histogram.percentile(q) for q in (0, 20, 50, 90, 100)] == [-1.0, 0.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize("q", [-1, 100.1, math.nan])
def test_percentile_outside_the_percentages(q):
    with pytest.raises(ValueError, match="Received: q="):
        histogram_of([1.0]).percentile(q)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("relu", [False, True])
def test_cost_of_a_format_on_real_numbers(name, relu):
    values = np.random.default_rng(6).normal(scale=1.5, size=200_000)
    values = np.maximum(values, 0) if relu else values
    qformat, histogram = QFormat.parse(name), histogram_of(values)
    exact = ((values - stored_values(values, qformat)) ** 2).mean()
    assert histogram.squared_error(qformat) == pytest.approx(exact, rel=0.01)
    assert histogram.saturated_share(qformat) == pytest.approx(saturates(values, qformat).mean(), abs=1e-4)


@pytest.mark.parametrize(
    "name", ["FIXED8_4", "FIXED8_2", "FIXED8_6", "FIXED8_0", "UFIXED8_5", "FIXED4_0", "FIXED16_4", "FIXED16_12"]
)
def test_cost_of_a_format_on_a_grid_is_exact(name):
    values = np.random.default_rng(7).integers(-200, 200, 5000) / 16
    qformat, histogram = QFormat.parse(name), histogram_of(values)
    assert histogram.exact_frac_bits == 4
    exact = ((values - stored_values(values, qformat)) ** 2).mean()
    assert histogram.squared_error(qformat) == pytest.approx(exact, rel=1e-12)
    assert histogram.saturated_share(qformat) == saturates(values, qformat).mean()


@pytest.mark.parametrize("name", ["FIXED16_12", "FIXED16_11", "FIXED16_13", "FIXED32_20"])
def test_a_grid_finer_than_the_bins_costs_nothing_within_the_range(name):
    values = np.random.default_rng(8).integers(-(2**15), 2**15, 5000) / 2**12
    qformat, histogram = QFormat.parse(name), histogram_of(values)
    exact = ((values - stored_values(values, qformat)) ** 2).mean()
    assert histogram.squared_error(qformat) == pytest.approx(exact, rel=0.01)
    assert histogram.saturated_share(qformat) == pytest.approx(saturates(values, qformat).mean(), abs=1e-3)


@pytest.mark.parametrize("value", [127.5 / 16, 127.49 / 16, -128.5 / 16, -128.51 / 16])
def test_saturation_begins_where_rounding_leaves_the_range(value):
    qformat = QFormat.parse("FIXED8_4")
    expected = float(saturates(np.array(value), qformat))
    assert histogram_of([value]).saturated_share(qformat) == expected


def test_float_costs_nothing_and_sign_is_refused():
    histogram = histogram_of([0.3])
    assert (histogram.squared_error(QFormat.parse("FLOAT32")), histogram.saturated_share(QFormat.parse("FLOAT32"))) == (0, 0)
    for method in (histogram.squared_error, histogram.saturated_share):
        for name in ("SIGN", "FIXED8"):
            with pytest.raises(ValueError, match=name):
                method(QFormat.parse(name))


def frac_bits_needed(values):
    needed = max(fractions.Fraction(float(value)).denominator.bit_length() - 1 for value in values)
    return needed if needed else None


@pytest.mark.parametrize("frac_bits", [1, 3, 7, 12, 20, 50])
def test_grid_is_found(frac_bits):
    values = np.append(np.random.default_rng(9).integers(-127, 128, 1000), 1) * 2.0**-frac_bits
    histogram = histogram_of(*values.reshape(7, -1))
    assert histogram.exact_frac_bits == frac_bits == frac_bits_needed(values)


@pytest.mark.parametrize(("values", "expected"), [([0.0], -32), ([4.0, 12.0], -2), ([0.1], None), ([1.0, 2.0**-17], None)])
def test_grid_in_special_cases(values, expected):
    assert histogram_of(values).exact_frac_bits == expected


def test_dictionary_round_trip():
    rng = np.random.default_rng(10)
    for batch in ([], [np.nan], np.zeros(2), rng.normal(size=1000) * 1e-12, [7.0], [-(2.0**127)]):
        histogram = histogram_of(batch)
        again = Histogram.from_dict(json.loads(json.dumps(histogram.to_dict(), allow_nan=False)))
        assert again.to_dict() == histogram.to_dict()
        np.testing.assert_array_equal(again.bins, histogram.bins)


def test_dictionary_is_compact():
    assert len(histogram_of([1.0, 1.001]).to_dict()["bins"]) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"count": 5},
        {"count": -1},
        {"count": 3.0},
        {"count": True},
        {"bins": [10**30]},
        {"bins": "12"},
        {"bins": [1] * (BINS + 1)},
        {"first_bin": -1},
        {"first_bin": BINS},
        {"min": None},
        {"max": 1e300},
        {"mean": math.nan},
        {"exponent": 10**6},
        {"exponent": -3},
        {"squared_deviations": -1.0},
        {"exact_frac_bits": -40},
        {"exact_frac_bits": 17},
        {"exact_frac_bits": 10**4000},
        {"count": 10**4000, "zeros": 10**4000 - 2},
        {"count": 2**64 + 1, "bins": [2**63 - 1, 2**63 - 1, 2]},
        {"mean": 1e200},
        {"mean": 10**4000},
        {"squared_deviations": 1e300},
    ],
)
def test_contradictory_dictionaries_are_refused(damage):
    data = histogram_of([0.5, 0.75, 0.0]).to_dict() | damage
    with pytest.raises(ValueError, match="not the description of a histogram"):
        Histogram.from_dict(data)


@pytest.mark.parametrize("name", list(histogram_of([0.5]).to_dict()))
def test_missing_entries_are_refused(name):
    data = histogram_of([0.5]).to_dict()
    del data[name]
    with pytest.raises(ValueError, match=name):
        Histogram.from_dict(data)
