"""The stage that scales activations until they fill the ranges of their formats: `fill_ranges`.

The step of a format is a power of two, so that a tensor whose values reach 4.1 uses hardly more than half of the levels of a
format that reaches 8: up to a bit is lost. Factors (passes/factors.py) bring it near 8, or to where the least squared error is.
Every class of values gets that factor within an octave with which the noise : signal of all values that it scales, each in the
format that is then chosen for it, is the least in sum. Classes that meet in a concatenation get their octave, too: its parts
share one format.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat, fixed
from kerasq.statistics import Statistics
from kerasq_convert.building import in_float
from kerasq_convert.formats import ranges
from kerasq_convert.formats.choice import values_of
from kerasq_convert.formats.signs import non_negative
from kerasq_convert.graph import Concat, Graph, Node, moves_values
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed
from kerasq_convert.observation.observed import merged
from kerasq_convert.options import Options
from kerasq_convert.passes.factors import STEPS, Classes, Form, rescale

SWEEPS = 3

Exponents = dict[int, int]  # of classes, in STEPS-ths of an octave
Histograms = Mapping[str, Histogram]


def with_filled_ranges(network: Network, observed: Observed, options: Options) -> tuple[Network, Observed]:
    """The network with scaled activations and what is known of their values then, where that is wanted.

    Args:
        network: The network, its kernels as the model has them.
        observed: What is known of it; nothing: it stays as it is.
        options: `fill_ranges`; `bits` and `criterion`, by which formats are chosen.
    """
    statistics, graph = observed.statistics, network.graph
    if not options.fill_ranges or statistics is None:
        return network, observed
    values = ((value, network.names.buffer(value)) for value in values_of(graph))
    histograms = {value: statistics[name] for value, name in values if name in statistics}
    classes = Classes(graph)
    unsigned = non_negative(graph, histograms)
    families = {value: fixed(options.bits, signed=value not in unsigned) for value in histograms}
    chosen = choose(graph, classes, histograms, families, ranges.Criterion(options.criterion))

    filled = dataclasses.replace(network, graph=rescale(graph, classes, chosen), filled=tuple(chosen.values()))
    scaled = _scaled_histograms(graph, classes, chosen, histograms)
    known = Statistics({network.names.buffer(value): histogram for value, histogram in scaled.items()}, statistics.metadata)
    examples = observed.examples and dataclasses.replace(observed.examples, reference=in_float(filled))
    return filled, Observed(known, examples)


def choose(
    graph: Graph,
    classes: Classes,
    histograms: Histograms,
    families: Mapping[str, QFormat],
    criterion: ranges.Criterion = ranges.Criterion.MSE,
) -> Exponents:
    """The factor of every class.

    Args:
        graph: The graph.
        classes: Of its values.
        histograms: What was observed of them.
        families: The family of the format of each of these.
        criterion: How the fractional bits of that are chosen.
    """
    chosen = dict.fromkeys(classes.roots(), 0)
    ratings: list[_Rating] = []
    for node in graph.nodes:
        forms = set(classes.forms(node.output))
        if _is_rounded(node) and len(forms) == 1 and forms != {()} and node.output in histograms:
            ratings.append(_Rating.of(forms.pop(), histograms[node.output], families[node.output], criterion))
    rated = {number: [rating for rating in ratings if number in rating.form] for number in chosen}
    for _ in range(SWEEPS):
        for number in chosen:
            noises = [sum(rating.share(chosen | {number: step}) for rating in rated[number]) for step in range(STEPS)]
            chosen[number] = int(np.argmin(noises))
    for number in _side_by_side(graph, classes) & chosen.keys():
        octaves = [rating.octave(chosen) for rating in rated[number] if rating.form == (number,)]
        chosen[number] += STEPS * min(octaves, default=0)
    return chosen


def _is_rounded(node: Node) -> bool:
    """Whether a node's values are rounded to a format of their own. (Those of a concatenation were rounded before.)"""
    return not moves_values(node) and not isinstance(node, Concat)


@dataclasses.dataclass(frozen=True)
class _Rating:
    """What a value, scaled by each factor within an octave, would be stored with.

    Attributes:
        form: The value's.
        shares: Noise : signal in the format that is then chosen for it.
        octaves: The exponent of the power of two that would bring the range of that format to 1.
    """

    form: Form
    shares: Sequence[float]
    octaves: Sequence[int]

    @classmethod
    def of(cls, form: Form, histogram: Histogram, family: QFormat, criterion: ranges.Criterion) -> _Rating:
        shares, octaves = [], []
        for step in range(STEPS):
            scaled = _scaled(histogram, step)
            format_ = ranges.best_for_histogram(family, scaled, criterion)
            shares.append(scaled.squared_error(format_) / scaled.signal_power if scaled.signal_power > 0 else 0.0)
            octaves.append((format_.frac_bits or 0) - family.bits + family.signed)
        return cls(form, shares, octaves)

    def share(self, chosen: Exponents) -> float:
        return self.shares[self._step(chosen)]

    def octave(self, chosen: Exponents) -> int:
        return self.octaves[self._step(chosen)]

    def _step(self, chosen: Exponents) -> int:
        return sum(chosen[number] for number in self.form) % STEPS


def _side_by_side(graph: Graph, classes: Classes) -> set[int]:
    """Classes of parts of a concatenation that have different ones."""
    forms = [set(classes.forms(node.output)) for node in graph.nodes if isinstance(node, Concat)]
    return {number for parts in forms if len(parts) > 1 for form in parts for number in form}


def _scaled_histograms(graph: Graph, classes: Classes, chosen: Exponents, histograms: Histograms) -> dict[str, Histogram]:
    """What is known of the scaled values; where parts have different factors, by those that they are passed on from."""
    producers = graph.producers()

    @functools.cache
    def scaled(value: str) -> Histogram:
        exponents = set(classes.exponents(value, chosen).tolist())
        if len(exponents) > 1 and value in producers and histograms.keys() >= set(producers[value].inputs):
            return merged([scaled(source) for source in producers[value].inputs])
        return merged([_scaled(histograms[value], exponent) for exponent in exponents])

    return {value: scaled(value) for value in histograms}


def _scaled(histogram: Histogram, exponent: int) -> Histogram:
    return histogram if exponent == 0 else histogram.mapped(lambda values: values * 2.0 ** (exponent / STEPS))
