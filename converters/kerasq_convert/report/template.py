"""The settings template: every tensor with its format, and in a comment what is known of it."""

from __future__ import annotations

from kerasq_convert.report.report import Report
from kerasq_convert.report.rows import TensorRow

_HEAD = """\
# Formats of a kerasq network, as they are now. Edit a line, delete what may be chosen automatically, and pass the file back
# with --settings. A format is FLOAT32, SIGN, FIXED2/4/8/16/32_n or UFIXED8/16_n with n fractional bits; without _n the converter
# chooses n. A name may be a pattern: "conv2_*/output: FIXED16".
"""

_FACTORS = """\
# Activations are scaled until they fill the ranges of their formats, which are for scaled values: by powers of 2^(1/8), one
# number for all that share a factor. Without this line those named above are not scaled."""

_OFFSETS = """\
# Those that are negative by little and positive by much are stored with an offset then, so that their formats are unsigned."""


def settings_template(report: Report) -> str:
    """YAML text that `kerasq_convert.settings` reads back to the same formats."""
    sections = [_HEAD, "buffers:", *_lines(report.buffers), "", "parameters:", *_lines(report.parameters)]
    if report.factors:
        sections += ["", _FACTORS, f'factors: "{report.factors}"']
    if report.offsets:
        sections += ["", _OFFSETS, f'offsets: "{report.offsets}"']
    return "\n".join(sections) + "\n"


def _lines(rows: list[TensorRow]) -> list[str]:
    lines = []
    for row in rows:
        if not row.settable:
            continue
        comment = "x".join(map(str, row.shape))
        if row.low is not None:
            comment += f", {row.low:.4g} .. {row.high:.4g}"
        if row.automatic is not None:
            comment += f", automatic {row.automatic}"
        lines.append(f"  {row.name}: {row.format}".ljust(48) + f"  # {comment}")
    return lines
