"""Too few bits, without any more particular reason: what remains is to give more."""

from __future__ import annotations

from kerasq.qformat import fixed
from kerasq_convert.causes.cause import Remedy, Suspicion
from kerasq_convert.causes.evidence import Evidence

KIND = "resolution"


def suspect(evidence: Evidence, is_filled: bool) -> Suspicion | None:
    """The width of the tensor, or of its kernel.

    Args:
        evidence: Of the tensor.
        is_filled: Whether activations fill their ranges already.
    """
    if evidence.by_output and evidence.format.is_fixed and evidence.format.bits < 16:
        family = fixed(16, signed=evidence.format.signed)
        why = f"{evidence.format.bits} bits, steps of {evidence.format.step:g}, are few for what follows"
        filled = () if is_filled else (Remedy(options={"fill_ranges": True}),)
        return Suspicion(KIND, why, (*filled, Remedy(buffers={evidence.name: str(family)})))
    kernel = evidence.kernel
    if kernel is None or not evidence.by_kernel or not kernel.tensor.format.is_fixed or kernel.tensor.format.bits >= 16:
        return None
    bits = kernel.tensor.format.bits
    wider = [fixed(width) for width in (8, 16) if width > bits]
    return Suspicion(KIND, f"{bits} bits are few for its kernel", tuple(Remedy(parameters={kernel.name: str(w)}) for w in wider))
