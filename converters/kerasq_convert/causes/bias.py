"""A bias that its format does not hold: off its grid, or larger than all of it."""

from __future__ import annotations

import numpy as np

from kerasq_convert.causes.cause import Remedy, Suspicion
from kerasq_convert.causes.evidence import Evidence

KIND = "bias"


def suspect(evidence: Evidence) -> Suspicion | None:
    """The bias, where most of the error is what storing it changed."""
    bias = evidence.bias
    if bias is None or not evidence.by_bias:
        return None
    format_, largest = bias.tensor.format, float(np.max(np.abs(bias.values)))
    off = float(np.max(np.abs(bias.error)))
    if largest > format_.max + format_.step:
        why = f"its bias reaches {largest:.3g}, and {format_} ends at {format_.max:.3g}"
    else:
        why = f"its bias is off the grid of {format_}: steps of {format_.step:.3g} change it by up to {off:.3g}"
    remedies = [Remedy(parameters={bias.name: "FIXED32"})]
    if evidence.kernel is not None:  # the sum, on whose grid a bias lies, is as fine as the kernel
        remedies.append(Remedy(parameters={bias.name: "FIXED32", evidence.kernel.name: "FIXED16"}))
    return Suspicion(KIND, why, tuple(remedies))
