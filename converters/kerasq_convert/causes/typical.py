"""The examples by which a network is judged where a few of them are unlike all others."""

from __future__ import annotations

import numpy as np

from kerasq_convert.comparison.outputs import Wanted

FEW = 0.05  # of the examples: so many may be unlike the others
MANY = 20  # examples: of fewer it can't be said which are
LARGE = 30.0  # times the power of the typical example


def typical(wanted: Wanted) -> Wanted:
    """`wanted` without the few examples whose outputs are far larger than those of all others: their signal hides all noise."""
    if wanted.examples < MANY:
        return wanted
    kept = np.ones(wanted.examples, bool)
    for signal in wanted.outputs:
        power = np.sum(signal.reshape(len(signal), -1) ** 2, axis=1)
        kept &= power <= LARGE * np.median(power)
    if np.mean(kept) < 1 - FEW or kept.all():
        return wanted
    return Wanted(*([array[kept] for array in arrays] for arrays in (wanted.inputs, wanted.outputs, wanted.logits)))
