"""The choice of fractional bits, against its definition in exact arithmetic."""

import fractions
import math
import sys

import numpy as np
import pytest

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat

FAMILIES = [
    QFormat.parse(name) for name in ("FIXED2", "FIXED4", "FIXED8", "FIXED16", "FIXED32", "UFIXED4", "UFIXED8", "UFIXED16")
]


def holds(family, frac_bits, value):
    """Whether `value`, rounded half up, lies in the range of the family's member with `frac_bits`."""
    rounded = math.floor(fractions.Fraction(value) * fractions.Fraction(2) ** frac_bits + fractions.Fraction(1, 2))
    return family.min_int <= rounded <= family.max_int


def finest(family, values):
    fitting = [n for n in range(MIN_FRAC_BITS, MAX_FRAC_BITS + 1) if all(holds(family, n, value) for value in values)]
    return max(fitting, default=MIN_FRAC_BITS)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_finest_is_exact_at_every_boundary(family):
    """Values one unit in the last place around each limit, where one bit more or less is at stake."""
    for frac_bits in range(MIN_FRAC_BITS - 2, MAX_FRAC_BITS + 3, 5):
        for limit in (family.max_int + 0.5, family.max_int, family.min_int - 0.5, family.min_int, 1.0):
            value = math.ldexp(limit, -frac_bits)
            for near in (np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf)):
                if near > 0 or (near < 0 and family.signed):
                    assert family.finest(min(near, 0.0), max(near, 0.0)) == finest(family, [float(near)])


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_finest_holds_both_ends(family):
    rng = np.random.default_rng(0)
    for _ in range(50):
        low, high = np.ldexp(rng.uniform([-1.0, 0.0], [0.0, 1.0]), rng.integers(-40, 30, 2))
        assert family.finest(low, high) == finest(family, [low, high] if family.signed else [high])


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize(("value", "frac_bits"), [(sys.float_info.max, MIN_FRAC_BITS), (5e-324, MAX_FRAC_BITS)])
def test_finest_of_the_extremes_of_float64(family, value, frac_bits):
    assert family.finest(0.0, value) == frac_bits
    assert family.finest(-value, 0.0) == (frac_bits if family.signed else None)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_zero_has_no_finest(family):
    assert family.finest(0.0, 0.0) is None
