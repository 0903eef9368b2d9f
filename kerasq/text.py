"""Text for terminals: tables, names that come from files, several problems in one line."""

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
    columns = []
    for name, *cells in zip(header, *rows, strict=True):
        if any(cells):
            align = str.rjust if name in right else str.ljust
            width = max(map(len, (name, *cells)))
            columns.append([align(cell, width) for cell in (name, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def first_of(problems: Sequence[str]) -> str:
    """The first of some problems and the number of the others: for where there is one line only.

    >>> first_of(["the file ends early", "tensor 3 has no name"])
    'the file ends early (and 1 more problem)'
    """
    others = len(problems) - 1
    return problems[0] + (f" (and {others} more problem{'s' if others > 1 else ''})" if others else "")
