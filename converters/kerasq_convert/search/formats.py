"""The stage that changes formats by what they do to the network's outputs, where refinement or goals ask for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kerasq.format import Model
from kerasq.statistics import Statistics
from kerasq_convert.building import Builder
from kerasq_convert.examples.labels import labels_of
from kerasq_convert.formats.choice import Choice
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import AUTO, Goals, Options
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.roles import Role
from kerasq_convert.search.allocation import Allocation, allocate, limits_of, smallest
from kerasq_convert.search.pareto import CurvePoint, curve, with_chosen
from kerasq_convert.search.resources import Written, written
from kerasq_convert.search.search import Search, TradeOff, sizes_of
from kerasq_convert.search.table import Meter, measure
from kerasq_convert.search.variants import Variants

ALLOCATED = "widths within the limits"  # the step of the trade-off at which all were chosen


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of the goals: the steps towards them, and a sentence with a remedy for each that is missed.

    Attributes:
        trade_off, missed: These.
        shortfall: By how much goals are missed: see `Search.shortfall`.
        allocation: What was chosen for limits, if they asked for other widths.
        pareto: The trade-off of bytes and noise, if that was asked for.
    """

    trade_off: list[TradeOff] = dataclasses.field(default_factory=list)
    missed: list[str] = dataclasses.field(default_factory=list)
    shortfall: float = 0.0
    allocation: Allocation | None = None
    pareto: list[CurvePoint] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a search decided, or what there was without one.

    Attributes:
        build: Makes the network.
        decided: Formats that it is to be called with, by role.
        search: What looked for them.
        allocation: The widths that were chosen for limits.
        curve: The trade-off of bytes and noise, but for the network that is written.
    """

    build: Builder
    decided: Mapping[Role, Choice] = dataclasses.field(default_factory=dict)
    search: Search | None = None
    allocation: Allocation | None = None
    curve: list[CurvePoint] = dataclasses.field(default_factory=list)

    def verdict(self, model: Model, goals: Goals, file: Written | None = None) -> Verdict:
        """What the network is by the goals.

        Args:
            model: The network before what can't change is left out.
            goals: The goals.
            file: The network as it is written; `None`: as it is.
        """
        if self.search is None:
            return Verdict()
        reached = {} if self.allocation is None else self.allocation.missed
        sizes = sizes_of(model) if file is None else file.sizes
        missed = self.search.finish(model, sizes, goals, reached)
        steps, last = self.search.curve, self.search.curve[-1]
        points = with_chosen(self.curve, last.sqnr_db, sizes, model) if self.curve else []
        return Verdict(steps, missed, self.search.shortfall(goals), self.allocation, points)


def search_formats(
    build: Builder,
    observed: Observed,
    correction: BiasCorrection | None,
    options: Options,
    network: Network | None = None,
) -> Searched:
    """Refines formats one bit up or down, gives buffers 16 bits until the goals are met, and chooses widths if they are not.

    Args:
        build: Makes the network with certain formats decided.
        observed: With examples, else nothing is searched.
        correction: Corrects the biases of what is measured.
        options: `refine`, `goals`, `labels`, `criterion`, `pareto`, `weight_bits`, `verbose`, and what is written.
        network: Its kernels as the model has them, of which those of other widths are made; `None`: widths stay.

    Raises:
        ConversionError: There are not as many labels as examples.
    """
    examples, goals = observed.examples, options.goals
    if examples is None or not (options.refine or goals.given or options.pareto):
        return Searched(build)
    labels = labels_of(options.labels, len(examples.inputs[0]))
    search = Search(build, examples.inputs, examples.outputs, labels, correction, options.verbose)
    if options.refine:
        search.refine()
    refined = search.decided
    promoted_for = Goals() if options.weight_bits == AUTO else goals  # none: all widths are chosen together anyway
    search.promote(promoted_for, observed.statistics or Statistics(), Criterion(options.criterion))
    if goals.given and (limits_of(goals) or not search.meets(goals)):
        search.measure(lambda model: written(model, options).sizes)
    chooses = _is_to_choose(search, options)
    if network is None or not (chooses or options.pareto):
        return Searched(build, search.decided, search)
    variants = Variants(network, build, refined, options)
    if not variants.usual:
        return Searched(build, search.decided, search)
    meter = Meter(variants, examples.inputs, examples.outputs, correction, options)
    centre = meter.point(variants.usual)
    assert centre is not None, "the network as it is was built"
    table = measure(meter, centre, verbose=options.verbose)
    points = curve(meter, table, verbose=options.verbose) if options.pareto else []
    if not chooses:
        return Searched(build, search.decided, search, None, points)
    allocation = allocate(meter, table, goals) if limits_of(goals) else smallest(meter, table, goals.min_sqnr_db or 0.0)
    search.curve = [search.curve[0], dataclasses.replace(search.curve[0], promoted=ALLOCATED)]
    return Searched(*variants.builder(allocation.widths), search, allocation, points)


def _is_to_choose(search: Search, options: Options) -> bool:
    """Whether widths are to be chosen, of all tensors together."""
    if options.weight_bits == AUTO:
        return True
    goals = options.goals
    return not search.meets(goals) and bool(limits_of(goals) or goals.min_sqnr_db is not None)
