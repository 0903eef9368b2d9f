"""docs/pages/figures.md: what README claims beside what was measured, from README, the register and figures.json."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from claims import README, Claim, claims
from measurements import MEASUREMENTS
from register import SENTENCES, TABLES

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "pages" / "figures.md"
RECORD = pathlib.Path(__file__).with_name("figures.json")
HOLDS, OFF, MISSING, NOT_JUDGED = "holds", "off", "not measured", "of that machine"
BEGIN = """\
# Figures

<!-- Written by docs/generate.py from README and examples/benchmarks/figures.json: change these, and run it. -->

`python examples/benchmarks/figures.py` reruns every figure of the [README](../../README.md)'s results and puts it beside what is
claimed. A figure is *off* where it differs by more than its error: the rounding of what is printed for what is counted or stored;
3 % of code and instructions, which compilers and networks that are trained anew change; 20 % of a ratio of two times; two
standard errors of the scores of networks that are trained anew. Seconds are of the machine that README names, and so are not
judged. Published results of others are cited, not measured: those of MLPerf Tiny are only divided by multiply-accumulates here.
"""


def verdict(claim: Claim, record: dict[str, Any]) -> tuple[str, str]:
    """What was measured, with at least as many decimals as README prints, and what that says of the claim."""
    values = record.get(claim.measurement, {}).get("values", {})
    if claim.key not in values:
        return "", MISSING
    value = float(values[claim.key])
    decimals = max(len(claim.text.partition(".")[2]), 0 if value >= 1000 or value.is_integer() else 1)
    holds = claim.holds(value)
    return f"{value:,.{decimals}f}", NOT_JUDGED if holds is None else HOLDS if holds else OFF


def page(registered: Sequence[Claim], record: dict[str, Any]) -> str:
    """The whole page."""
    judged = [(claim, *verdict(claim, record)) for claim in registered]
    counts = {what: sum(row[-1] == what for row in judged) for what in (HOLDS, OFF, NOT_JUDGED, MISSING)}
    parts = [BEGIN, *_outcome(len(judged), counts, [facts for name, facts in record.items() if name in MEASUREMENTS]), ""]
    off = [row for row in judged if row[-1] == OFF]
    if off:
        parts += ["## Off", "", *_table(off), ""]
    for title in (table.title for table in TABLES):
        parts += [f"## {title}", "", *_table([row for row in judged if _title(row[0]) == title], f"{title}: "), ""]
    prose = [row for row in judged if _title(row[0]) not in [table.title for table in TABLES]]
    parts += ["## In the text", "", *_table(prose), "", "## How it was measured", ""]
    return "\n".join([*parts, *_measured(record)]) + "\n"


def _outcome(total: int, counts: dict[str, int], measured: Sequence[dict[str, Any]]) -> list[str]:
    """How many figures hold, and where and when that was measured."""
    parts = [f"{counts[HOLDS]} hold", f"{counts[OFF]} are off", f"{counts[NOT_JUDGED]} are of their machine"]
    lines = [f"Of {total} figures {', '.join(parts)} and {counts[MISSING]} are not measured."]
    for machine in dict.fromkeys(facts["machine"] for facts in measured):
        dates = sorted({facts["date"] for facts in measured if facts["machine"] == machine})
        lines.append(f"Measured on {machine}: {' to '.join(dict.fromkeys((dates[0], dates[-1])))}.")
    return lines


def _title(claim: Claim) -> str:
    """The table that a claim is of."""
    return claim.where.partition(": ")[0]


def _table(rows: Sequence[tuple[Claim, str, str]], prefix: str = "") -> list[str]:
    lines = ["| figure | README | measured | | by |", "|---|---:|---:|---|---|"]
    for claim, measured, outcome in rows:
        shown = f"**{outcome}**" if outcome == OFF else outcome
        lines.append(f"| {claim.where.removeprefix(prefix)} | {claim.text} | {measured} | {shown} | {claim.measurement} |")
    return lines


def _measured(record: dict[str, Any]) -> list[str]:
    """A paragraph for every measurement: commands, machine, date."""
    lines = []
    for name, measurement in MEASUREMENTS.items():
        facts = record.get(name)
        when = f"{facts['date']}, {facts['seconds']} s on {facts['machine']}" if facts else MISSING
        lines += [f"### {name}", "", f"{measurement.about}; {when}.", ""]
        lines += [f"* {_code(command)}" for command in measurement.commands]
        lines += [f"* needs {', '.join(f'`{need}`' for need in measurement.needs)}"] if measurement.needs else []
        lines.append("")
    return lines[:-1]


def _code(text: str) -> str:
    """Code within a line, whatever quotes are in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"


def written() -> str:
    """The page as README and the record make it."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    return page(claims(TABLES, SENTENCES, README.read_text(encoding="utf-8")), record)
