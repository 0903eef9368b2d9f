"""The stage that scales activations until they fill the ranges of their formats.

The step of a format is a power of two, so that a tensor whose values reach 4.1 uses hardly more than half of the levels of a
format that reaches 8: up to a bit is lost. Factors (passes/factors.py) bring it near 8, or to where the least squared error is.
Every class of values gets that factor within an octave with which the noise : signal of all values that it scales, each in the
format that is then chosen for it, is the least in sum. Classes that meet in a concatenation get their octave, too: its parts
share one format.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kerasq.histogram import Histogram
from kerasq.qformat import QFormat, fixed
from kerasq.statistics import Statistics
from kerasq_convert import roles
from kerasq_convert.building import in_float
from kerasq_convert.formats import ranges
from kerasq_convert.formats.behind import Behind, Function, functions_behind
from kerasq_convert.formats.choice import values_of
from kerasq_convert.formats.signs import non_negative
from kerasq_convert.graph import Concat, Curve, Graph, Node, WeightedNode, moves_values
from kerasq_convert.network import Network
from kerasq_convert.observation import offsets as offsets_of
from kerasq_convert.observation.observe import Observed
from kerasq_convert.observation.observed import merged
from kerasq_convert.observation.unseen import Unseen
from kerasq_convert.options import Options
from kerasq_convert.passes.factors import STEPS, Classes, filled_with, scaled_function, told_factors
from kerasq_convert.passes.free import Form
from kerasq_convert.passes.offsets import Offsets, offset_with, told_offsets, with_offsets
from kerasq_convert.settings import Settings

SWEEPS = 3

Exponents = dict[int, int]  # of classes, in STEPS-ths of an octave
Histograms = Mapping[str, Histogram]


def with_filled_ranges(
    network: Network, observed: Observed, options: Options, settings: Settings | None = None, *, tables: bool = True
) -> tuple[Network, Observed]:
    """The network with scaled activations and what is known of their values then, where that is wanted.

    Args:
        network: The network, its kernels as the model has them.
        observed: What is known of it; nothing: it stays as it is.
        options: `fill_ranges`; `bits` and `criterion`, by which formats are chosen.
        settings: They may tell the factors. Else values stay as they are whose formats they set, unless `fill_ranges` is True.
        tables: Whether what tables read and give may be scaled, too.

    Raises:
        ConversionError: The settings tell factors of another network.
    """
    statistics, graph, settings = observed.statistics, network.graph, settings or Settings()
    if options.fill_ranges is False or statistics is None:
        return network, observed
    values = ((value, network.names.buffer(value)) for value in values_of(graph))
    histograms = {value: statistics[name] for value, name in values if name in statistics}
    classes, offsets = Classes(graph), Offsets(graph)
    if settings.factors is None:
        set_by_hand = _set_by_hand(network, settings, tables)
        plain = set_by_hand | _set_signed(network, settings)
        wanted = _wanted(graph, offsets, histograms, plain, options)
        held = _held(graph, classes, set_by_hand) if options.fill_ranges is None else frozenset()
        filled, scaled, exact = _factors_and_offsets(network, classes, offsets, wanted, histograms, options, held)
    else:
        chosen = told_factors(classes, settings.factors, settings.source, "the settings")
        exact = told_offsets(offsets, settings.offsets, settings.source, "the settings") if settings.offsets else {}
        filled, scaled = filled_with(network, classes, chosen), _scaled_histograms(graph, classes, chosen, histograms)
    if not any(filled.filled or ()) and not any(exact.values()):
        return network, observed

    if any(exact.values()):
        filled, scaled = offset_with(filled, offsets, exact), offsets_of.shifted(offsets, exact, scaled)
    told = Statistics({network.names.buffer(value): histogram for value, histogram in scaled.items()}, statistics.metadata)
    examples = observed.examples and dataclasses.replace(observed.examples, reference=in_float(filled))
    return filled, Observed(told, examples)


def _wanted(graph: Graph, offsets: Offsets, histograms: Histograms, held: Collection[str], options: Options) -> dict[int, float]:
    """The offset of every class, 0 where it is not worth it. Goals may want more than 8 bits of any value."""
    if options.bits != offsets_of.BITS:
        return {}
    may_be_wide = options.goals.min_sqnr_db is not None or options.goals.max_accuracy_drop is not None
    saturating = options.criterion == ranges.Criterion.MSE and not may_be_wide
    return offsets_of.worthwhile(graph, offsets, histograms, held, saturating=saturating)


def _factors_and_offsets(
    network: Network,
    classes: Classes,
    offsets: Offsets,
    wanted: Mapping[int, float],
    histograms: Histograms,
    options: Options,
    held: Collection[int],
) -> tuple[Network, dict[str, Histogram], dict[int, float]]:
    """The network with factors, what is known of its values then, and the offset of every class: of those that want one, but
    where factors leave it no sense."""
    graph = network.graph
    while True:
        unscaled, moved = with_offsets(graph, offsets, wanted), offsets_of.shifted(offsets, wanted, histograms)
        unsigned = non_negative(unscaled, moved)
        families = {value: fixed(options.bits, signed=value not in unsigned) for value in histograms}
        chosen = choose(unscaled, classes, moved, families, ranges.Criterion(options.criterion), held)
        scaled = _scaled_histograms(graph, classes, chosen, histograms)
        filled = filled_with(network, classes, chosen)
        exact = offsets_of.fitted(filled.graph, offsets, wanted, histograms, scaled)
        kept = {number: offset if exact[number] else 0.0 for number, offset in wanted.items()}
        if kept == wanted:
            return filled, scaled, exact
        wanted = kept


def _set_by_hand(network: Network, settings: Settings, tables: bool) -> set[str]:
    """The values that stay as they are: formats in the settings are those of the values and constants as they are."""
    graph, names = network.graph, network.names
    values = [value for value in values_of(graph) if _tells_place(settings.buffer(names.buffer(value)))]
    for node in graph.nodes:
        if isinstance(node, Curve) and not tables:
            values += [*node.inputs, node.output]
        if isinstance(node, WeightedNode):
            constants = roles.kernel(node), roles.multiplier(node), roles.bias(node)
            if any(_tells_place(settings.parameter(names[role])) for role in constants):
                values += [*node.inputs, node.output]
    return set(values)


def _set_signed(network: Network, settings: Settings) -> set[str]:
    """The values for which settings want a signed format."""
    wanted = ((value, settings.buffer(network.names.buffer(value))) for value in values_of(network.graph))
    return {value for value, format_ in wanted if format_ is not None and format_.signed}


def _held(graph: Graph, classes: Classes, values: Collection[str]) -> frozenset[int]:
    """The classes of some values, whose factors are 1.

    Parts of a concatenation share its format: where one of them is not scaled, none is.
    """
    held = {number for value in values for form in classes.forms(value) for number in form}
    together = _side_by_side(graph, classes)
    while new := set[int]().union(*(numbers for numbers in together if numbers & held)) - held:
        held |= new
    return frozenset(held)


def _tells_place(format_: QFormat | None) -> bool:
    """Whether a format has a number of fractional bits, or shows values as they are."""
    return format_ is not None and (format_.is_float or format_.frac_bits is not None)


def choose(
    graph: Graph,
    classes: Classes,
    histograms: Histograms,
    families: Mapping[str, QFormat],
    criterion: ranges.Criterion = ranges.Criterion.MSE,
    held: Collection[int] = (),
) -> Exponents:
    """The factor of every class.

    Args:
        graph: The graph.
        classes: Of its values.
        histograms: What was observed of them.
        families: The family of the format of each of these.
        criterion: How the fractional bits of that are chosen.
        held: Classes whose factors are 1.
    """
    chosen = dict.fromkeys(classes.roots(), 0)
    free = [number for number in chosen if number not in held]
    ratings: list[_Rating] = []
    behind = functions_behind(graph)
    for node in graph.nodes:
        forms = set(classes.forms(node.output))
        if _is_rounded(node) and len(forms) == 1 and forms != {()} and node.output in histograms:
            function = behind.get(node.output)
            ratings.append(_Rating.of(forms.pop(), node, histograms[node.output], families[node.output], criterion, function))
    rated = {number: [rating for rating in ratings if number in rating.form] for number in chosen}
    for _ in range(SWEEPS):
        for number in free:
            noises = [sum(rating.share(chosen | {number: step}) for rating in rated[number]) for step in range(STEPS)]
            chosen[number] = int(np.argmin(noises))
    beside = set[int]().union(*_side_by_side(graph, classes))
    for number in beside.intersection(free):
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
        shares: Noise : signal in the format that is then chosen for it, with that of values beyond all that were observed; behind
            the function that alone reads it, if one does.
        octaves: The exponent of the power of two that would bring the range of that format to 1.
    """

    form: Form
    shares: Sequence[float]
    octaves: Sequence[int]

    @classmethod
    def of(
        cls,
        form: Form,
        node: Node,
        histogram: Histogram,
        family: QFormat,
        criterion: ranges.Criterion,
        function: Function | None,
    ) -> _Rating:
        """Of the output of a node, which nothing but a function may read."""
        shares, octaves, unseen = [], [], Unseen.of(node, histogram)
        for step in range(STEPS):
            scaled = _scaled(histogram, step)
            behind = None if function is None else Behind(scaled_function(function, 2.0 ** (step / STEPS), 1.0), scaled)
            format_ = ranges.best_for_histogram(family, scaled, criterion, behind)
            if behind is not None and behind.is_finite:
                error, power = behind.squared_error(format_), behind.power
            else:
                error = scaled.squared_error(format_) + unseen.squared_error(format_, 2.0 ** (step / STEPS))
                power = scaled.signal_power
            shares.append(error / power if power > 0 else 0.0)
            octaves.append((format_.frac_bits or 0) - family.bits + family.signed)
        return cls(form, shares, octaves)

    def share(self, chosen: Exponents) -> float:
        return self.shares[self._step(chosen)]

    def octave(self, chosen: Exponents) -> int:
        return self.octaves[self._step(chosen)]

    def _step(self, chosen: Exponents) -> int:
        return sum(chosen[number] for number in self.form) % STEPS


def _side_by_side(graph: Graph, classes: Classes) -> list[set[int]]:
    """Of each concatenation whose parts have different classes, all of these."""
    forms = [set(classes.forms(node.output)) for node in graph.nodes if isinstance(node, Concat)]
    return [{number for form in parts for number in form} for parts in forms if len(parts) > 1]


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
