"""Text for terminals: tables, names that come from files, several problems in one line."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

_LEAST_WIDTH = 20
_BETWEEN = "  "  # columns


def printable(text: str) -> str:
    """`text` with everything a terminal might obey (control characters, line ends) escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shown(value: object, length: int = 80) -> str:
    """A value of any origin in an error: a text or number as Python writes it, cut to `length`; of all else its type."""
    if isinstance(value, str):
        return repr(value if len(value) <= length else f"{value[: length - 3]}...")
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 10**length):
        return repr(value)
    return "a huge integer" if isinstance(value, int) else type(value).__name__


def represented(value: object, limit: int = 200) -> str:
    """`repr` of bounded length, control characters escaped: what is shown may come from a hostile file."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def line_width() -> int | None:
    """Characters that a line of output may have: the variable COLUMNS, else the width of the terminal; `None`: any number."""
    with contextlib.suppress(KeyError, ValueError):
        if (columns := int(os.environ["COLUMNS"])) > 0:
            return max(columns, _LEAST_WIDTH)
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there may be no output, or one that is no file
        if sys.stdout.isatty():
            return max(os.get_terminal_size(sys.stdout.fileno()).columns, _LEAST_WIDTH)
    return None


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = (), indent: str = "") -> str:
    """Rows of text in aligned columns; columns that are empty throughout are left out.

    Where `line_width()` is less than all of them take, there are several tables, one below the other, each with the first column.

    Args:
        header: Names of the columns.
        rows: As many cells as the header, each.
        right: Names of the columns to align to the right.
        indent: What lines begin with.
    """
    limit = line_width()
    chosen = [(name, *cells) for name, *cells in zip(header, *rows, strict=True) if any(cells)]
    if limit is not None:
        limit -= len(indent)
        if sum(max(map(len, texts)) + len(_BETWEEN) for texts in chosen) - len(_BETWEEN) <= limit:
            limit = None
    columns: list[list[str]] = []
    for texts in chosen:
        align = str.rjust if texts[0] in right else str.ljust
        if limit is not None:
            room = _widest(limit, columns)
            texts = tuple(_cut(text, room) for text in texts)
        width = max(map(len, texts))
        columns.append([align(text, width) for text in texts])
    blocks = [columns] if limit is None else _blocks(columns, limit)
    return "\n\n".join("\n".join(indent + _BETWEEN.join(line).rstrip() for line in zip(*block, strict=True)) for block in blocks)


def _widest(limit: int, columns: Sequence[Sequence[str]]) -> int:
    """The most characters of a column: half the line for the first, and for others what the first leaves."""
    return limit - len(columns[0][0]) - len(_BETWEEN) if columns else limit // 2


def _cut(text: str, width: int) -> str:
    """A text without its middle where it is too long: names differ at their ends."""
    if len(text) <= width:
        return text
    if width < 5:
        return text[:width]
    front = (width - 2) // 2
    return f"{text[:front]}..{text[len(text) - (width - 2 - front) :]}"


def _blocks(columns: Sequence[Sequence[str]], limit: int) -> Iterator[Sequence[Sequence[str]]]:
    """The columns in groups that fit in a line, the first one in all of them."""
    if not columns:
        return
    first, *others = columns
    block, used = [first], len(first[0])
    for column in others:
        width = len(_BETWEEN) + len(column[0])
        if len(block) > 1 and used + width > limit:
            yield block
            block, used = [first], len(first[0])
        block, used = [*block, column], used + width
    yield block


def first_of(problems: Sequence[str]) -> str:
    """The first of some problems and the number of the others: for where there is one line only.

    >>> first_of(["the file ends early", "tensor 3 has no name"])
    'the file ends early (and 1 more problem)'
    """
    others = len(problems) - 1
    return problems[0] + (f" (and {others} more problem{'s' if others > 1 else ''})" if others else "")
