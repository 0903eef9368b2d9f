"""Channels of very different sizes in one format: the quiet ones are rounded to the steps that the loud ones need."""

from __future__ import annotations

import numpy as np

from kerasq.qformat import fixed
from kerasq_convert.causes.cause import Remedy, Suspicion
from kerasq_convert.causes.evidence import Evidence
from kerasq_convert.formats.choice import Reason
from kerasq_convert.graph import WeightedNode

KIND = "channels"
UNEVEN = 8.0  # the largest channel : the typical one


def suspect(evidence: Evidence) -> Suspicion | None:
    """The sizes of a tensor's channels, or of its kernel's, whichever is to blame."""
    if evidence.by_output and evidence.format.is_fixed and evidence.format.bits == 8:
        uneven = _ratio(evidence.contribution.channels)
        if uneven < UNEVEN:
            return None
        why = f"its channels are uneven: the largest is {uneven:.3g} times the typical one, and all have steps of "
        remedies = [Remedy(buffers={evidence.name: str(fixed(16, signed=evidence.format.signed))})]
        if isinstance(evidence.node, WeightedNode):  # else nobody could divide the channels
            shared = [Remedy(options={"equalize": True}), Remedy(options={"equalize": True, "per_channel": False})]
            remedies = [*shared, *remedies]
        return Suspicion(KIND, f"{why}{evidence.format.step:g}", tuple(remedies))
    kernel = evidence.kernel
    if kernel is None or not evidence.by_kernel or kernel.reason is Reason.CHANNELS:
        return None
    uneven = _ratio(np.max(np.abs(kernel.values.reshape(len(kernel.values), -1)), axis=1))
    if uneven < UNEVEN:
        return None
    why = f"the channels of its kernel are uneven: the largest is {uneven:.3g} times the typical one, and {kernel.tensor.format} "
    return Suspicion(KIND, f"{why}has one step for all", (Remedy(options={"per_channel": True}),))


def _ratio(channels: np.ndarray) -> float:
    """The largest of some magnitudes to their median; zeros are no channels."""
    sizes = channels[channels > 0]
    return float(np.max(sizes) / np.median(sizes)) if sizes.size else 1.0
