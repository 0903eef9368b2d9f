"""Choosing the number of fractional bits."""

import numpy as np
import pytest

from kerasq.qformat import QFormat, fixed
from kerasq.statistics import Histogram
from kerasq_convert.formats import ranges

FAMILIES = [fixed(8), fixed(16), fixed(8, signed=False)]


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**-10, 0.3, 1.0, 6.0, 2.0**12])
def test_unsaturated_is_the_finest_that_saturates_nothing(family, scale):
    values = np.random.default_rng(4).uniform(0 if not family.signed else -scale, scale, 1000)
    frac_bits = family.finest(values.min(), values.max())
    fine, finer = family.with_frac_bits(frac_bits), family.with_frac_bits(frac_bits + 1)
    assert np.max(np.abs(fine.dequantize(fine.quantize(values), np.float64) - values)) <= fine.step / 2
    assert np.max(np.abs(finer.dequantize(finer.quantize(values), np.float64) - values)) > finer.step / 2


@pytest.mark.parametrize("exponent", [-10, -3, 0, 4])
def test_a_maximum_of_one_step_below_a_power_of_two_loses_no_bit(exponent):
    largest = 127 * 2.0**exponent
    assert fixed(8).finest(-1 * 2.0**exponent, largest) == -exponent
    assert fixed(8).finest(-128 * 2.0**exponent, 0.0) == -exponent


def test_tiny_weights_keep_seven_significant_bits():
    kernel = np.random.default_rng(5).uniform(-1, 1, (8, 8)) * 2.0**-10
    chosen = ranges.best_for_values(fixed(8), kernel)
    assert chosen.frac_bits >= 17
    stored = chosen.quantize(kernel)
    assert np.abs(stored.astype(int)).max() >= 64


def test_an_outlier_may_saturate_where_that_pays():
    values = np.concatenate([np.random.default_rng(6).normal(0, 0.1, 100_000), [3.0]])
    histogram = Histogram()
    histogram.add(values)
    chosen = ranges.best_for_histogram(fixed(8), histogram)
    assert chosen.max < 3.0
    brute_force = min(
        (fixed(8, n) for n in range(12)),
        key=lambda f: np.mean((f.dequantize(f.quantize(values), np.float64) - values) ** 2),
    )
    assert chosen == brute_force
    assert ranges.best_for_values(fixed(8), values) == brute_force


def test_constant_zero_has_a_format():
    histogram = Histogram()
    histogram.add(np.zeros(10))
    assert ranges.best_for_histogram(fixed(8), histogram) == QFormat.parse("FIXED8_7")
    assert ranges.best_for_values(fixed(8), np.zeros(10)) == QFormat.parse("FIXED8_7")


def test_pixels_get_the_format_of_pixels():
    histogram = Histogram()
    histogram.add(np.random.default_rng(7).integers(0, 256, 100_000))
    assert str(ranges.best_for_histogram(fixed(8, signed=False), histogram)) == "UFIXED8_0"


def test_exact_as_possible_never_saturates_and_obeys_the_limit():
    values = np.array([-3.2, 0.001, 5.9])
    chosen = ranges.exact_as_possible(fixed(32), values)
    assert np.max(np.abs(chosen.dequantize(chosen.quantize(values), np.float64) - values)) <= chosen.step / 2
    assert chosen.frac_bits == 28
    assert ranges.exact_as_possible(fixed(32), values, at_most=11).frac_bits == 11
