"""Probabilities that are smaller than the steps of 8 bits."""

from __future__ import annotations

from kerasq_convert.causes.cause import Remedy, Suspicion
from kerasq_convert.causes.evidence import Evidence
from kerasq_convert.graph import Softmax

KIND = "softmax"


def suspect(evidence: Evidence) -> Suspicion | None:
    """The format of a softmax, where rounding to it is most of the error."""
    format_ = evidence.format
    if not isinstance(evidence.node, Softmax) or not evidence.by_output or not format_.is_fixed or format_.bits != 8:
        return None
    count = evidence.contribution.channels.size
    why = f"the softmax has steps of 1/{round(1 / format_.step)} for {count:,} probabilities, of which the mean is 1/{count:,}"
    return Suspicion(KIND, why, (Remedy(buffers={evidence.name: "UFIXED16"}),))
