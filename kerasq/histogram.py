"""Streaming statistics of one tensor: moments, extremes, exact zeros and a histogram whose range follows the data.

The histogram has a fixed number of equal bins over [-limit, limit). The limit is a power of two, as small as the first
values allow; when a value exceeds it, the limit doubles and pairs of bins merge, exactly. So no range has to be known
beforehand, nothing is ever estimated twice, and the bins line up with the steps of every Q-format: a format's rounding
boundaries, odd multiples of half its step, either are edges of bins or lie in the middle of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq.qformat import MIN_FRAC_BITS, QFormat
from kerasq.text import shown

BINS = 4096
GRID_BITS = 16  # a grid finer than limit * 2**-GRID_BITS is not told apart from real numbers
MIN_EXPONENT = -149  # of the smallest positive float32
MAX_EXPONENT = 128  # values of 2**128 and more, beyond float32, count as infinite
_HALF = BINS // 2
_LARGEST = (1 << 63) - 1  # of a bin's count
_CHUNK = 1 << 13  # values at a time: float64 copies stay in the cache and below 128 KiB, where malloc maps fresh pages


class Histogram:
    """Streaming statistics of the values of one tensor.

    Attributes:
        count: Finite values seen, zeros included.
        zeros: How many of them were exactly zero; they are in no bin.
        nan, infinite: NaNs and infinities seen. Nothing else here takes note of them.
        min, max: Smallest and largest value; NaN as long as `count` is 0.
        mean: Mean of the values; NaN as long as `count` is 0.
        bins: Values by bin, `BINS` int64 numbers; bin i spans `limit * (2 * i / BINS - 1)` to the same of i + 1.
        exponent: The limit is `2 ** exponent`.
        exact_frac_bits: The fewest fractional bits with which every value is exact (-32 at least); `None` where that
            takes more than 16 bits and a sign, as for any tensor that was not quantized.

    Example:

    >>> histogram = Histogram()
    >>> histogram.add(np.array([0.0, 0.5, -1.5]))
    >>> histogram.count, histogram.zeros, histogram.min, histogram.max, histogram.exact_frac_bits
    (3, 1, -1.5, 0.5, 1)
    """

    def __init__(self) -> None:
        self.count = 0
        self.zeros = 0
        self.nan = 0
        self.infinite = 0
        self.min = math.nan
        self.max = math.nan
        self.mean = math.nan
        self.bins = np.zeros(BINS, np.int64)
        self.exponent = MIN_EXPONENT
        self.exact_frac_bits: int | None = MIN_FRAC_BITS
        self._squared_deviations = 0.0  # sum of (value - mean)**2

    @property
    def limit(self) -> float:
        """End of the bins' range, a power of two."""
        return 2.0**self.exponent

    @property
    def bin_width(self) -> float:
        """Width of a bin, a power of two."""
        return 2.0 * self.limit / BINS

    @property
    def std(self) -> float:
        """Standard deviation of the values seen, as of a whole population; NaN as long as `count` is 0."""
        return math.sqrt(self._squared_deviations / self.count) if self.count else math.nan

    @property
    def signal_power(self) -> float:
        """Mean of the squared values; NaN as long as `count` is 0."""
        return self.mean**2 + self._squared_deviations / self.count if self.count else math.nan

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, min={self.min:g}, max={self.max:g}, mean={self.mean:g}, std={self.std:g})"

    def add(self, values: np.typing.ArrayLike) -> None:
        """Takes in `values`: an array of any shape and real dtype."""
        flat = np.ravel(np.asarray(values))
        for start in range(0, flat.size, _CHUNK):
            self._add_chunk(flat[start : start + _CHUNK].astype(np.float64))

    def _add_chunk(self, chunk: np.ndarray) -> None:
        low, high = float(chunk.min()), float(chunk.max())
        if not (math.isfinite(low) and math.isfinite(high) and max(-low, high) < 2.0**MAX_EXPONENT):
            chunk = self._finite(chunk)
            if not chunk.size:
                return
            low, high = float(chunk.min()), float(chunk.max())
        self._grow(_exponent_for(low, high))
        zeros = chunk.size - int(np.count_nonzero(chunk))
        indices = np.floor(chunk * (1.0 / self.bin_width)).astype(np.intp)  # exact: the factor is a power of two
        indices += _HALF
        self.bins += np.bincount(indices, minlength=BINS)
        self.bins[_HALF] -= zeros
        self.zeros += zeros
        self._refine_grid(chunk)
        mean = float(chunk.mean())
        chunk -= mean
        self._add_moments(chunk.size, low, high, mean, float(chunk @ chunk))

    def _finite(self, chunk: np.ndarray) -> np.ndarray:
        nan = np.isnan(chunk)
        finite = np.abs(chunk) < 2.0**MAX_EXPONENT
        self.nan += int(nan.sum())
        self.infinite += int(chunk.size - nan.sum() - finite.sum())
        return chunk[finite]

    def _add_moments(self, count: int, low: float, high: float, mean: float, squared_deviations: float) -> None:
        """Merges the moments of `count` more values (Chan, Golub, LeVeque 1979: stable, whatever the mean)."""
        if not self.count:
            self.min, self.max, self.mean = low, high, mean
            self.count, self._squared_deviations = count, squared_deviations
            return
        total = self.count + count
        delta = mean - self.mean
        self._squared_deviations += squared_deviations + delta * delta * (self.count * (count / total))
        self.mean += delta * (count / total)
        self.min, self.max, self.count = min(self.min, low), max(self.max, high), total

    def _grow(self, exponent: int) -> None:
        self.bins = self._bins_at(max(exponent, self.exponent))
        self.exponent = max(exponent, self.exponent)

    def _bins_at(self, exponent: int) -> np.ndarray:
        """The bins if the limit were `2 ** exponent`, at or above its own exponent."""
        bins = self.bins
        if exponent == self.exponent or self.count == self.zeros:
            return bins
        for _ in range(exponent - self.exponent):
            merged = np.zeros_like(bins)
            merged[BINS // 4 : 3 * BINS // 4] = bins[0::2] + bins[1::2]
            bins = merged
        return bins

    def _refine_grid(self, chunk: np.ndarray) -> None:
        """Updates `exact_frac_bits`; free as soon as it is `None`."""
        if self.exact_frac_bits is None:
            return
        scaled = np.ldexp(chunk, self.exact_frac_bits)
        if not np.array_equal(scaled, np.rint(scaled)):
            mantissas, exponents = np.frexp(chunk[chunk != 0])
            integers = np.ldexp(mantissas, 53).astype(np.int64)
            lowest_set = np.frexp((integers & -integers).astype(np.float64))[1] - 1
            self.exact_frac_bits = int((53 - lowest_set - exponents).max())
        self._limit_grid()

    def _limit_grid(self) -> None:
        if self.exact_frac_bits is not None and self.exact_frac_bits + self.exponent > GRID_BITS:
            self.exact_frac_bits = None

    def _is_grid(self, frac_bits: int) -> bool:
        return MIN_FRAC_BITS <= frac_bits <= GRID_BITS - self.exponent

    def merge(self, other: Histogram) -> None:
        """Takes in everything that `other` has seen; `other` stays as it is."""
        self.nan += other.nan
        self.infinite += other.infinite
        if not other.count:
            return
        self._grow(other.exponent)
        self.bins = self.bins + other._bins_at(self.exponent)
        self.zeros += other.zeros
        grids = (self.exact_frac_bits, other.exact_frac_bits)
        self.exact_frac_bits = None if None in grids else max(grid for grid in grids if grid is not None)
        self._limit_grid()
        self._add_moments(other.count, other.min, other.max, other.mean, other._squared_deviations)

    def mapped(self, function: Callable[[np.ndarray], np.ndarray]) -> Histogram:
        """The statistics of `function` of every value, as far as bins tell: the extremes exactly, others at their bin's centre.

        Values without a finite result are left out.
        """
        result = Histogram()
        result.nan, result.infinite = self.nan, self.infinite
        if not self.count:
            return result
        counts, starts, width = self._occupied()
        values = np.concatenate([[self.min, self.max, 0.0], np.clip(starts + width / 2, self.min, self.max)])
        counts = np.concatenate([[1.0, 1.0, self.zeros], counts])
        with np.errstate(all="ignore"):
            images = np.asarray(function(values), np.float64)
        kept = (counts > 0) & (np.abs(images) < 2.0**MAX_EXPONENT)
        if kept.any():
            result._add_counted(images[kept], counts[kept])
        return result

    def _add_counted(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Takes in finite values, each so many times; whether they lie on a grid is no longer known."""
        low, high = float(values.min()), float(values.max())
        self._grow(_exponent_for(low, high))
        nonzero = values != 0
        indices = np.floor(values[nonzero] / self.bin_width).astype(np.intp) + _HALF
        self.bins = self.bins + np.bincount(indices, counts[nonzero], BINS).astype(np.int64)
        self.zeros += int(counts[~nonzero].sum())
        self.exact_frac_bits = None
        mean = float(np.average(values, weights=counts))
        self._add_moments(int(counts.sum()), low, high, mean, float(counts @ (values - mean) ** 2))

    def percentile(self, q: float) -> float:
        """The value that `q` percent of the values don't exceed, linear within a bin; NaN as long as `count` is 0.

        Args:
            q: Percent, 0 (the minimum) to 100 (the maximum).
        """
        if not 0 <= q <= 100:
            raise ValueError(f"`q` is a percentage, 0 to 100. Received: q={q}")
        if not self.count:
            return math.nan
        # Zeros are a step of their own between the last negative and the first positive bin.
        weights = np.insert(self.bins, _HALF, self.zeros)
        starts = np.insert(np.arange(-_HALF, _HALF) * self.bin_width, _HALF, 0.0)
        widths = np.insert(np.full(BINS, self.bin_width), _HALF, 0.0)
        rank = q / 100 * self.count
        ends = np.cumsum(weights)
        index = min(int(np.searchsorted(ends, rank)), int(np.flatnonzero(weights)[-1]))
        inside = 1.0 - (ends[index] - rank) / max(weights[index], 1)
        return float(np.clip(starts[index] + widths[index] * inside, self.min, self.max))

    def saturated_share(self, qformat: QFormat) -> float:
        """Share of the values that `qformat` can't reach: those that round beyond its ends (0 for FLOAT32).

        Exact, but for a format so fine that one of its ends lies in the middle of a bin (linear within it).

        Raises:
            ValueError: `qformat` is SIGN or a family.
        """
        if not _checked(qformat) or not self.count:
            return 0.0
        counts, starts, width = self._occupied()
        below, above = self._ends(qformat)
        if width == 0.0:
            outside = ((starts < below) | (starts >= above)).astype(np.float64)
        else:
            ends = starts + width
            outside = 1.0 - (np.clip(above, starts, ends) - np.clip(below, starts, ends)) / width
        return float(counts @ outside) / self.count

    def squared_error(self, qformat: QFormat) -> float:
        """Mean squared error of storing the values in `qformat`, rounding and saturation included (0 for FLOAT32).

        Exact where the values lie on a grid no finer than the bins. Else values count as spread evenly over their bin:
        within the format's range a bin costs step^2 / 12 where it is wider than a step, and the error of its centre plus
        width^2 / 12 where it is narrower. Exact zeros cost nothing.

        Raises:
            ValueError: `qformat` is SIGN or a family.
        """
        if not _checked(qformat) or not self.count:
            return 0.0
        counts, starts, width = self._occupied()
        if width == 0.0:
            errors = _rounding_error(starts, qformat) ** 2
        else:
            ends = starts + width
            low, high = (np.clip(end, starts, ends) for end in self._ends(qformat))
            errors = (high - low) / width * self._rounding_cost(starts + width / 2, width, qformat)
            errors += _squared_distance(starts, low, qformat.min) / width
            errors += _squared_distance(high, ends, qformat.max) / width
        return float(counts @ errors) / self.count

    def _occupied(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Counts and lower edges of the bins that hold values, and the width over which a bin's values spread.

        Values on a grid at least as coarse as the bins are all equal to their bin's lower edge: width 0.
        """
        occupied = np.flatnonzero(self.bins)
        width = self.bin_width
        on_grid = self.exact_frac_bits is not None and 2.0**-self.exact_frac_bits >= width
        return self.bins[occupied].astype(np.float64), (occupied - _HALF) * width, 0.0 if on_grid else width

    def _ends(self, qformat: QFormat) -> tuple[float, float]:
        """What is below the first, or not below the second, saturates: infinite where no value seen does."""
        below, above = qformat.min - qformat.step / 2, qformat.max + qformat.step / 2
        return (below if self.min < below else -math.inf), (above if self.max >= above else math.inf)

    def _rounding_cost(self, centres: np.ndarray, width: float, qformat: QFormat) -> np.ndarray | float:
        grid = 0.0 if self.exact_frac_bits is None else 2.0**-self.exact_frac_bits
        if grid >= qformat.step:
            return 0.0
        if width >= qformat.step:
            return (qformat.step**2 + 2 * grid**2) / 12  # even k = step / grid: the mean of j^2 over -k/2 < j <= k/2
        return _rounding_error(centres, qformat) ** 2 + width**2 / 12

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; of the bins, the range that holds values."""
        occupied = np.flatnonzero(self.bins)
        first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, -1)
        return {
            "count": self.count,
            "zeros": self.zeros,
            "nan": self.nan,
            "infinite": self.infinite,
            "min": self.min if self.count else None,
            "max": self.max if self.count else None,
            "mean": self.mean if self.count else None,
            "squared_deviations": self._squared_deviations,
            "exact_frac_bits": self.exact_frac_bits,
            "exponent": self.exponent,
            "first_bin": first,
            "bins": self.bins[first : last + 1].tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Histogram:
        """The histogram that `to_dict` described.

        Raises:
            ValueError: `data` does not describe a histogram.
        """
        histogram = cls()
        try:
            for name in ("count", "zeros", "nan", "infinite", "exponent"):
                setattr(histogram, name, _integer(data[name]))
            for name in ("min", "max", "mean"):
                setattr(histogram, name, float(data[name]) if histogram.count else math.nan)
            histogram._squared_deviations = float(data["squared_deviations"])
            grid = data["exact_frac_bits"]
            histogram.exact_frac_bits = None if grid is None else _integer(grid)
            first, bins = _integer(data["first_bin"]), [_integer(count) for count in data["bins"]]
            if not 0 <= first <= BINS - len(bins):
                raise ValueError(f"bins {first} to {first + len(bins) - 1} of {BINS}")
            histogram.bins[first : first + len(bins)] = bins
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not the description of a histogram: {type(error).__name__}: {error}") from None
        histogram._check()
        return histogram

    def _check(self) -> None:
        counts = (self.count, self.zeros, self.nan, self.infinite)
        moments = (self.min, self.max, self.mean) if self.count else ()
        if (
            min(counts) < 0
            or self.bins.min() < 0
            or sum(self.bins.tolist()) + self.zeros != self.count  # Python's integers: the sum may be more than int64 holds
            or not MIN_EXPONENT <= self.exponent <= MAX_EXPONENT
            or not all(math.isfinite(value) for value in (*moments, self._squared_deviations))
            or (self.count and not -self.limit <= self.min <= self.max < self.limit)
            or (self.count and abs(self.mean) > self.limit)
            or not 0 <= self._squared_deviations <= self.count * (2 * self.limit) ** 2
            or (self.exact_frac_bits is not None and not self._is_grid(self.exact_frac_bits))
        ):
            raise ValueError("not the description of a histogram: its numbers contradict each other")


def _checked(qformat: QFormat) -> bool:
    """Whether values in this format can be wrong at all."""
    if qformat.is_sign:
        raise ValueError(f"Saturation and rounding are those of fixed-point formats. Received: qformat={qformat}")
    return qformat.is_fixed


def _exponent_for(low: float, high: float) -> int:
    """The smallest e with -2**e <= low and high < 2**e, but `MIN_EXPONENT` at least."""
    mantissa, exponent = math.frexp(low)
    below = exponent - (mantissa == -0.5) if low < 0 else MIN_EXPONENT
    above = math.frexp(high)[1] if high > 0 else MIN_EXPONENT
    return max(below, above, MIN_EXPONENT)


def _rounding_error(values: np.ndarray, qformat: QFormat) -> np.ndarray:
    return qformat.dequantize(qformat.quantize(values), np.float64) - values


def _squared_distance(start: np.ndarray, end: np.ndarray, point: float) -> np.ndarray:
    """Integral of (x - point)**2 from `start` to `end`."""
    a, b = start - point, end - point
    return (b - a) * (a * a + a * b + b * b) / 3


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
        raise TypeError(f"expected an integer of 64 bits, received {shown(value)}")
    return value
