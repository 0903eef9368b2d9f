"""The memory map of the HTML report: boxes whose places are percentages, so that the picture is as wide as there is room."""

from __future__ import annotations

from typing import Any

from kerasq.rich import escape
from kerasq_convert.report.html_figures import tip
from kerasq_convert.report.report import Report

COLORS = 8  # of tensors, classes c0 to c7 of the style sheet
HEIGHT = 320  # of the arena, in pixels, as the style sheet has it
LINE = 15  # that a name needs


def memory_section(memory: dict[str, Any], report: Report) -> str:
    """The arena from top to bottom, the operators from left to right; what the plan is worth.

    Args:
        memory: As `kerasq_convert.report.figures.memory_map` gives it.
        report: With the bound, and the verdict on the plan.
    """
    steps, arena = memory["steps"], max(memory["arena_bytes"], 1)
    count = len(steps)
    boxes = [_box("peak", memory["peak"], 1, 0, arena, count, arena)]
    for order, tensor in enumerate(memory["tensors"]):
        boxes.append(_tensor(tensor, memory["tensors"], f"tensor c{order % COLORS}", count, arena))
    for place in memory["shared"]:
        about = f"{place['bytes']:,} bytes at {place['offset']:,} belong to {' and '.join(place['names'])} at once"
        boxes.append(_box("shared", place["step"], 1, place["offset"], place["bytes"], count, arena, tip(about)))
    axis = "".join(f'<span class="axis" style="top:{100 * size / arena:.2f}%">{size:,}</span>' for size in (0, arena // 2, arena))
    labels = "".join(_step(step, position == memory["peak"]) for position, step in enumerate(steps))
    return (
        '<p class="key">bytes of the arena from top to bottom, operators from left to right; red: the most bytes in use; '
        "hatched: bytes that two tensors hold at once (in place, or an output that follows its input)</p>"
        f'<div class="scroll"><div class="map" style="--steps:{count}"><div class="arena">{axis}{"".join(boxes)}</div>'
        f'<div class="steps">{labels}</div></div></div><p class="tip">Point at, or tap, a tensor.</p>{_worth(memory, report)}'
    )


def _worth(memory: dict[str, Any], report: Report) -> str:
    """What the bound is, and how near the arena comes to it."""
    step, bound = memory["steps"][memory["peak"]], report.arena_lower_bound
    gap = report.arena_bytes - bound
    reached = (
        "The arena has no more, so no placement is better: it is optimal for this order of operators"
        if gap <= 0
        else f"The arena has {gap:,} bytes more: tensors of different lifetimes leave gaps, and no better placement turned up"
    )
    in_short = f"In short: {escape(report.arena_verdict)}." if report.arena_verdict else ""
    return (
        f"<p>The most bytes are in use at {escape(step['label'])}. In this order of operators {bound:,} bytes are needed, "
        f"wherever tensors lie: that is the bound. {reached}. {in_short}</p>"
    )


def _tensor(tensor: dict[str, Any], tensors: list[dict[str, Any]], name: str, count: int, arena: int) -> str:
    end = tensor["offset"] + tensor["bytes"]
    about = f"{tensor['name']}: {tensor['format']}, {tensor['bytes']:,} bytes at {tensor['offset']:,}..{end:,}"
    columns = tensor["last"] - tensor["first"] + 1
    label = ""
    if HEIGHT * tensor["bytes"] / arena >= LINE:
        room = 100 * _room(tensor, tensors, arena) / columns
        label = f'<span style="width:{room:.2f}%">{escape(tensor["name"])}</span>'
    place = (tensor["first"], columns, tensor["offset"], tensor["bytes"])
    return _box(name, *place, count, arena, tip(about), label)


def _room(tensor: dict[str, Any], tensors: list[dict[str, Any]], arena: int) -> int:
    """Columns that the name of a tensor has before another tensor begins over it."""
    low, high = tensor["offset"], tensor["offset"] + arena * LINE / HEIGHT
    over = (
        other["first"]
        for other in tensors
        if tensor["first"] < other["first"] <= tensor["last"]
        and other["offset"] < high
        and low < other["offset"] + max(other["bytes"], arena / HEIGHT)
    )
    return min(over, default=tensor["last"] + 1) - tensor["first"]


def _step(step: dict[str, Any], is_peak: bool) -> str:
    about = f"{step['kind']} {step['label']}: {step['in_use']:,} bytes in use"
    mark = ' class="mark"' if is_peak else ""
    return f"<span{mark} {tip(about)}>{escape(step['label'])}</span>"


def _box(
    name: str,
    column: int,
    columns: int,
    offset: int,
    size: int,
    count: int,
    arena: int,
    attributes: str = "",
    content: str = "",
) -> str:
    """A box of so many columns of `count`, and so many bytes of the arena."""
    left, wide = 100 * column / count, 100 * columns / count
    top, tall = 100 * offset / arena, 100 * size / arena
    place = f"left:{left:.3f}%;width:{wide:.3f}%;top:{top:.2f}%;height:{tall:.2f}%"
    return f'<div class="{name}" style="{place}" {attributes}>{content}</div>'
