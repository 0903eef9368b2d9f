"""Too few examples: ranges that are still growing.

Formats of one half of the examples are judged by the other half, which had no part in them. Where that is much worse than formats
of all for all, the next example may be as far beyond them.
"""

from __future__ import annotations

import dataclasses

from kerasq_convert.causes.cause import Cause, Remedy
from kerasq_convert.causes.trials import Trials, Tried
from kerasq_convert.comparison.contributions import contributions
from kerasq_convert.comparison.outputs import FAIR_DB, Wanted

KIND = "examples"
ENOUGH = 64  # examples: formats of so many are not doubted
WORSE_DB = 6.0  # a bit, at the outputs


def suspect(trials: Trials, whole: Tried) -> Cause | None:
    """The tensor whose format the other half of the examples does worst with.

    Args:
        trials: Converts the network.
        whole: The network, formats chosen by all examples.
    """
    inputs = trials.examples.inputs
    count = len(inputs[0])
    if not 2 <= count < ENOUGH:
        return None
    halves = [[array[first::2] for array in inputs] for first in (0, 1)]
    worst: tuple[float, Cause] | None = None
    for seen, others in (halves, halves[::-1]):
        tried = trials(dataclasses.replace(trials.options, representative_dataset=seen))
        if tried is None:
            continue
        unseen = Wanted.of(trials.examples.trained, others)
        reached, possible = trials.sqnr_db(tried.model, unseen), trials.sqnr_db(whole.model, unseen)
        if reached > possible - WORSE_DB or reached >= FAIR_DB or (worst is not None and reached >= worst[0]):
            continue
        adding = contributions(tried.emitted.model, trials.examples.reference, unseen.inputs)
        beyond = [one for one in adding if one.saturation.power > 0]
        if beyond:
            why = (
                f"{count} examples don't settle its range: formats chosen by one half of them reach {reached:.1f} dB on the "
                f"other, where those of all reach {possible:.1f} dB"
            )
            advice = f"some hundred examples in --representative_dataset instead of {count}"
            worst = reached, Cause(beyond[0].name, KIND, beyond[0].effect, why, Remedy(advice=advice))
    return None if worst is None else worst[1]
