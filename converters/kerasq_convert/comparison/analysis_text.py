"""An analysis for the terminal: a bar for each layer's error, what saturates, and what 16 bits would do."""

from __future__ import annotations

import math

from kerasq.text import printable, table
from kerasq_convert.comparison.contributions import Contribution
from kerasq_convert.comparison.layers import LITTLE, Analysis, LayerError, Noise

WIDTH = 20  # of a bar, in characters
SATURATION = ("layer", "format", "beyond", "stored at the ends")
CONTRIBUTIONS = ("tensor", "noise at the outputs", "SNR of its own error")
ADDED = "what tensors add by themselves to the noise at the outputs, not what they inherit:"
PROMOTIONS = ("layer", "alone", "output", "arena bytes", "table bytes", "kernel", "model bytes", "both")
CONTRIBUTORS = 5  # tensors that are shown
COUNTING = 0.01  # of what all add: a tensor that adds less is not shown
FULL_DB, EMPTY_DB = 0.0, 60.0  # a bar is full where noise equals signal, and empty 60 dB below


def to_text(analysis: Analysis, contributions: list[Contribution] | None = None) -> str:
    """All of it, as a person reads it; contributions those of the analysis, unless others are known better."""
    contributions = analysis.contributions if contributions is None else contributions
    sections = [
        f"noise against the float network, {analysis.examples:,} examples (bars: {EMPTY_DB:g} dB empty, {FULL_DB:g} dB full):",
        _bars(analysis.layers),
        "",
        *verdict(analysis),
    ]
    saturated, promoted = saturation_rows(analysis), promotion_rows(analysis)
    if saturated:
        text = table(SATURATION, saturated, SATURATION[2:], "  ")
        sections += ["", "values beyond the ends of their formats:", text]
    if promoted:
        text = table(PROMOTIONS, promoted, PROMOTIONS[1:], "  ")
        sections += ["", "16 bits instead of 8, the noisiest layer first; dB at the layer itself:", text]
    if contributions:
        sections += ["", ADDED, contribution_table(contributions)]
    if analysis.unmatched:
        sections += ["", f"not in the float network: {', '.join(map(printable, analysis.unmatched))}"]
    return "\n".join(sections)


def verdict(analysis: Analysis) -> list[str]:
    """The outputs by the rule of thumb, and where the first large loss occurs."""
    lines = []
    for name in analysis.outputs:
        layer = analysis.layer(name)
        noise = layer.accumulated
        if layer.labels:
            lines.append(f"output {printable(name)}: {accumulated_share(layer)}")
            continue
        judgement = "under" if noise.share < LITTLE else "not under"
        lines.append(
            f"output {printable(name)}: {decibels(noise)}, {accumulated_share(layer)}: {judgement} {LITTLE:.0%}, "
            "the rule of thumb for little loss of accuracy"
        )
    first = analysis.first_loss
    if first is None:
        lines.append(f"no layer's accumulated noise exceeds {LITTLE:.0%} of its signal")
    else:
        accumulated = "" if first.labels else "accumulated "
        lines.append(f"first large loss: {printable(first.name)}, {accumulated}{accumulated_share(first)}")
    return lines


def accumulated_share(layer: LayerError) -> str:
    """What was lost up to a layer, in percent of what it is measured against."""
    share = percent(layer.accumulated)
    return f"{share} of the labels differ" if layer.labels else f"noise {share} of the signal"


def layer_decibels(layer: LayerError, noise: Noise) -> str:
    """One of a layer's noises; nothing of labels, whose number is no power."""
    return "" if layer.labels else decibels(noise)


def decibels(noise: Noise) -> str:
    return decibels_of(noise.sqnr_db)


def decibels_of(ratio: float) -> str:
    """A signal-to-noise ratio, infinite without noise, minus infinity without signal."""
    return f"{ratio:.1f} dB" if math.isfinite(ratio) else "exact" if ratio > 0 else "no signal"


def percent(noise: Noise) -> str:
    """Noise : signal."""
    return share_percent(noise.share)


def share_percent(share: float) -> str:
    """A share with two digits that count."""
    if share == 0 or math.isinf(share):
        return "0%" if share == 0 else "all"
    value = 100 * share
    return f"{value:,.0f}%" if value >= 10 else f"{value:.2g}%" if value >= 1e-3 else "<0.001%"


def filled(noise: Noise) -> float:
    """Share of the bar that a noise fills, 0 to 1."""
    return min(max((EMPTY_DB - noise.sqnr_db) / (EMPTY_DB - FULL_DB), 0.0), 1.0)


def _bars(layers: list[LayerError]) -> str:
    rows = []
    for layer in layers:
        cells = [printable(layer.name), layer.format]
        for noise in (layer.accumulated, layer.alone):
            cells += [layer_decibels(layer, noise), percent(noise), f"|{'#' * round(WIDTH * filled(noise)):{WIDTH}}|"]
        rows.append([*cells, layer_decibels(layer, layer.storage)])
    # Columns are known by their names: blanks tell those of the two measures apart.
    header = ("layer", "format", "SNR", "N:S", "accumulated", "SNR ", "N:S ", "alone", "storage")
    return table(header, rows, ("SNR", "N:S", "SNR ", "N:S ", "storage"), "  ")


def saturation_rows(analysis: Analysis) -> list[list[str]]:
    """Cells under `SATURATION`, the worst first."""
    return [
        [printable(layer.name), layer.format, share_percent(layer.saturated), share_percent(layer.at_limits)]
        for layer in analysis.saturating
    ]


def promotion_rows(analysis: Analysis) -> list[list[str]]:
    """Cells under `PROMOTIONS`, the noisiest layer first."""
    rows = []
    for layer in sorted(analysis.layers, key=lambda layer: layer.alone.share, reverse=True):
        by_part = {promotion.what: promotion for promotion in layer.promotions}
        if not by_part or layer.alone.share == 0:
            continue
        output, kernel, both = (by_part.get(what) for what in ("output", "kernel", "both"))
        rows.append(
            [
                printable(layer.name),
                decibels(layer.alone),
                _gain(output.gain_db(layer.alone)) if output else "",
                f"{output.arena_bytes:+,}" if output else "",
                f"{output.model_bytes:+,}" if output and output.model_bytes else "",
                _gain(kernel.gain_db(layer.alone)) if kernel else "",
                f"{kernel.model_bytes:+,}" if kernel else "",
                _gain(both.gain_db(layer.alone)) if both else "",
            ]
        )
    return rows


def contribution_rows(contributions: list[Contribution]) -> list[list[str]]:
    """Cells under `CONTRIBUTIONS`, the greatest effect first, as far as that counts."""
    measured = [(one, one.effect) for one in contributions if one.effect is not None]
    least = COUNTING * sum(effect for _, effect in measured)
    counting = [(one, effect) for one, effect in measured if effect and effect >= least][:CONTRIBUTORS]
    return [[printable(one.name), share_percent(effect), decibels(one.added)] for one, effect in counting]


def contribution_table(contributions: list[Contribution]) -> str:
    """The same as text."""
    return table(CONTRIBUTIONS, contribution_rows(contributions), CONTRIBUTIONS[1:], "  ")


def _gain(gain: float) -> str:
    return "exact" if math.isinf(gain) else f"{gain:+.1f} dB"
