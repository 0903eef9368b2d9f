"""The stage that names the tensors that lose accuracy, each with its cause and the remedy that helps.

Tensors are looked at in the order of what they add to the noise at the outputs. Causes are suspected by evidence, the more
particular ones first; a suspicion is believed where one of its remedies, tried in memory, brings the outputs nearer to the float
network's. The next tensor is then looked for in the network with that remedy, until the outputs are as they should be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq_convert.causes import bias, channels, examples, outliers, resolution, setting, softmax
from kerasq_convert.causes.cause import Cause, Remedy, Suspicion, Trial
from kerasq_convert.causes.evidence import Evidence, gather
from kerasq_convert.causes.trials import Trials, Tried
from kerasq_convert.comparison.contributions import Contribution, contributions
from kerasq_convert.comparison.noise import finite
from kerasq_convert.comparison.outputs import FAIR_DB
from kerasq_convert.emission.emit import Emitted

MOST_CAUSES = 3
MOST_TENSORS = 3  # for which remedies are tried before it is said that nothing helps
SHARE = 0.1  # of the noise at the outputs: a tensor that adds less is no culprit
LEAST_GAIN_DB = 1.0  # at the outputs, for a remedy to be one
ENOUGH = 0.7  # of the most that a remedy gains, in dB: the simplest one that gains so much is named


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Why a network loses accuracy.

    Attributes:
        sqnr_db: At the outputs, over the examples that are alike, without learned kernels.
        unlike: How many of the examples were left out of that.
        contributions: What tensors add to the noise at the outputs, the greatest effect first, before biases are corrected:
            that takes back, in one layer, what others did.
        causes: The culprits in the order in which they are to be mended; empty where the outputs are as they should be.
    """

    sqnr_db: float
    unlike: int
    contributions: list[Contribution]
    causes: list[Cause]

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to mend."""
        return self.sqnr_db >= FAIR_DB and not self.causes

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "sqnr_db": finite(self.sqnr_db),
            "unlike": self.unlike,
            "contributions": [one.to_dict() for one in self.contributions],
            "causes": [cause.to_dict() for cause in self.causes],
        }


def diagnose(trials: Trials) -> Diagnosis:
    """What can be said of a network."""
    first = tried = trials.unchanged()
    adding = _contributions(trials, first)
    few = examples.suspect(trials, first)
    causes = [] if few is None else [few]
    while tried.sqnr_db < FAIR_DB and len(causes) < MOST_CAUSES:
        step = _mended(trials, tried, {cause.tensor for cause in causes})
        if step is None:
            break
        cause, tried = step
        causes.append(cause)
    return Diagnosis(first.sqnr_db, trials.unlike, adding, causes)


def _contributions(trials: Trials, tried: Tried) -> list[Contribution]:
    observed = tried.start.observed.examples
    assert observed is not None, "trials are of observed networks"
    return contributions(tried.emitted.model, observed.reference, trials.wanted.inputs)


def _mended(trials: Trials, tried: Tried, named: Collection[str]) -> tuple[Cause, Tried] | None:
    """The first cause, of tensors that have no name yet, that is believed, and the network with its remedy."""
    adding = [one for one in _contributions(trials, tried) if one.effect is not None]
    total = sum(one.effect or 0.0 for one in adding)
    culprits = [one for one in adding if one.name not in named and (one.effect or 0.0) >= SHARE * total][:MOST_TENSORS]
    networks = tried.start.network, tried.start.build.network
    statistics = tried.start.observed.statistics or Statistics()
    without = _without_outliers(tried.emitted, statistics)
    lines = _as_settings(without, tried)
    model = trials.examples.reference
    inputs = dict(zip((model.tensors[index].name for index in model.inputs), trials.examples.inputs, strict=True))
    for evidence in gather(culprits, tried.emitted, networks, statistics):
        for suspicion in _suspicions(evidence, without, lines, inputs, tried.start.network.filled is not None):
            mended = _best(trials, tried, suspicion)
            if mended is not None:
                remedy, after = mended
                trial = Trial(tried.sqnr_db, after.sqnr_db, trials.size(after) - trials.size(tried), trials.core)
                cause = Cause(evidence.name, suspicion.kind, evidence.contribution.effect, suspicion.why, remedy, trial)
                return cause, after
    return None


def _suspicions(
    evidence: Evidence,
    without: Mapping[str, QFormat],
    lines: Mapping[str, str],
    inputs: Mapping[str, np.ndarray],
    is_filled: bool,
) -> Iterator[Suspicion]:
    """What speaks for which cause, the particular ones before the general one."""
    suspected = (
        setting.suspect(evidence),
        bias.suspect(evidence),
        softmax.suspect(evidence),
        channels.suspect(evidence),
        outliers.suspect(evidence, without, lines, inputs),
        resolution.suspect(evidence, is_filled),
    )
    return (suspicion for suspicion in suspected if suspicion is not None)


def _best(trials: Trials, tried: Tried, suspicion: Suspicion) -> tuple[Remedy, Tried] | None:
    """The first remedy that makes the outputs what they should be, or else about the best of all; `None` where none helps."""
    helping: list[tuple[Remedy, Tried]] = []
    for remedy in suspicion.remedies:
        after = trials(remedy.applied(tried.options))
        if after is None or after.sqnr_db < tried.sqnr_db + LEAST_GAIN_DB:
            continue
        if after.sqnr_db >= FAIR_DB:
            return remedy, after
        helping.append((remedy, after))
    most = max((after.sqnr_db for _, after in helping), default=0.0) - tried.sqnr_db
    return next(((remedy, after) for remedy, after in helping if after.sqnr_db - tried.sqnr_db >= ENOUGH * most), None)


def _as_settings(formats: Mapping[str, QFormat], tried: Tried) -> dict[str, str]:
    """Formats of tensors without their largest values as settings have them: those of values that are not scaled."""
    plain = tried.start.as_observed.statistics
    if plain is None or tried.options.fill_ranges:
        return {name: str(format_) for name, format_ in formats.items()}
    return {name: str(outliers.without_largest(format_, plain[name]) or format_) for name, format_ in formats.items()}


def _without_outliers(emitted: Emitted, statistics: Statistics) -> dict[str, QFormat]:
    """The formats, without a few of the largest values, of tensors for which that makes a difference."""
    formats = {}
    for tensor, role in zip(emitted.model.tensors, emitted.roles, strict=True):
        if role.is_buffer:
            choice = emitted.formats[role]
            better = outliers.trimmed(choice.reason, choice.format, statistics.get(tensor.name))
            if better is not None:
                formats[tensor.name] = better
    return formats
