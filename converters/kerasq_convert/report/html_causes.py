"""Causes and remedies as a part of the HTML report."""

from __future__ import annotations

from kerasq.rich import escape
from kerasq_convert.causes.cause import Cause
from kerasq_convert.causes.causes_text import adds, verdict
from kerasq_convert.causes.diagnosis import Diagnosis
from kerasq_convert.comparison.analysis_text import ADDED, CONTRIBUTIONS, contribution_rows
from kerasq_convert.report.html_figures import html_table


def causes_section(diagnosis: Diagnosis) -> str:
    """The verdict; of each cause the tensor, why, and what mends it at which price."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in verdict(diagnosis))
    if diagnosis.is_well:
        return lines
    causes = "".join(f"<li>{_cause(cause)}</li>" for cause in diagnosis.causes)
    rows = html_table(CONTRIBUTIONS, contribution_rows(diagnosis.contributions), CONTRIBUTIONS[1:])
    return f'{lines}<ol class="causes">{causes}</ol><p class="key">{escape(ADDED)}</p>{rows}'


def _cause(cause: Cause) -> str:
    tried = "" if cause.trial is None else f"<br><small>tried: {escape(cause.trial)}</small>"
    remedy = f"Remedy: <code>{escape(cause.remedy)}</code>"
    return f"<b>{escape(cause.tensor)}</b>{escape(adds(cause))}: {escape(cause.why)}.<br>{remedy}{tried}"
