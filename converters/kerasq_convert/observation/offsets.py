"""Which activations are stored with an offset (passes/offsets.py), and with which: what was observed of them says it.

A value that reaches from -a to b takes 2·max(a, b) of the range of a signed format, and a + b of an unsigned one with an offset
of a. The noise of rounding is as the square of that. A class of values has an offset where that makes noise : signal, in sum over
all values that it belongs to, less by a decibel and more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq_convert.graph import Concat, Curve, Graph, Node, moves_values
from kerasq_convert.passes.offsets import Offsets

WORTHWHILE = 0.8  # of the noise, that is left
BITS = 8  # of values for which a bit less matters
REACH = 1.25  # by how much the least value of a function may be below all that was observed of it, to be the offset all the same
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
    chosen = dict.fromkeys(offsets.roots(), 0.0)
    without = {number for value in offsets.forms if value in held or value not in histograms for number in _form(offsets, value)}
    for number in chosen.keys() - without:
        members = [node for node in graph.nodes if _form(offsets, node.output) == (number,)]
        offset = -min(_least(node, histograms) for node in members)
        rounded = [histograms[node.output] for node in members if not moves_values(node) and not isinstance(node, Concat)]
        if offset > 0 and sum(_noises(rounded, offset)) <= WORTHWHILE * sum(_noises(rounded, None)):
            chosen[number] = offset
    return _consistent(offsets, chosen, histograms)


def fitted(graph: Graph, offsets: Offsets, chosen: Mapping[int, float], histograms: Histograms) -> dict[int, float]:
    """The offsets of those classes that have one, for values as they are now, on the grid of the format of the widest.

    Args:
        graph: The graph, its values scaled and without offsets.
        offsets: Of its values.
        chosen: Not 0 for classes that get one.
        histograms: What is known of the scaled values.
    """
    exact = dict.fromkeys(chosen, 0.0)
    for number in (number for number, offset in chosen.items() if offset):
        members = [node for node in graph.nodes if _form(offsets, node.output) == (number,)]
        offset = -min(_least(node, histograms) for node in members)
        widest = offset + max(histograms[node.output].max for node in members)
        step = _GRID * 2.0 ** (math.ceil(math.log2(widest)) - BITS)
        exact[number] = math.ceil(offset / step) * step
    return _consistent(offsets, exact, histograms)


def shifted(offsets: Offsets, chosen: Mapping[int, float], histograms: Histograms) -> dict[str, Histogram]:
    """What is known of values with these offsets."""

    def moved(value: str) -> Histogram:
        offset = offsets.of(value, chosen) if value in offsets.forms else 0.0
        return histograms[value].mapped(lambda values: values + offset) if offset else histograms[value]

    return {value: moved(value) for value in histograms}


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


def _consistent(offsets: Offsets, chosen: dict[int, float], histograms: Histograms) -> dict[int, float]:
    """Without those that leave a value negative that is stored with an offset, as a sum may of which one term has one."""
    while True:
        wrong = {
            number
            for value, histogram in histograms.items()
            if value in offsets.forms and 0 < offsets.of(value, chosen) < -histogram.min * (1 - 1e-6)
            for number in _form(offsets, value)
            if chosen[number]
        }
        if not wrong:
            return chosen
        chosen = {number: 0.0 if number in wrong else offset for number, offset in chosen.items()}
