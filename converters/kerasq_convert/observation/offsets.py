"""Which activations are stored with an offset (passes/offsets.py), and with which: what was observed of them says it.

A value that reaches from -a to b takes 2·max(a, b) of the range of a signed format, and a + b of an unsigned one with an offset
of a. The noise of rounding is as the square of that. A class of values has an offset where that makes noise : signal, in sum over
all values that belong to it, at most half of what it was.

Of a value that only a table reads, what lies below the range may be as good as its end: a swish is flat there. Its offset is that
with the least error behind the table, which costs nothing, so that less has to be gained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat, fixed
from kerasq_convert.formats.behind import Behind, Function, functions_behind
from kerasq_convert.graph import Concat, Curve, Graph, Node, moves_values
from kerasq_convert.passes.offsets import Offsets

WORTHWHILE = 0.5  # of the noise, that is left
WORTHWHILE_BEHIND = 0.8  # the same behind a table
BITS = 8  # of values for which a bit less matters
FLAT = 1e-6  # of the signal, that what is lost below an offset is worth where nothing is
REACH = 1.25  # by how much the least value of a function may be below all that was observed of it, to be the offset all the same
_LOWEST = np.linspace(0.125, 1.0, 8)  # of the least value, that an offset behind a table takes to 0
_GRID = 2  # steps: offsets are whole multiples, on the grid of a format that is coarser by a bit, too

Histograms = Mapping[str, Histogram]


def worthwhile(
    graph: Graph, offsets: Offsets, histograms: Histograms, held: Collection[str], *, saturating: bool = True
) -> dict[int, float]:
    """An offset for each class, 0 where it is not worth it.

    Args:
        graph: The graph, without offsets.
        offsets: Of its values.
        histograms: What was observed of them.
        held: Values that have none.
        saturating: Whether what lies below an offset may be lost where 8 bits are no better without; else only where the function
            behind it is flat, as 16 bits, or a format that is chosen for all values alike, would have it.
    """
    chosen, members, behind = dict.fromkeys(offsets.roots(), 0.0), _members(graph, offsets), _only_behind(graph, offsets)
    bare = (value for value in offsets.forms if value in held or not _is_finite(histograms.get(value)))
    without = {number for value in bare for number in offsets.form_of(value)}
    for number in chosen.keys() - without:
        if number in behind:
            values = [(histograms[value], function) for value, function in behind[number].items()]
            chosen[number] = _offset_behind(values, saturating)
            continue
        offset = -min(_least(node, histograms) for node in members[number])
        if offset > 0 and _noise_left(members[number], histograms, offset) <= WORTHWHILE:
            chosen[number] = offset
    return _consistent(offsets, chosen, behind, histograms)


def fitted(
    graph: Graph, offsets: Offsets, chosen: Mapping[int, float], before: Histograms, histograms: Histograms
) -> dict[int, float]:
    """The offsets of those classes that have one, for values as they are now, on the grid of the format of the widest.

    0 where parts of a concatenation, which share an offset, have factors by which it is too large for one of them.

    Args:
        graph: The graph, its values scaled and without offsets.
        offsets: Of its values.
        chosen: Not 0 for classes that get one.
        before: What was observed of the values.
        histograms: What is known of the scaled ones.
    """
    members, behind = _members(graph, offsets), _only_behind(graph, offsets)
    exact = dict.fromkeys(chosen, 0.0)
    for number in (number for number, offset in chosen.items() if offset):
        if number in behind:
            value = next(iter(behind[number]))
            offset = chosen[number] * histograms[value].max / before[value].max
        else:
            offset = -min(_least(node, histograms) for node in members[number])
            if _noise_left(members[number], histograms, offset) > 1:
                continue
        widest = offset + max(0.0, *(histograms[node.output].max for node in members[number]))
        step = _GRID * 2.0 ** (math.ceil(math.log2(widest)) - BITS)
        exact[number] = math.ceil(offset / step) * step
    return _consistent(offsets, exact, behind, histograms)


def shifted(offsets: Offsets, chosen: Mapping[int, float], histograms: Histograms) -> dict[str, Histogram]:
    """What is known of values with these offsets."""

    def moved(value: str) -> Histogram:
        offset = offsets.of(value, chosen) if value in offsets.forms else 0.0
        return histograms[value].mapped(lambda values: values + offset) if offset else histograms[value]

    return {value: moved(value) for value in histograms}


def _members(graph: Graph, offsets: Offsets) -> dict[int, list[Node]]:
    """Of each class the nodes whose values have its offset."""
    members: dict[int, list[Node]] = {number: [] for number in offsets.roots()}
    for node in graph.nodes:
        form = offsets.form_of(node.output)
        if len(form) == 1:
            members[form[0]].append(node)
    return members


def _only_behind(graph: Graph, offsets: Offsets) -> dict[int, dict[str, Function]]:
    """Of each class whose values are read by nothing but functions, these functions by value."""
    functions = functions_behind(graph)
    classes = {number: [node.output for node in nodes] for number, nodes in _members(graph, offsets).items()}
    return {n: {value: functions[value] for value in values} for n, values in classes.items() if functions.keys() >= set(values)}


def _is_finite(histogram: Histogram | None) -> bool:
    """Whether something was observed, and nothing but numbers."""
    return histogram is not None and histogram.count > 0 and not histogram.nan and not histogram.infinite


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


def _noise_left(members: list[Node], histograms: Histograms, offset: float) -> float:
    """What share of the noise : signal of the values of a class an offset leaves; of those that are rounded."""
    rounded = [histograms[node.output] for node in members if not moves_values(node) and not isinstance(node, Concat)]
    plain = sum(_noises(rounded, None))
    return sum(_noises(rounded, offset)) / plain if plain > 0 else 0.0


def _noises(histograms: list[Histogram], offset: float | None) -> Iterator[float]:
    """Noise : signal of each value, up to a factor that all share."""
    for histogram in histograms:
        low, high = histogram.min, max(histogram.max, 0.0)
        extent = high + offset if offset is not None else high if low >= 0 else 2 * max(-low, high)
        if histogram.signal_power > 0:
            yield extent**2 / histogram.signal_power


def _offset_behind(values: list[tuple[Histogram, Function]], saturating: bool) -> float:
    """The offset of values that only functions read, each its own; 0 where signed formats are as good."""
    low = min(histogram.min for histogram, _ in values)
    if low >= 0 or min(histogram.max for histogram, _ in values) <= 0:
        return 0.0
    noises = [_noise_behind(histogram, function) for histogram, function in values]
    signed, unsigned = fixed(BITS, 0), fixed(BITS, 0, signed=False)
    plain = sum(
        min(noise(signed, 0.0, reach) for reach in (histogram.max, max(-histogram.min, histogram.max)))
        for noise, (histogram, _) in zip(noises, values, strict=True)
    )

    def with_offset(family: QFormat, offset: float) -> float:
        return sum(noise(family, offset, histogram.max) for noise, (histogram, _) in zip(noises, values, strict=True))

    fine = fixed(2 * BITS, 0, signed=False)
    allowed = [saturating or with_offset(fine, -low * share) <= FLAT for share in _LOWEST]
    errors = [with_offset(unsigned, -low * share) if ok else np.inf for share, ok in zip(_LOWEST, allowed, strict=True)]
    least = int(np.argmin(errors))
    return -low * float(_LOWEST[least]) if errors[least] <= WORTHWHILE_BEHIND * plain < np.inf else 0.0


def _noise_behind(histogram: Histogram, function: Function) -> Callable[[QFormat, float, float], float]:
    """The noise : signal behind a function of values with an offset, those up to `reach` within a format."""

    def noise(family: QFormat, offset: float, reach: float) -> float:
        step = (reach + offset) / family.max_int
        stored = histogram.mapped(lambda values: (values + offset) / step)
        behind = Behind(lambda values: function(values * step - offset), stored)
        return behind.squared_error(family) / behind.power if behind.is_finite and behind.power else np.inf

    return noise


def _consistent(
    offsets: Offsets, chosen: dict[int, float], behind: Mapping[int, Mapping[str, Function]], histograms: Histograms
) -> dict[int, float]:
    """Without those that leave a value negative that is stored with an offset, as a sum may of which one term has one.

    Those chosen by what functions make of them may: only they, not whatever else a function alone reads.
    """
    saturating = set[str]().union(*behind.values())
    while True:
        wrong = {
            number
            for value, histogram in histograms.items()
            if value in offsets.forms and value not in saturating and 0 < offsets.of(value, chosen) < -histogram.min * (1 - 1e-6)
            for number in offsets.form_of(value)
            if chosen[number]
        }
        if not wrong:
            return chosen
        chosen = {number: 0.0 if number in wrong else offset for number, offset in chosen.items()}
