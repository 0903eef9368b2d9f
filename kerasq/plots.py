"""Pictures of a network: what its activations need against what their formats can hold, and where its memory goes.

The functions return a `matplotlib.figure.Figure`; `figure.savefig("ranges.png")` writes it. No window is opened, and
matplotlib's global state is left alone. matplotlib comes with the extra `plot`: `pip install "kerasq[plot]"`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model
from kerasq.histogram import BINS, Histogram
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq.verification.plan import aligned, profile, savings

_ROW = 0.24  # inches
_TICKS = 10  # at most, on the axis of buffers
_BAND, _BOX, _LINE, _MAXIMUM = "#d9d9d9", "#4477aa", "#222222", "#cc3311"


def plot_ranges(statistics: Statistics, model: Model) -> Any:
    """The magnitudes of each activation and kernel, and the range of the format it is stored in, on a binary logarithmic axis.

    A row per tensor in execution order: the grey band reaches from one step of the format to its largest value; the box holds
    the middle half of the magnitudes other than zero, the line 1 to 99 % of them, the dot is the largest. What sticks
    out on the right saturates; what sticks out on the left by more than one power of two rounds to zero; an empty part of the
    band on the right is a bit given away. FLOAT32 tensors have no band. Below activations, as they were observed, are kernels, as
    they are stored, but for those of one bit; a multiplier per channel is not part of them.

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
    parts = {"Activations against the formats that hold them": rows, "Kernels": kernel_histograms(model)}
    parts = {title: part for title, part in parts.items() if part}
    counts = [len(part) for part in parts.values()]
    figure = _figure(width=9, height=0.8 + sum(0.8 + _ROW * count for count in counts))
    panels = figure.subplots(len(parts), squeeze=False, height_ratios=counts)[:, 0]
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        _plot_rows(axes, part, title)
    axes = panels[0]
    handles = [
        axes.barh(0, 0, color=_BAND, label="format: step to largest value"),
        axes.barh(0, 0, color=_BOX, label="middle half of the values"),
        axes.plot([], [], color=_LINE, linewidth=1, label="1 to 99 %")[0],
        axes.plot([], [], "o", color=_MAXIMUM, markersize=3, label="largest")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def kernel_histograms(model: Model) -> list[tuple[str, QFormat, Histogram]]:
    """Name, format and stored values of the kernels of all operators, each once, in the order of the file; but not of one bit."""
    indices = {ops.operand_index(operator, "kernel") for operator in model.operators} - {ABSENT}
    rows = []
    for tensor in (model.tensors[index] for index in sorted(indices)):
        if tensor.is_constant and not tensor.format.is_sign:
            histogram = Histogram()
            histogram.add(tensor.values)
            rows.append((tensor.name, tensor.format, histogram))
    return rows


def _plot_rows(axes: Any, rows: list[tuple[str, QFormat, Histogram]], title: str) -> None:
    for row, (_, qformat, histogram) in enumerate(rows):
        _plot_row(axes, row, qformat, histogram)
    axes.set_xscale("log", base=2)
    axes.set_yticks(range(len(rows)), [f"{name}   {qformat}" for name, qformat, _ in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("magnitude")
    axes.set_title(title)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)


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
    """The KiB of activations that must be kept during each operator, one colour per tensor, with the peak marked.

    Sizes are rounded up to the arena's alignment, as they lie in it. The dashed line is the size of the arena: where it touches
    the peak, no better plan exists for this order of operators. The legend names what is kept at the peak.

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
    peak, at_peak = int(np.argmax(totals)), []
    for segment in _segments(model):
        color = f"C{segment.order % 10}"
        bar = axes.bar(segment.position, segment.height, bottom=segment.bottom, width=1.0, color=color, edgecolor="white")
        if segment.position == peak - 1 and segment.height:
            bar.set_label(f"{segment.name}, {_kibibytes(segment.height)}")
            at_peak.append(bar)
    axes.annotate(
        f"peak {_kibibytes(totals[peak])}",
        (peak - 1, totals[peak]),
        xytext=(0, 12),
        textcoords="offset points",
        ha="left" if 2 * peak < len(totals) else "right",
        color=_MAXIMUM,
        arrowprops={"arrowstyle": "->", "color": _MAXIMUM},
    )
    arena = axes.axhline(
        model.arena_bytes, color=_LINE, linestyle="--", linewidth=1, label=f"arena {_kibibytes(model.arena_bytes)}"
    )
    labels = ["inputs", *(model.output(operator).name for operator in model.operators), "outputs"]
    axes.set_xticks(range(-1, len(labels) - 1), labels, rotation=90, fontsize=7)
    axes.set_xlim(-1.6, len(labels) - 1.4)
    top = 1.18 * max(*totals, model.arena_bytes, 1)
    step = 2 ** math.ceil(math.log2(top / _TICKS))
    ticks = range(0, int(top) + 1, step)
    axes.set_ylim(0, top)
    axes.set_yticks(ticks, [f"{tick / 1024:g}" for tick in ticks])
    axes.set_ylabel("KiB kept")
    axes.set_title("Buffers over the execution order")
    axes.legend(handles=[arena], loc="upper right", fontsize=8, frameon=False)
    figure.legend(handles=at_peak, title="kept at the peak", loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _kibibytes(size: int) -> str:
    """`1,234 bytes (1.21 KiB)`; bytes alone where they are few."""
    return f"{size:,} bytes" + (f" ({size / 1024:.3g} KiB)" if size >= 1024 else "")


@dataclasses.dataclass(frozen=True)
class _Segment:
    """What one tensor adds to the bar of one operator."""

    name: str
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
                segments.append(_Segment(model.tensors[index].name, order, position, bottom, height))
                bottom += height
    return segments


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib, which is not installed: pip install 'kerasq[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained", dpi=120)
