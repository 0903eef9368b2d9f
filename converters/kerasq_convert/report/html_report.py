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
    percent,
    promotion_rows,
    saturation_rows,
    verdict,
)
from kerasq_convert.comparison.layers import Analysis
from kerasq_convert.report.costs import LayerCost
from kerasq_convert.report.html_causes import causes_section
from kerasq_convert.report.html_figures import (
    buffer_bars,
    distribution,
    error_bars,
    html_table,
    pareto,
    trade_off,
)
from kerasq_convert.report.html_fit import fit_section
from kerasq_convert.report.html_memory import memory_section
from kerasq_convert.report.report import Report
from kerasq_convert.report.rows import COLUMNS, NUMBERS
from kerasq_convert.search.pareto import CurvePoint
from kerasq_convert.search.search import TradeOff


def html_report(
    title: str,
    report: Report,
    figures: dict[str, Any],
    fit: Footprint | None = None,
    costs: tuple[str, list[LayerCost]] | None = None,
    command: str | None = None,
) -> str:
    """A whole document.

    Args:
        title: Name of the network.
        report: What the conversion did.
        figures: `kerasq_convert.figures.figures` of the same network.
        fit: What it takes on a board, where one is named.
        costs: A core, and what each layer takes there.
        command: The command line that made it, where one did.
    """
    sections = [
        _section("Summary", _summary(report, figures)),
        *([_section(f"Fit {fit_title(fit)}", fit_section(fit), "fit")] if fit else []),
        *([_section("Causes of the loss", causes_section(report.diagnosis), "causes")] if report.diagnosis else []),
        *_accuracy(report.analysis),
        *_trade_off(report.trade_off),
        *_pareto(report.pareto),
        *_distributions(figures),
        *([_section("Layers", _layers(*costs))] if costs else []),
        _section("Memory map", memory_section(figures["memory"], report)),
        _section("Buffers", buffer_bars(figures["memory"])),
        _section("Tensors", _tensors(report)),
        *_about(report, command),
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
    tiles = [
        (f"{report.model_bytes:,} bytes", "model"),
        (f"{report.arena_bytes:,} bytes", ", ".join(["arena", *filter(None, [report.arena_verdict.partition(":")[0]])])),
        (f"{len(figures['memory']['steps']) - 2}", "operators"),
    ]
    if report.analysis is not None:
        for name in report.analysis.outputs:
            layer = report.analysis.layer(name)
            what = "of the labels differ" if layer.labels else "signal to noise"
            tiles.append((percent(layer.accumulated) if layer.labels else decibels(layer.accumulated), f"{what} at {name}"))
    for output in report.outputs:
        if report.analysis is None:
            tiles.append((decibels_of(output.sqnr_db), f"signal to noise at {output.name}"))
        if output.same_class is not None:
            tiles.append((f"{100 * output.same_class:.1f}%", f"of {report.examples} examples: same class at {output.name}"))
    if report.accuracy is not None:
        accuracy = report.accuracy
        what = f"accuracy of {accuracy.examples} examples; in float {100 * accuracy.in_float:.1f}%"
        tiles.append((f"{100 * accuracy.quantized:.1f}%", what))
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
        sections.append(_section("Saturation", key + html_table(SATURATION, saturating, SATURATION[2:])))
    if promoted:
        key = '<p class="key">what 16 bits would give, in dB at the layer itself, and cost in bytes; the noisiest layer first</p>'
        sections.append(_section("16 bits instead of 8", key + html_table(PROMOTIONS, promoted, PROMOTIONS[1:])))
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


_LAYERS = ("layer", "operator", "kernel", "output", "flash", "MACs")


def _layers(core: str, costs: list[LayerCost]) -> str:
    """A row for each operator, and the sums."""
    timed = [cost.instructions for cost in costs if cost.instructions is not None]
    whole = sum(timed) if len(timed) == len(costs) else None
    header = (*_LAYERS, *(("instructions", "share") if timed else ()))
    rows = []
    for cost in costs:
        kind = f"{cost.kind}, its 0 stored as {cost.zero}" if cost.zero else cost.kind
        cells = [cost.layer, kind, cost.kernel, cost.output, f"{cost.flash:,}", f"{cost.macs:,}" if cost.macs else ""]
        if timed:
            cells.append("" if cost.instructions is None else f"{cost.instructions:,}")
            cells.append(f"{cost.instructions / whole:.0%}" if whole and cost.instructions is not None else "")
        rows.append(cells)
    sums = ["together", "", "", "", f"{sum(cost.flash for cost in costs):,}", f"{sum(cost.macs for cost in costs):,}"]
    rows.append([*sums, *((f"{whole:,}" if whole else "", "") if timed else ())])
    estimated = f"; instructions of an inference on {core}, estimated" if timed else ""
    key = f'<p class="key">flash: bytes of constants; MACs: multiply-accumulates, absent taps included{escape(estimated)}</p>'
    return key + html_table(header, rows, header[4:], total=True)


def _about(report: Report, command: str | None) -> list[str]:
    """How the report came about."""
    about = report.about
    if about is None:
        return []
    dataset = about.dataset and f"{about.dataset}{'' if about.examples is None else f' ({about.examples:,} examples)'}"
    options = ", ".join(f"{name} = {value}" for name, value in about.options.items())
    facts = {"command": command, "options": options, "dataset": dataset, "version": f"kerasq {about.version}", "date": about.date}
    terms = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return [_section("About", f'<dl class="about">{terms}</dl>')]


def _tensors(report: Report) -> str:
    """All but the saturation, which has a section."""
    parts, shown = [], [column for column, name in enumerate(COLUMNS) if name != "saturated"]
    names = [COLUMNS[column] for column in shown]
    for title, rows in (("activations", report.buffers), ("parameters", report.parameters)):
        content = html_table(names, [[row.cells()[column] for column in shown] for row in rows], NUMBERS)
        parts.append(f"<details><summary>{len(rows)} {title}</summary>{content}</details>")
    return "".join(parts)
