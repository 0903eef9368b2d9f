"""The pictures of the HTML report: inline SVG, and bars of plain HTML where these adapt better to a narrow screen."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from kerasq.rich import escape
from kerasq_convert.comparison.analysis_text import EMPTY_DB, FULL_DB, filled, layer_decibels, percent, share_percent
from kerasq_convert.comparison.layers import LITTLE, LayerError, Noise
from kerasq_convert.search.pareto import CurvePoint
from kerasq_convert.search.search import TradeOff


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = (), total: bool = False) -> str:
    """A table that scrolls where it is wider than the screen.

    Args:
        header: Names of the columns.
        rows: As many cells as the header, each.
        numbers: Names of columns that are aligned to the right.
        total: Whether the last row is a sum.
    """
    classes = [' class="number"' if name in numbers else "" for name in header]
    head = "".join(f"<th{style}>{escape(name)}</th>" for style, name in zip(classes, header, strict=True))
    body = ""
    for place, row in enumerate(rows):
        cells = "".join(f"<td{style}>{escape(cell)}</td>" for style, cell in zip(classes, row, strict=True))
        style = ' class="sum"' if total and place == len(rows) - 1 else ""
        body += f"<tr{style}>{cells}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def tip(text: str) -> str:
    """Attributes that show a text where the pointer is, or a finger."""
    return f'data-tip="{escape(text)}" tabindex="0"'


def error_bars(layers: list[LayerError]) -> str:
    """Two bars for each layer, with a mark at the rule of thumb."""
    mark = f"{100 * filled(Noise(LITTLE, 1.0)):.1f}"
    rows = []
    for layer in layers:
        storage = f"{percent(layer.storage)} differ" if layer.labels else layer_decibels(layer, layer.storage)
        about = f"{layer.name}: {layer.kind}; storage of its output alone {storage}"
        bars = "".join(
            f'<div class="bar {kind}"><i style="width:{100 * filled(noise):.1f}%"></i><b style="left:{mark}%"></b>'
            f"<span>{' · '.join(filter(None, (layer_decibels(layer, noise), percent(noise))))}</span></div>"
            for kind, noise in (("sum", layer.accumulated), ("own", layer.alone))
        )
        rows.append(f"<li {tip(about)}><span>{escape(layer.name)} <small>{escape(layer.format)}</small></span>{bars}</li>")
    return (
        f'<p class="key"><i class="sum"></i>accumulated up to here <i class="own"></i>of this layer alone &nbsp; SNR in dB and '
        f"noise in % of the signal; a bar is empty at {EMPTY_DB:g} dB and full at {FULL_DB:g} dB; the mark is at {LITTLE:.0%}</p>"
        f'<ul class="bars">{"".join(rows)}</ul><p class="tip">Point at, or tap, a layer.</p>'
    )


def distribution(row: dict[str, Any]) -> str:
    """A histogram before the grey band of what the format can hold."""
    start, width = row["start"], row["end"] - row["start"]
    count, top = len(row["counts"]), math.log1p(max(row["counts"], default=0)) or 1.0
    has_band = row["low"] is not None

    def x(value: float) -> float:
        return 320 * (value - start) / width

    band = ""
    if has_band:
        left, right = x(row["low"]), x(row["high"] + row["step"])
        band = f'<rect class="band" x="{left:.1f}" y="0" width="{max(right - left, 1):.1f}" height="72"/>'
    bars = ""
    for position, value in enumerate(row["counts"]):
        if value:
            height, middle = 70 * math.log1p(value) / top, start + (position + 0.5) * width / count
            beyond = has_band and not row["low"] - row["step"] / 2 <= middle < row["high"] + row["step"]
            place = f'x="{320 * position / count:.1f}" y="{72 - height:.1f}" width="{320 / count:.1f}" height="{height:.1f}"'
            bars += f'<rect class="{"beyond" if beyond else "inside"}" {place}/>'
    zero = f'<path class="zero" d="M{x(0):.1f} 0V72"/>' if start <= 0 <= row["end"] else ""
    facts = [f"{row['min']:.4g} .. {row['max']:.4g}" if row["min"] is not None else "no values"]
    if has_band:
        facts += [f"step {row['step']:.3g}", f"{share_percent(row['saturated'])} beyond"]
    facts.append(f"{share_percent(row['zeros'])} zeros")
    return (
        f'<figure class="spread"><figcaption>{escape(row["name"])} <small>{escape(row["format"])}</small></figcaption>'
        f'<svg viewBox="0 0 320 72" preserveAspectRatio="none" role="img" aria-label="distribution of {escape(row["name"])}">'
        f"{band}{bars}{zero}</svg>"
        f'<div class="ends"><span>{start:.4g}</span><span>{row["end"]:.4g}</span></div><p>{" · ".join(facts)}</p></figure>'
    )


def buffer_bars(memory: dict[str, Any]) -> str:
    """Bytes in use during each step, the peak marked."""
    arena = max(memory["arena_bytes"], 1)
    rows = []
    for position, step in enumerate(memory["steps"]):
        is_peak = position == memory["peak"]
        text = f"{step['in_use']:,} bytes{' · peak' if is_peak else ''}"
        bar = f'<i style="width:{100 * step["in_use"] / arena:.1f}%"></i><span>{text}</span>'
        name = f"<span>{escape(step['label'])} <small>{escape(step['kind'])}</small></span>"
        rows.append(f'<li>{name}<div class="bar {"top" if is_peak else "mem"}">{bar}</div></li>')
    return (
        f'<p class="key">bytes of activations in use; a full bar is the arena, {memory["arena_bytes"]:,} bytes</p>'
        f'<ul class="bars">{"".join(rows)}</ul>'
    )


def trade_off(points: list[TradeOff]) -> str:
    """Signal-to-noise ratio at the outputs, finite, over the bytes of model and arena."""
    sizes, ratios = [point.model_bytes + point.arena_bytes for point in points], [point.sqnr_db for point in points]
    key = "SNR at the outputs in dB over the bytes of model and arena together"
    return _curve(key, "trade-off curve", sizes, ratios, [_point(point) for point in points])


def pareto(points: list[CurvePoint]) -> str:
    """Signal-to-noise ratio at the outputs, finite, over the bytes of the model, the chosen network marked."""
    key = "SNR at the outputs in dB over the bytes of the model, for the best widths of kernels and buffers; ring: as written"
    sizes, ratios = [point.model_bytes for point in points], [point.sqnr_db for point in points]
    chosen = next((place for place, point in enumerate(points) if point.chosen), None)
    return _curve(key, "trade-off of size and noise", sizes, ratios, [_widths(point) for point in points], chosen)


def _curve(key: str, label: str, sizes: list[int], ratios: list[float], tips: list[str], chosen: int | None = None) -> str:
    """Ratios over sizes: a line with dots, one of them with a ring."""
    low, high, bottom, top = min(sizes), max(sizes), math.floor(min(ratios)), math.ceil(max(ratios))

    def place(size: int, ratio: float) -> tuple[float, float]:
        return 50 + 500 * (size - low) / max(high - low, 1), 200 - 180 * (ratio - bottom) / max(top - bottom, 1)

    where = [place(*pair) for pair in zip(sizes, ratios, strict=True)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in where)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {tip(text)}/>' for text, (x, y) in zip(tips, where, strict=True))
    if chosen is not None:
        x, y = where[chosen]
        dots += f'<circle class="chosen" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
    axis = f'<path class="axes" d="M50 10V200H560"/><text class="axis" x="44" y="24">{top} dB</text>'
    axis += f'<text class="axis" x="44" y="204">{bottom} dB</text><text class="from" x="50" y="218">{low:,} bytes</text>'
    axis += f'<text class="axis" x="560" y="218">{high:,} bytes</text>'
    return (
        f'<p class="key">{key}</p><div class="scroll">'
        f'<svg width="580" height="226" viewBox="0 0 580 226" role="img" aria-label="{label}">{axis}'
        f'<polyline class="curve" points="{line}"/>{dots}</svg></div><p class="tip">Point at, or tap, a dot.</p>'
    )


def _widths(point: CurvePoint) -> str:
    families = [format_.partition("_")[0] for format_ in point.formats.values()]
    counts = ", ".join(f"{families.count(family)} {family}" for family in sorted(set(families)))
    written = "as written: " if point.chosen else ""
    return f"{written}{point.sqnr_db:.1f} dB, model {point.model_bytes:,} bytes, arena {point.arena_bytes:,} bytes; {counts}"


def _point(point: TradeOff) -> str:
    accuracy = "" if point.accuracy is None else f", accuracy {point.accuracy:.2%}"
    sizes = f"model {point.model_bytes:,} bytes, arena {point.arena_bytes:,} bytes"
    return f"{point.promoted or 'nothing promoted'}: {point.sqnr_db:.1f} dB{accuracy}, {sizes}"
