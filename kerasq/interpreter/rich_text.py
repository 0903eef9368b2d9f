"""An interpreter in a notebook."""

from __future__ import annotations

from typing import Any

from kerasq.format.model import Model
from kerasq.rich import notebook_table, paragraph


def interpreter_html(model: Model, engine: str, ends: dict[str, list[dict[str, Any]]]) -> str:
    """Engine and sizes, and a row for each input and output, by their details."""
    rows = [
        [
            kind,
            str(details["index"]),
            details["name"],
            "x".join(map(str, details["shape"])),
            details["dtype"].__name__,
            str(details["format"]),
        ]
        for kind, several in ends.items()
        for details in several
    ]
    sizes = f"{engine} engine, {len(model.operators)} operators, arena {model.arena_bytes:,} bytes an example"
    header = ("", "index", "name", "shape", "dtype", "format")
    return paragraph(sizes, title="Interpreter") + notebook_table(header, rows, right=("index",))
