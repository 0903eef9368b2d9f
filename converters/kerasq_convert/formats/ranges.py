"""Choosing the number of fractional bits: every candidate on the power-of-two grid, scored with the runtime's rounding.

One bit more halves the step and halves the range. The default score is the mean squared error, of rounding and of
saturation together: a rare outlier is allowed to saturate where that is worth a finer step for all the others.
"""

from __future__ import annotations

import enum

import numpy as np

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat, blocks
from kerasq.statistics import Histogram, candidate_formats
from kerasq_convert.formats.behind import Behind

FINER = 4  # candidates beyond the finest format that saturates nothing
SATURATED_SHARE = 1e-4  # what the criterion PERCENTILE leaves beyond the range


class Criterion(enum.StrEnum):
    """How the number of fractional bits of one tensor is chosen; kernels know MINMAX and MSE, which the others mean too."""

    MINMAX = "minmax"  # the finest format that saturates nothing
    PERCENTILE = "percentile"  # the finest one that saturates at most SATURATED_SHARE of the values
    MSE = "mse"  # the least mean squared error
    KL = "kl"  # the least divergence of the distribution of the stored values from that of the values


def best_for_histogram(
    family: QFormat, histogram: Histogram, criterion: Criterion = Criterion.MSE, behind: Behind | None = None
) -> QFormat:
    """The format that `criterion` prefers for what was observed of an activation.

    Args:
        family: The family that it is a member of.
        histogram: What was observed.
        criterion: By what formats are compared.
        behind: What a function makes of the values, if that alone matters: MSE is then that of the function's values.
    """
    scored = candidate_formats(histogram, family.bits, signed=family.signed, finer=FINER)
    if not scored:  # no finite value was seen
        return family.with_frac_bits(family.bits - 1)
    match criterion:
        case Criterion.MINMAX:
            return scored[0].qformat
        case Criterion.PERCENTILE:
            # Of an unsigned format for values that are negative too, every candidate may saturate more.
            return [scored[0], *(candidate for candidate in scored if candidate.saturated_share <= SATURATED_SHARE)][-1].qformat
        case Criterion.KL:
            return min(scored, key=lambda candidate: divergence(candidate.qformat, histogram)).qformat
        case _ if behind is not None and behind.is_finite:
            return min(scored, key=lambda candidate: behind.squared_error(candidate.qformat)).qformat
        case _:
            return min(scored, key=lambda candidate: candidate.squared_error).qformat


def divergence(format_: QFormat, histogram: Histogram) -> float:
    """Kullback-Leibler divergence of what `format_` keeps of a distribution from the distribution, in nats.

    Compared is the distribution with what saturates gathered in the outermost bins within the range, and the one that is
    left if, without what saturates, each stored value's share is spread evenly over the bins that round to it (Migacz
    2017, 8-bit inference with TensorRT).
    """
    occupied = np.flatnonzero(histogram.bins)
    counts = histogram.bins[occupied].astype(np.float64)
    centres = (occupied + 0.5) * histogram.bin_width - histogram.limit
    inside = (centres >= format_.min - format_.step / 2) & (centres < format_.max + format_.step / 2)
    if not inside.any():
        return float("inf")
    kept = np.where(inside, counts, 0.0)
    first, last = np.flatnonzero(inside)[[0, -1]]
    gathered = kept.copy()
    gathered[first] += counts[:first].sum()
    gathered[last] += counts[last + 1 :].sum()
    _, level = np.unique(format_.quantize(centres[inside]), return_inverse=True)
    spread = (np.bincount(level, kept[inside]) / np.bincount(level))[level]
    p, q = gathered[inside] / gathered.sum(), spread / spread.sum()
    return float(np.sum(p * np.log(p / q)))


def best_for_values(family: QFormat, values: np.ndarray, criterion: Criterion = Criterion.MSE) -> QFormat:
    """The format that saturates nothing of a kernel (MINMAX), or that with the least squared error."""
    first = family.finest(float(values.min()), float(values.max()))
    if first is None:
        return family.with_frac_bits(family.bits - 1)
    if criterion is Criterion.MINMAX:
        return family.with_frac_bits(first)

    def error(format_: QFormat) -> float:
        return sum(
            float(np.sum((format_.dequantize(format_.quantize(block), np.float64) - block) ** 2)) for _, block in blocks(values)
        )

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
