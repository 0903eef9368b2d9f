"""Choosing the number of fractional bits: every candidate on the power-of-two grid, scored with the runtime's rounding.

One bit more halves the step and halves the range. The score is the mean squared error, of rounding and of saturation
together: a rare outlier is allowed to saturate where that is worth a finer step for all the others.
"""

from __future__ import annotations

import math

import numpy as np

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from kerasq.statistics import Histogram

FINER = 4  # candidates beyond the finest format that saturates nothing


def unsaturated_frac_bits(family: QFormat, low: float, high: float) -> int:
    """The largest number of fractional bits at which neither `low` nor `high` saturates.

    Values that round to the largest stored integer do not saturate: 127.4 steps are stored as 127.
    """
    limits = [(high, family.max_int + 0.5)]
    if family.signed:
        limits.append((-low, -family.min_int + 0.5))
    bounds = [math.log2(limit / value) for value, limit in limits if value > 0]
    if not bounds:
        return 0
    frac_bits = math.floor(min(bounds))
    return int(np.clip(frac_bits, MIN_FRAC_BITS, MAX_FRAC_BITS))


def candidates(family: QFormat, low: float, high: float) -> list[QFormat]:
    """The formats of `family` worth scoring for values between `low` and `high`, the coarsest first."""
    first = unsaturated_frac_bits(family, low, high)
    return [family.with_frac_bits(n) for n in range(first, min(first + FINER, MAX_FRAC_BITS) + 1)]


def best_for_values(family: QFormat, values: np.ndarray) -> QFormat:
    """The format with the least squared error on all of `values` (a kernel)."""
    exact = values.astype(np.float64)
    if not exact.any():
        return family.with_frac_bits(0)

    def error(format_: QFormat) -> float:
        return float(np.mean((format_.dequantize(format_.quantize(exact), np.float64) - exact) ** 2))

    return min(candidates(family, float(exact.min()), float(exact.max())), key=error)


def best_for_histogram(family: QFormat, histogram: Histogram) -> QFormat:
    """The format with the least squared error on what was observed of an activation."""
    if histogram.max == histogram.min == 0:
        return family.with_frac_bits(0)
    return min(candidates(family, histogram.min, histogram.max), key=histogram.squared_error)


def exact_as_possible(family: QFormat, values: np.ndarray, at_most: int = MAX_FRAC_BITS) -> QFormat:
    """The finest format that saturates none of `values` (multipliers and biases), with at most so many fractional bits."""
    finest = unsaturated_frac_bits(family, float(np.min(values)), float(np.max(values)))
    return family.with_frac_bits(max(MIN_FRAC_BITS, min(finest if np.any(values) else 0, at_most)))
