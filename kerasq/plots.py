"""Pictures of a network: what its activations need against what their formats can hold, and where its memory goes.

The functions return a `matplotlib.figure.Figure`; `figure.savefig("ranges.png")` writes it. No window is opened, and
matplotlib's global state is left alone. matplotlib comes with the extra `plot`: `pip install "kerasq[plot]"`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kerasq.format.model import Model
from kerasq.histogram import BINS, Histogram
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq.verification.plan import aligned, profile, savings

_ROW = 0.24  # inches
_BAND, _BOX, _LINE, _MAXIMUM = "#d9d9d9", "#4477aa", "#222222", "#cc3311"


def plot_ranges(statistics: Statistics, model: Model) -> Any:
    """The magnitudes of each activation, and the range of the format it is stored in, on a binary logarithmic axis.

    A row per tensor in execution order: the grey band reaches from one step of the format to its largest value; the box holds
    the middle half of the magnitudes other than zero, the line 1 to 99 % of them, the dot is the largest. What sticks
    out on the right saturates; what sticks out on the left by more than one power of two rounds to zero; an empty part of the
    band on the right is a bit given away. FLOAT32 tensors have no band.

    Args:
        statistics: Statistics of the network's activations, by the names of the model's tensors.
        model: The converted network.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The statistics name none of the model's activations.
    """
    rows = [(t.name, t.format, statistics[t.name]) for t in model.activations() if t.name in statistics]
    if not rows:
        raise ValueError(
            "The statistics name none of the model's activations: they belong to another network. Received: statistics of "
            f"{list(statistics)[:5]}..., activations {[tensor.name for tensor in model.activations()][:5]}..."
        )
    figure = _figure(width=9, height=1.6 + _ROW * len(rows))
    axes = figure.add_subplot()
    for row, (_, qformat, histogram) in enumerate(rows):
        _plot_row(axes, row, qformat, histogram)
    axes.set_xscale("log", base=2)
    axes.set_yticks(range(len(rows)), [f"{name}   {qformat}" for name, qformat, _ in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("magnitude")
    axes.set_title("Activations against the formats that hold them")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    handles = [
        axes.barh(0, 0, color=_BAND, label="format: step to largest value"),
        axes.barh(0, 0, color=_BOX, label="middle half of the values"),
        axes.plot([], [], color=_LINE, linewidth=1, label="1 to 99 %")[0],
        axes.plot([], [], "o", color=_MAXIMUM, markersize=3, label="largest")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _plot_row(axes: Any, row: int, qformat: QFormat, histogram: Histogram) -> None:
    if qformat.is_fixed:
        axes.barh(row, qformat.max - qformat.step, left=qformat.step, height=0.86, color=_BAND)
    if histogram.count == histogram.zeros:
        return
    low, first, third, high = magnitude_percentiles(histogram, (1, 25, 75, 99))
    axes.hlines(row, low, high, color=_LINE, linewidth=1)
    axes.barh(row, third - first, left=first, height=0.5, color=_BOX)
    axes.plot(max(-histogram.min, histogram.max), row, "o", color=_MAXIMUM, markersize=3)


def magnitude_percentiles(histogram: Histogram, percentages: tuple[float, ...]) -> list[float]:
    """Percentiles of the magnitudes of all values but the exact zeros, linear within a bin; at least half a bin wide."""
    half = BINS // 2
    counts = histogram.bins[half:] + histogram.bins[half - 1 :: -1]
    ends = np.cumsum(counts)
    edges = np.arange(half + 1) * histogram.bin_width
    edges[0] = histogram.bin_width / 2  # nothing smaller is told apart, and a logarithm needs an end
    result = []
    for percentage in percentages:
        rank = percentage / 100 * ends[-1]
        index = int(np.searchsorted(ends, rank))
        share = 1 - (ends[index] - rank) / max(int(counts[index]), 1)
        result.append(float(edges[index] + share * (edges[index + 1] - edges[index])))
    return [min(value, max(-histogram.min, histogram.max)) for value in result]


def plot_buffers(model: Model) -> Any:
    """The bytes of activations that must be kept during each operator, one colour per tensor, with the peak marked.

    Sizes are rounded up to the arena's alignment, as they lie in it. The dashed line is the size of the arena: where it touches
    the peak, no better plan exists for this order of operators.

    Args:
        model: A converted network.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    totals = profile(model)
    figure = _figure(width=max(6.0, 2.5 + 0.22 * len(totals)), height=5)
    axes = figure.add_subplot()
    for segment in _segments(model):
        color = f"C{segment.order % 10}"
        axes.bar(segment.position, segment.height, bottom=segment.bottom, width=1.0, color=color, edgecolor="white")
    peak = int(np.argmax(totals))
    axes.annotate(
        f"peak {totals[peak]:,} bytes",
        (peak - 1, totals[peak]),
        xytext=(0, 12),
        textcoords="offset points",
        ha="center",
        color=_MAXIMUM,
        arrowprops={"arrowstyle": "->", "color": _MAXIMUM},
    )
    axes.axhline(model.arena_bytes, color=_LINE, linestyle="--", linewidth=1, label=f"arena {model.arena_bytes:,} bytes")
    labels = ["inputs", *(model.output(operator).name for operator in model.operators), "outputs"]
    axes.set_xticks(range(-1, len(labels) - 1), labels, rotation=90, fontsize=7)
    axes.set_xlim(-1.6, len(labels) - 1.4)
    axes.set_ylim(0, 1.18 * max(*totals, model.arena_bytes, 1))
    axes.set_ylabel("bytes kept")
    axes.set_title("Buffers over the execution order")
    axes.legend(loc="upper right", fontsize=8, frameon=False)
    return figure


@dataclasses.dataclass(frozen=True)
class _Segment:
    """What one tensor adds to the bar of one operator."""

    order: int  # of the tensor among the activations: neighbours in time differ in colour
    position: int
    bottom: int
    height: int


def _segments(model: Model) -> list[_Segment]:
    """The segments of all bars, from -1 (before the first operator) to the number of operators (after the last)."""
    spans = model.lifetimes()
    saved = savings(model, spans)
    segments = []
    for position in range(-1, len(model.operators) + 1):
        inside = 0 <= position < len(model.operators)
        bottom = 0
        for order, (index, (first, last)) in enumerate(spans.items()):
            if first <= position <= last:
                height = aligned(model.tensors[index].nbytes, model.arena_alignment)
                if inside and index in model.operators[position].outputs:
                    height -= saved[position]  # what lies over the inputs
                segments.append(_Segment(order, position, bottom, height))
                bottom += height
    return segments


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib, which is not installed: pip install 'kerasq[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained", dpi=120)
