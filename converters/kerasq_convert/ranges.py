"""Choosing the number of fractional bits: every candidate on the power-of-two grid, scored with the runtime's rounding.

One bit more halves the step and halves the range. The score is the mean squared error, of rounding and of saturation
together: a rare outlier is allowed to saturate where that is worth a finer step for all the others.
"""

from __future__ import annotations

import numpy as np

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from kerasq.statistics import Histogram, candidate_formats

FINER = 4  # candidates beyond the finest format that saturates nothing


def best_for_histogram(family: QFormat, histogram: Histogram) -> QFormat:
    """The format with the least squared error on what was observed of an activation."""
    scored = candidate_formats(histogram, family.bits, signed=family.signed, finer=FINER)
    if not scored:  # no finite value was seen
        return family.with_frac_bits(family.bits - 1)
    return min(scored, key=lambda candidate: candidate.squared_error).qformat


def best_for_values(family: QFormat, values: np.ndarray) -> QFormat:
    """The format with the least squared error on all of `values` (a kernel)."""
    exact = values.astype(np.float64)
    first = family.finest(float(exact.min()), float(exact.max()))
    if first is None:
        return family.with_frac_bits(family.bits - 1)

    def error(format_: QFormat) -> float:
        return float(np.mean((format_.dequantize(format_.quantize(exact), np.float64) - exact) ** 2))

    last = min(first + FINER, MAX_FRAC_BITS)
    return min((family.with_frac_bits(n) for n in range(first, last + 1)), key=error)


def exceeds(format_: QFormat, largest: float) -> bool:
    """Whether a magnitude is beyond every format of its family: beyond float32, or the coarsest fixed-point format."""
    if format_.is_float:
        return largest > float(np.finfo(np.float32).max)
    return format_.is_fixed and largest > format_.with_frac_bits(MIN_FRAC_BITS).max + 2.0**-MIN_FRAC_BITS


def exact_as_possible(family: QFormat, values: np.ndarray, at_most: int = MAX_FRAC_BITS) -> QFormat:
    """The finest format that saturates none of `values` (multipliers and biases), with at most so many fractional bits."""
    finest = family.finest(float(np.min(values)), float(np.max(values)))
    return family.with_frac_bits(max(MIN_FRAC_BITS, min(at_most if finest is None else finest, at_most)))
