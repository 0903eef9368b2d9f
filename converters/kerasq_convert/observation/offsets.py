"""Which activations are stored with an offset (passes/offsets.py), and with which: what was observed of them says it.

A value that reaches from -a to b takes 2·max(a, b) of the range of a signed format, and a + b of an unsigned one with an offset
of a. The noise of rounding is as the square of that. A class of values has an offset where that makes noise : signal, in sum over
all values that belong to it, at most half of what it was.

Of a value that only a table reads, what lies below the range may be as good as its end: a swish is flat there. Its offset is that
with the least error behind the table, which costs nothing, so that less has to be gained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat, fixed
from kerasq_convert.formats.behind import Behind, Function, functions_behind
from kerasq_convert.graph import Concat, Curve, Graph, Node, moves_values
from kerasq_convert.passes.offsets import Offsets

WORTHWHILE = 0.5  # of the noise, that is left
WORTHWHILE_BEHIND = 0.8  # the same behind a table
BITS = 8  # of values for which a bit less matters
REACH = 1.25  # by how much the least value of a function may be below all that was observed of it, to be the offset all the same
_LOWEST = np.linspace(0.125, 1.0, 8)  # of the least value, that an offset behind a table takes to 0
_GRID = 2  # steps: offsets are whole multiples, on the grid of a format that is coarser by a bit, too

Histograms = Mapping[str, Histogram]


def worthwhile(graph: Graph, offsets: Offsets, histograms: Histograms, held: Collection[str]) -> dict[int, float]:
    """An offset for each class, 0 where it is not worth it.

    Args:
        graph: The graph, without offsets.
        offsets: Of its values.
        histograms: What was observed of them.
        held: Values that have none.
    """
    chosen, functions = dict.fromkeys(offsets.roots(), 0.0), functions_behind(graph)
    without = {number for value in offsets.forms if value in held or value not in histograms for number in _form(offsets, value)}
    for number in chosen.keys() - without:
        members = _members(graph, offsets, number)
        if members[0].output in functions:
            chosen[number] = _offset_behind(histograms[members[0].output], functions[members[0].output])
            continue
        offset = -min(_least(node, histograms) for node in members)
        rounded = [histograms[node.output] for node in members if not moves_values(node) and not isinstance(node, Concat)]
        if offset > 0 and sum(_noises(rounded, offset)) <= WORTHWHILE * sum(_noises(rounded, None)):
            chosen[number] = offset
    return _consistent(graph, offsets, chosen, histograms)


def fitted(
    graph: Graph, offsets: Offsets, chosen: Mapping[int, float], before: Histograms, histograms: Histograms
) -> dict[int, float]:
    """The offsets of those classes that have one, for values as they are now, on the grid of the format of the widest.

    Args:
        graph: The graph, its values scaled and without offsets.
        offsets: Of its values.
        chosen: Not 0 for classes that get one.
        before: What was observed of the values.
        histograms: What is known of the scaled ones.
    """
    functions = functions_behind(graph)
    exact = dict.fromkeys(chosen, 0.0)
    for number in (number for number, offset in chosen.items() if offset):
        members = _members(graph, offsets, number)
        if (value := members[0].output) in functions:
            offset = chosen[number] * histograms[value].max / before[value].max
        else:
            offset = -min(_least(node, histograms) for node in members)
        widest = offset + max(histograms[node.output].max for node in members)
        step = _GRID * 2.0 ** (math.ceil(math.log2(widest)) - BITS)
        exact[number] = math.ceil(offset / step) * step
    return _consistent(graph, offsets, exact, histograms)


def shifted(offsets: Offsets, chosen: Mapping[int, float], histograms: Histograms) -> dict[str, Histogram]:
    """What is known of values with these offsets."""

    def moved(value: str) -> Histogram:
        offset = offsets.of(value, chosen) if value in offsets.forms else 0.0
        return histograms[value].mapped(lambda values: values + offset) if offset else histograms[value]

    return {value: moved(value) for value in histograms}


def _members(graph: Graph, offsets: Offsets, number: int) -> list[Node]:
    """The nodes whose values have the offset of a class."""
    return [node for node in graph.nodes if _form(offsets, node.output) == (number,)]


def _form(offsets: Offsets, value: str) -> tuple[int, ...]:
    return offsets.form(offsets.forms[value])


def _least(node: Node, histograms: Histograms) -> float:
    """The least value of a node: that of its function, if it is not far below what was observed."""
    observed = histograms[node.output].min
    if not isinstance(node, Curve) or observed >= 0 or node.inputs[0] not in histograms:
        return observed
    source = histograms[node.inputs[0]]
    with np.errstate(all="ignore"):
        values = node.function(np.linspace(2 * min(source.min, 0.0), 2 * max(source.max, 0.0), 4097))
    least = float(np.min(values, initial=observed, where=np.isfinite(values)))
    return least if least >= REACH * observed else observed


def _noises(histograms: list[Histogram], offset: float | None) -> Iterator[float]:
    """Noise : signal of each value, up to a factor that all share."""
    for histogram in histograms:
        low, high = histogram.min, max(histogram.max, 0.0)
        extent = high + offset if offset is not None else high if low >= 0 else 2 * max(-low, high)
        if histogram.signal_power > 0:
            yield extent**2 / histogram.signal_power


def _offset_behind(histogram: Histogram, function: Function) -> float:
    """The offset of a value that only a function reads; 0 where a signed format is as good."""
    low, high = histogram.min, histogram.max
    if low >= 0 or high <= 0:
        return 0.0

    def error(family: QFormat, offset: float, reach: float) -> float:
        """With values up to `reach` at the end of the format."""
        step = (reach + offset) / family.max_int
        stored = histogram.mapped(lambda values: (values + offset) / step)
        behind = Behind(lambda values: function(values * step - offset), stored)
        return behind.squared_error(family) if behind.is_finite else np.inf

    signed, unsigned = fixed(BITS, 0), fixed(BITS, 0, signed=False)
    plain = min(error(signed, 0.0, reach) for reach in (high, max(-low, high)))
    errors = [error(unsigned, -low * share, high) for share in _LOWEST]
    least = int(np.argmin(errors))
    return -low * float(_LOWEST[least]) if errors[least] <= WORTHWHILE_BEHIND * plain else 0.0


def _consistent(graph: Graph, offsets: Offsets, chosen: dict[int, float], histograms: Histograms) -> dict[int, float]:
    """Without those that leave a value negative that is stored with an offset, as a sum may of which one term has one."""
    saturating = functions_behind(graph)
    while True:
        wrong = {
            number
            for value, histogram in histograms.items()
            if value in offsets.forms and value not in saturating and 0 < offsets.of(value, chosen) < -histogram.min * (1 - 1e-6)
            for number in _form(offsets, value)
            if chosen[number]
        }
        if not wrong:
            return chosen
        chosen = {number: 0.0 if number in wrong else offset for number, offset in chosen.items()}
