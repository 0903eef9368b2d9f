"""Taking times: samples long enough for the clock, medians over several, and two programs in turn.

A machine is slower at one moment than at another (frequency, neighbours, caches). Medians ignore single disturbances; what is
compared is measured in turn, so that slow moments strike both, and the ratio of each pair is kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

_SAMPLE_SECONDS = 0.01
_MAX_CALLS = 1 << 20


class Comparison(NamedTuple):
    """Two programs, measured in turn.

    Attributes:
        first, second: Median seconds of a call.
        ratio: `first / second`.
        low, high: Quartiles of the ratios of the pairs.
        pairs: Their number.
    """

    first: float
    second: float
    ratio: float
    low: float
    high: float
    pairs: int


def calls_per_sample(call: Callable[[], object]) -> int:
    """How many calls take long enough to be timed; the first ones warm up what there is to warm up."""
    call()
    count = 1
    while (seconds := sample(call, count) * count) < _SAMPLE_SECONDS and count < _MAX_CALLS:
        wanted = count * _SAMPLE_SECONDS / max(seconds, 1e-9)
        count = min(max(round(1.2 * wanted), count + 1), 10 * count)
    return count


def sample(call: Callable[[], object], count: int) -> float:
    """Seconds of a call, averaged over `count`."""
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count


def median_seconds(call: Callable[[], object], runs: int) -> float:
    """Median of the seconds of a call over `runs` samples."""
    count = calls_per_sample(call)
    return statistics.median(sample(call, count) for _ in range(runs))


def in_turn(first: Callable[[], object], second: Callable[[], object], runs: int) -> Comparison:
    """Medians of two programs over `runs` samples of each, one after the other."""
    counts = calls_per_sample(first), calls_per_sample(second)
    pairs = [(sample(first, counts[0]), sample(second, counts[1])) for _ in range(runs)]
    medians = [statistics.median(times) for times in zip(*pairs, strict=True)]
    ratios = [a / b for a, b in pairs]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if runs > 1 else ratios * 3
    return Comparison(medians[0], medians[1], medians[0] / medians[1], low, high, runs)
