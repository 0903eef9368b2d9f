"""Values that only a table reads: their formats are judged by what the table makes of them.

A sigmoid is flat beyond 6, a swish below -4: what saturates there changes nothing, and finer steps in between do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat
from kerasq_convert.graph import Curve, Graph, is_exclusive

Function = Callable[[np.ndarray], np.ndarray]
_PLACES = 4  # within a bin
_GOLDEN = (np.sqrt(5) - 1) / 2  # whose multiples lie evenly between whole numbers, and on no grid


def functions_behind(graph: Graph) -> dict[str, Function]:
    """The function of each value that nothing else reads."""
    readers = graph.consumers()
    alone = (value for value in readers if is_exclusive(graph, value, readers))
    return {value: reader.function for value in alone if isinstance(reader := readers[value][0], Curve)}


def behind(functions: Mapping[str, Function], value: str, histogram: Histogram) -> Behind | None:
    """What the function of a value makes of what was observed of it; `None` where there is no such function."""
    return Behind(functions[value], histogram) if value in functions else None


class Behind:
    """What a function makes of the values of a histogram.

    Attributes:
        power: The mean square of that.
    """

    def __init__(self, function: Function, histogram: Histogram):
        occupied = np.flatnonzero(histogram.bins)
        self._function = function
        places = np.arange(occupied.size * _PLACES).reshape(-1, _PLACES) * _GOLDEN % 1
        self._values = (occupied[:, None] + places) * histogram.bin_width - histogram.limit
        self._weights = histogram.bins[occupied] / (_PLACES * max(histogram.count, 1))
        with np.errstate(all="ignore"):
            self._wanted = function(self._values)
            self.power = float(self._weights @ np.sum(np.square(self._wanted), axis=1))

    @property
    def is_finite(self) -> bool:
        """Whether the function has a value everywhere."""
        return bool(np.isfinite(self.power))

    def squared_error(self, format_: QFormat) -> float:
        """The mean squared error behind the function of storing the values in a format; infinite where there is none."""
        with np.errstate(all="ignore"):
            errors = self._function(format_.dequantize(format_.quantize(self._values), np.float64)) - self._wanted
            total = float(self._weights @ np.sum(np.square(errors), axis=1))
        return total if np.isfinite(total) else np.inf
