"""Text for terminals: tables, and names that come from files."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """`text` with everything a terminal might obey (control characters, line ends) escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Rows of text in aligned columns; columns that are empty throughout are left out.

    Args:
        header: Names of the columns.
        rows: As many cells as the header, each.
        right: Names of the columns to align to the right.
    """
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    lines = []
    for row in (header, *rows):
        cells = []
        for column in kept:
            width = max(len(cell[column]) for cell in (header, *rows))
            cells.append(f"{row[column]:>{width}}" if header[column] in right else f"{row[column]:<{width}}")
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
