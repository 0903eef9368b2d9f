"""The report as one HTML file: no network, no script from elsewhere; for light and dark screens, wide and narrow ones."""

from __future__ import annotations

import importlib.resources
import math
from typing import Any

from kerasq.footprint import Footprint
from kerasq.footprint.report import fit_title
from kerasq.rich import escape
from kerasq_convert.comparison.analysis_text import (
    PROMOTIONS,
    SATURATION,
    decibels,
    decibels_of,
    promotion_rows,
    saturation_rows,
    verdict,
)
from kerasq_convert.comparison.layers import Analysis
from kerasq_convert.report.html_figures import (
    buffer_bars,
    distribution,
    error_bars,
    html_table,
    memory_map,
    pareto,
    trade_off,
)
from kerasq_convert.report.html_fit import fit_section
from kerasq_convert.report.report import Report
from kerasq_convert.report.rows import COLUMNS
from kerasq_convert.search.pareto import CurvePoint
from kerasq_convert.search.search import TradeOff


def html_report(title: str, report: Report, figures: dict[str, Any], fit: Footprint | None = None) -> str:
    """A whole document.

    Args:
        title: Name of the network.
        report: What the conversion did.
        figures: `kerasq_convert.figures.figures` of the same network.
        fit: What it takes on a board, where one is named.
    """
    sections = [
        _section("Summary", _summary(report, figures)),
        *([_section(f"Fit {fit_title(fit)}", fit_section(fit), "fit")] if fit else []),
        *_accuracy(report.analysis),
        *_trade_off(report.trade_off),
        *_pareto(report.pareto),
        *_distributions(figures),
        _section("Memory map", memory_map(figures["memory"])),
        _section("Buffers", buffer_bars(figures["memory"])),
        _section("Tensors", _tensors(report)),
    ]
    style, script = (importlib.resources.files(__package__).joinpath(f"report.{kind}").read_text() for kind in ("css", "js"))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · kerasq</title><style>\n{style}</style></head>\n<body>"
        f"<header><h1>{escape(title)}</h1></header>\n<main>"
        f"{''.join(sections)}</main>\n<script>\n{script}</script></body></html>\n"
    )


def _section(title: str, content: str, name: str | None = None) -> str:
    return f'<section id="{name or title.lower().replace(" ", "-")}"><h2>{title}</h2>{content}</section>\n'


def _summary(report: Report, figures: dict[str, Any]) -> str:
    gap = report.arena_bytes - report.arena_lower_bound
    plan = "optimal for this order" if gap <= 0 else f"{gap:,} bytes above the bound {report.arena_lower_bound:,}"
    tiles = [
        (f"{report.model_bytes:,} bytes", "model"),
        (f"{report.arena_bytes:,} bytes", f"arena, {plan}"),
        (f"{len(figures['memory']['steps']) - 2}", "operators"),
    ]
    if report.analysis is not None:
        for name in report.analysis.outputs:
            tiles.append((decibels(report.analysis.layer(name).accumulated), f"signal to noise at {name}"))
    for output in report.outputs:
        if report.analysis is None:
            tiles.append((decibels_of(output.sqnr_db), f"signal to noise at {output.name}"))
        if output.same_class is not None:
            tiles.append((f"{100 * output.same_class:.1f}%", f"of {report.examples} examples: same class at {output.name}"))
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in tiles)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in (*report.warnings, *report.notes))
    fused = "".join(f"<li>{escape(' + '.join(layers))}</li>" for layers in report.fused)
    details = f"<details><summary>Fused into one operator ({len(report.fused)})</summary><ul>{fused}</ul></details>"
    return f'<div class="tiles">{cells}</div>{notes}{details if fused else ""}'


def _accuracy(analysis: Analysis | None) -> list[str]:
    if analysis is None:
        return []
    lines = "".join(f"<p>{escape(line)}</p>" for line in verdict(analysis))
    sections = [_section("Layer errors", f"<p>{analysis.examples:,} examples</p>{lines}{error_bars(analysis.layers)}")]
    saturating, promoted = saturation_rows(analysis), promotion_rows(analysis)
    if saturating:
        key = '<p class="key">values beyond the ends of the format, and values stored at its ends, in % of all</p>'
        sections.append(_section("Saturation", key + html_table(SATURATION, saturating)))
    if promoted:
        key = '<p class="key">what 16 bits would give, in dB at the layer itself, and cost in bytes; the noisiest layer first</p>'
        sections.append(_section("16 bits instead of 8", key + html_table(PROMOTIONS, promoted)))
    return sections


def _trade_off(points: list[TradeOff]) -> list[str]:
    shown = [point for point in points if math.isfinite(point.sqnr_db)]
    return [_section("Trade-off", trade_off(shown))] if len(shown) > 1 else []


def _pareto(points: list[CurvePoint]) -> list[str]:
    shown = [point for point in points if math.isfinite(point.sqnr_db)]
    return [_section("Size and noise", pareto(shown), "pareto")] if shown else []


def _distributions(figures: dict[str, Any]) -> list[str]:
    activations, kernels = (figures[kind] for kind in ("activations", "kernels"))
    key = (
        '<p class="key">grey: what the format can hold; red: values beyond it. Height: logarithm of the count, exact zeros left '
        "out. Left and right end of each picture below it.</p>"
    )
    sections = []
    if activations:
        sections.append(_section("Activations", f"{key}{_grid(activations)}"))
    if kernels:
        content = f"<details><summary>{len(kernels)} kernels, as they are stored</summary>{_grid(kernels)}</details>"
        sections.append(_section("Kernels", content if activations else key + content))
    return sections


def _grid(rows: list[dict[str, Any]]) -> str:
    return f'<div class="grid">{"".join(map(distribution, rows))}</div>'


def _tensors(report: Report) -> str:
    """All but the saturation, which has a section."""
    parts, shown = [], [column for column, name in enumerate(COLUMNS) if name != "saturated"]
    for title, rows in (("activations", report.buffers), ("parameters", report.parameters)):
        content = html_table([COLUMNS[column] for column in shown], [[row.cells()[column] for column in shown] for row in rows])
        parts.append(f"<details><summary>{len(rows)} {title}</summary>{content}</details>")
    return "".join(parts)
