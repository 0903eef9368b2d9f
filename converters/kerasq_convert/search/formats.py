"""The stage that changes formats by what they do to the network's outputs, where refinement or goals ask for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq.format import Model
from kerasq.statistics import Statistics
from kerasq_convert.building import Build
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.labels import load_labels
from kerasq_convert.formats.choice import Choice
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import Goals, Options
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.roles import Role
from kerasq_convert.search.search import Search, TradeOff


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of the goals: the steps towards them, and a sentence with a remedy for each that is missed."""

    trade_off: list[TradeOff] = dataclasses.field(default_factory=list)
    missed: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Searched:
    """The formats that a search decided, by role; without a search none."""

    decided: Mapping[Role, Choice] = dataclasses.field(default_factory=dict)
    search: Search | None = None

    def verdict(self, model: Model, goals: Goals) -> Verdict:
        """What the network, as it is written, is by the goals."""
        if self.search is None:
            return Verdict()
        missed = self.search.finish(model, goals)
        return Verdict(self.search.curve, missed)


def search_formats(build: Build, observed: Observed, correction: BiasCorrection | None, options: Options) -> Searched:
    """Refines formats one bit up or down, then gives buffers 16 bits until the goals are met.

    Args:
        build: Makes the network with certain formats decided.
        observed: With examples, else nothing is searched.
        correction: Corrects the biases of what is measured.
        options: `refine`, `goals`, `labels`, `criterion`, `verbose`.

    Raises:
        ConversionError: There are not as many labels as examples.
    """
    examples = observed.examples
    if examples is None or not (options.refine or options.goals.given):
        return Searched()
    labels = _labels(options, len(examples.inputs[0]))
    search = Search(build, examples.inputs, examples.outputs, labels, correction, options.verbose)
    if options.refine:
        search.refine()
    search.promote(options.goals, observed.statistics or Statistics(), Criterion(options.criterion))
    return Searched(search.decided, search)


def _labels(options: Options, examples: int) -> np.ndarray | None:
    labels = load_labels(options.labels)
    if labels is not None and len(labels) < examples:
        raise ConversionError("labels", [f"{examples} examples need as many labels. Received: {len(labels)}"])
    return None if labels is None else labels[:examples]
