"""The report of a conversion in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kerasq.rich import notebook_table, paragraph
from kerasq_convert.report.rows import COLUMNS, NUMBERS, TensorRow


def notebook_report(lines: Sequence[str], tensors: Mapping[str, Sequence[TensorRow]], notes: Sequence[str]) -> str:
    """What was reached, a table for each kind of tensors, and notes."""
    parts = [paragraph(*lines, title="Conversion")]
    for title, rows in tensors.items():
        if rows:
            parts.append(paragraph(title=title) + notebook_table(COLUMNS, [row.cells() for row in rows], NUMBERS))
    return "".join([*parts, *([paragraph(*notes)] if notes else [])])
