"""Taking times: samples long enough for the clock, medians over several, and two programs in turn.

A machine is slower at one moment than at another (frequency, neighbours, caches), and does something else for milliseconds.
Medians ignore single disturbances, within a sample, too; what is compared is measured in turn, so that slow moments strike both,
and the ratio of each pair is kept.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

_SAMPLE_SECONDS = 0.01
_MAX_CALLS = 1 << 20
_PIECES = 40  # of a sample


class Comparison(NamedTuple):
    """Two programs, measured in turn.

    Attributes:
        first, second: Median seconds of a call.
        ratio: `first / second`.
        low, high: Quartiles of the ratios of the pairs.
        pairs: Their number.
        samples: The seconds of each pair.
    """

    first: float
    second: float
    ratio: float
    low: float
    high: float
    pairs: int
    samples: list[tuple[float, float]]


def calls_per_sample(call: Callable[[], object]) -> int:
    """How many calls take long enough to be timed; the first ones warm up what there is to warm up."""
    call()
    count = 1
    while (seconds := sample(call, count) * count) < _SAMPLE_SECONDS and count < _MAX_CALLS:
        wanted = count * _SAMPLE_SECONDS / max(seconds, 1e-9)
        count = min(max(round(1.2 * wanted), count + 1), 10 * count)
    return count


def sample(call: Callable[[], object], count: int) -> float:
    """Seconds of a call, averaged over a piece of the `count` calls: the median of up to `_PIECES` of them, most of which lie
    between two turns of other programs."""
    pieces = min(count, _PIECES)
    return statistics.median(_average(call, count // pieces) for _ in range(pieces))


def _average(call: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count


def samples_of(call: Callable[[], object], runs: int, between: Callable[[], object] | None = None) -> list[float]:
    """Seconds of a call, `runs` samples; `between` is called before each of them."""
    count = calls_per_sample(call)
    samples = []
    for _ in range(runs):
        if between is not None:
            between()
        samples.append(sample(call, count))
    return samples


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper one."""
    if len(samples) == 1:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high


def in_turn(first: Callable[[], object], second: Callable[[], object], runs: int) -> Comparison:
    """Medians of two programs over `runs` samples of each, one after the other."""
    counts = calls_per_sample(first), calls_per_sample(second)
    pairs = [(sample(first, counts[0]), sample(second, counts[1])) for _ in range(runs)]
    medians = [statistics.median(times) for times in zip(*pairs, strict=True)]
    ratios = [a / b for a, b in pairs]
    low, high = quartiles(ratios)
    return Comparison(medians[0], medians[1], medians[0] / medians[1], low, high, runs, pairs)
