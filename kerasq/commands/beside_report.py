"""What `kerasq-inspect a.kq --against b.kq` prints of two networks."""

from __future__ import annotations

import math

from kerasq.evaluation.beside import Beside, ComputedDifference
from kerasq.text import printable, table

_STORED = ("constant", "here", "there", "bytes here", "bytes there", "other values")
_OPERATORS = ("operator of", "attribute", "here", "there")
_COMPUTED = ("tensor", "here", "there", "other values", "largest difference", "ratio")


def beside_report(result: Beside, path: str) -> str:
    """Tables of what differs, and where it begins."""
    there = printable(path)
    sizes = (("constants", result.constant_bytes), ("arena", result.arena_bytes))
    header = [f"{what}: {here:,} bytes here, {other:,} there" for what, (here, other) in sizes]
    sections = ["\n".join([f"beside {there}, {result.examples:,} examples", *header])]
    if result.stored:
        rows = [
            [
                printable(entry.name),
                entry.formats[0] or "-",
                "" if entry.formats[1] == entry.formats[0] else entry.formats[1] or "-",
                f"{entry.nbytes[0]:,}",
                "" if entry.nbytes[1] == entry.nbytes[0] else f"{entry.nbytes[1]:,}",
                "" if entry.differing is None else f"{entry.differing:.1%}",
            ]
            for entry in result.stored
        ]
        sections.append(table(_STORED, rows, right=_STORED[3:]))
    if result.operators:
        sections.append(
            table(_OPERATORS, [[printable(entry.name), entry.attribute, *entry.values] for entry in result.operators])
        )
    sections.append(table(_COMPUTED, [_row(entry) for entry in result.computed], right=_COMPUTED[3:]))
    for names, where in zip(result.alone, ("here", "there"), strict=True):
        if names:
            sections.append(f"only {where}: {', '.join(map(printable, names))}")
    first = result.first
    lines = ["all values that both compute are equal" if first is None else f"first difference: {printable(first.name)}"]
    scaled = sum(entry.scaled for entry in result.computed)
    if scaled:
        lines.append(f"{scaled} tensors there hold values times factors, or with an offset, which were taken out")
    outputs = [entry for entry in result.computed if entry.name in result.outputs]
    lines += [f"output {printable(entry.name)}: {_decibels(entry.sqnr_db)}" for entry in outputs]
    if result.same_class is not None:
        lines.append(f"same class in {result.same_class:.2%} of the examples")
    return "\n\n".join([*sections, "\n".join(lines)])


def _row(entry: ComputedDifference) -> list[str]:
    changed = entry.formats[0] != entry.formats[1]
    return [
        printable(entry.name),
        entry.formats[0],
        entry.formats[1] if changed else "",
        f"{entry.differing:.1%}" if entry.differing else "",
        f"{entry.largest:.4g}" if entry.differing else "",
        _decibels(entry.sqnr_db),
    ]


def _decibels(ratio: float) -> str:
    return f"{ratio:.1f} dB" if math.isfinite(ratio) else "equal" if ratio > 0 else "no signal"
