"""Values beyond all that were observed: as many, and as far out, as fresh ones of the same kind are."""

import numpy as np
import pytest

from kerasq.histogram import Histogram
from kerasq.qformat import fixed
from kerasq_convert.graph import UNLIMITED, Identity
from kerasq_convert.observation.unseen import Unseen

FORMAT = fixed(16, 12)  # up to 8, steps that cost nothing


def node(clamp=UNLIMITED):
    return Identity(output="y", inputs=("x",), shape=(1, 4), layers=("y",), clamp=clamp)


def histogram(values):
    result = Histogram()
    result.add(values)
    return result


@pytest.mark.parametrize("count", [30, 200, 2000])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_saturates_of_fresh_values_is_as_much_as_expected(count, sign):
    """Exponentially distributed ones, whose tail is what the estimate takes it for, in a format that ends where they ended."""
    rng = np.random.default_rng(count)
    expected, fresh = [], []
    for _ in range(300):
        seen = rng.exponential(size=count)
        factor = 8 / seen.max()
        expected.append(Unseen.of(node(), histogram(sign * seen)).squared_error(FORMAT, factor) / factor**2)
        beyond = np.maximum(rng.exponential(size=20_000) - seen.max(), 0.0)
        fresh.append(np.mean(beyond**2))
    assert np.mean(expected) == pytest.approx(np.mean(fresh), rel=0.4)


def test_room_and_limits_leave_nothing_beyond():
    rng = np.random.default_rng(0)
    values = np.clip(rng.exponential(size=300), None, 4.0)
    unseen = Unseen.of(node(), histogram(values))
    errors = [unseen.squared_error(FORMAT, 8 / room / values.max()) for room in (0.8, 1.0, 1.5, 4.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 1000
    assert Unseen.of(node((0.0, 4.0)), histogram(values)).squared_error(FORMAT, 2.0) == 0.0  # no value is above the clamp
    many = Unseen.of(node(), histogram(np.tile(values, 1000)))
    assert many.squared_error(FORMAT, 2.0) < unseen.squared_error(FORMAT, 2.0) / 100
