"""Values beyond all that were observed: how many there will be, and how far out.

The next of n + 1 values is the largest of them with a probability of 1 / (n + 1). Beyond a high quantile many distributions fall
about exponentially, with the mean excess s: the largest of n values is then expected s·(ln(sqrt(n)) + 0.577) above the quantile
of 1 - 1 / sqrt(n), which tells s. A format that ends where the observed values do, as one does whose range they fill, saturates
what comes after; with few values that costs more than half a step.
"""

from __future__ import annotations

import dataclasses
import math

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat
from kerasq_convert.graph import Node

_EULER = 0.5772  # by which the largest of n exponentially distributed values is above s·ln(n), on average


@dataclasses.dataclass(frozen=True)
class Unseen:
    """What is expected beyond both ends of what was observed of a value.

    Attributes:
        probability: Of a value beyond an end.
        ends: The largest value, and the smallest one negated.
        excess: The mean distance from these of what lies beyond them.
    """

    probability: float
    ends: tuple[float, float]
    excess: tuple[float, float]

    @classmethod
    def of(cls, node: Node, histogram: Histogram) -> Unseen:
        """By the histogram of a node's output, and its clamp, beyond which there is nothing."""
        values = max(histogram.count, 2)
        tail = 100 / math.sqrt(values)  # per cent
        ends = histogram.max, -histogram.min
        inner = histogram.percentile(100 - tail), -histogram.percentile(tail)
        limits = node.clamp[1], -node.clamp[0]
        excess = [
            0.0 if end <= 0 or end >= limit else (end - quantile) / (math.log(math.sqrt(values)) + _EULER)
            for end, quantile, limit in zip(ends, inner, limits, strict=True)
        ]
        return cls(1 / (values + 1), ends, (excess[0], excess[1]))

    def squared_error(self, format_: QFormat, factor: float) -> float:
        """The mean over all values, times a factor, of what saturating those beyond the ends costs.

        With E, exponentially distributed, beyond a limit, the mean of E² is 2·s², and that of (g + E)² is g² + 2·g·s + 2·s² where
        the limit is g short of the end.
        """
        total = 0.0
        for limit, end, excess in zip((format_.max, -format_.min), self.ends, self.excess, strict=True):
            if excess > 0:
                gap, mean = factor * end - limit, factor * excess
                total += gap**2 + 2 * gap * mean + 2 * mean**2 if gap > 0 else 2 * mean**2 * math.exp(gap / mean)
        return self.probability * total
