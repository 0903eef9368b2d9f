"""What objects show of themselves in a notebook: HTML without styles of its own, so that it looks as the notebook does."""

from __future__ import annotations

import html
from collections.abc import Sequence

from kerasq.text import printable

_RIGHT = ' style="text-align:right"'
_LEFT = ' style="text-align:left"'


def escape(text: object) -> str:
    """A text that HTML shows as it is, in attributes, too."""
    return html.escape(str(text), quote=True)


def notebook_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """A table of texts of any origin, without columns that are empty throughout.

    Args:
        header: Names of the columns.
        rows: As many cells as the header, each.
        right: Names of the columns to align to the right.
    """
    columns = [(name, *cells) for name, *cells in zip(header, *rows, strict=True) if any(cells)]
    styles = [_RIGHT if name in right else _LEFT for name, *_ in columns]

    def row(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}{style}>{_shown(cell)}</{tag}>' for style, cell in zip(styles, cells, strict=True))}</tr>"

    names, *others = zip(*columns, strict=True) if columns else [()]
    return f"<table><thead>{row('th', names)}</thead><tbody>{''.join(row('td', cells) for cells in others)}</tbody></table>"


def paragraph(*lines: str, title: str = "") -> str:
    """Lines of text of any origin, below a bold title."""
    shown = [f"<b>{_shown(title)}</b>"] if title else []
    return f"<p>{'<br/>'.join([*shown, *map(_shown, lines)])}</p>"


def _shown(text: str) -> str:
    return escape(printable(text))
