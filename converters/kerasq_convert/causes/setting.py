"""A format that a settings file chose, where automatic choice would have chosen another."""

from __future__ import annotations

from kerasq.qformat import QFormat
from kerasq_convert.causes.cause import Remedy, Suspicion
from kerasq_convert.causes.evidence import Evidence
from kerasq_convert.comparison.analysis_text import share_percent
from kerasq_convert.formats.choice import Reason

KIND = "setting"


def suspect(evidence: Evidence) -> Suspicion | None:
    """The settings' format of the tensor, or of its kernel, whichever is to blame."""
    format_, automatic = evidence.format, evidence.automatic
    if evidence.by_output and evidence.reason is Reason.SETTINGS and automatic not in (None, format_):
        why = f"the settings give it {_described(format_)}"
        if evidence.saturated:
            why += f", beyond which {share_percent(evidence.saturated)} of its values lie"
        remedy = Remedy(buffers={evidence.name: str(automatic)})
        return Suspicion(KIND, f"{why}; automatic is {_described(automatic)}", (remedy,))
    kernel = evidence.kernel
    if evidence.by_kernel and kernel is not None and kernel.reason is Reason.SETTINGS:
        chosen, better = kernel.tensor.format, kernel.automatic
        if better not in (None, chosen):
            why = f"the settings give its kernel {_described(chosen)}; automatic is {_described(better)}"
            return Suspicion(KIND, why, (Remedy(parameters={kernel.name: str(better)}),))
    return None


def _described(format_: QFormat | None) -> str:
    assert format_ is not None
    return f"{format_} ({format_.min:g} .. {format_.max:g})" if format_.is_fixed else str(format_)
