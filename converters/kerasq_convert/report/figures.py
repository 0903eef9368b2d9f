"""What the pictures of a report show, as plain values for JSON: distributions of tensors, and the arena over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq.format.model import Model
from kerasq.histogram import BINS, Histogram
from kerasq.plots import kernel_histograms
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq.verification.plan import lower_bound

BARS = 64  # of a distribution


def figures(model: Model, statistics: Statistics | None) -> dict[str, Any]:
    """The values of all pictures.

    Args:
        model: A converted network with its memory plan.
        statistics: What was observed of its activations in float, if anything was.

    Returns:
        `activations` and `kernels`, lists of `distribution`s; `memory`, as `memory_map` gives it.
    """
    observed = statistics if statistics is not None else Statistics()
    activations = [(t.name, t.format, observed[t.name]) for t in model.activations() if t.name in observed]
    return {
        "activations": [distribution(*row) for row in activations],
        "kernels": [distribution(*row) for row in kernel_histograms(model)],
        "memory": memory_map(model),
    }


def distribution(name: str, format_: QFormat, histogram: Histogram) -> dict[str, Any]:
    """Values of a tensor against the range of its format.

    Returns:
        `name`, `format`; `low`, `high` and `step` of the format (null for FLOAT32); `min`, `max` of the values; shares of
        `zeros` and of `saturated` values; `start`, `end` of the bars and their `counts`, exact zeros left out.
    """
    is_fixed = format_.is_fixed
    ends = [value for value in (histogram.min, histogram.max) if histogram.count]
    if is_fixed:
        ends += [format_.min, format_.max + format_.step]  # what is stored reaches half a step around each value
    start, end = (min(ends), max(ends)) if ends else (0.0, 1.0)
    if start == end:
        start, end = start - 0.5, end + 0.5
    centres = (np.arange(BINS) - BINS // 2 + 0.5) * histogram.bin_width
    places = np.clip((centres - start) / (end - start) * BARS, 0, BARS - 1).astype(int)
    counts = np.bincount(places, weights=histogram.bins, minlength=BARS).astype(int)
    return {
        "name": name,
        "format": str(format_),
        "low": format_.min if is_fixed else None,
        "high": format_.max if is_fixed else None,
        "step": format_.step if is_fixed else None,
        "min": histogram.min if histogram.count else None,
        "max": histogram.max if histogram.count else None,
        "zeros": histogram.zeros / histogram.count if histogram.count else 0.0,
        "saturated": histogram.saturated_share(format_) if is_fixed else 0.0,
        "start": start,
        "end": end,
        "counts": counts.tolist(),
    }


def memory_map(model: Model) -> dict[str, Any]:
    """Which activation lies where in the arena, and when.

    Returns:
        `arena_bytes`, `lower_bound`; `steps`: what runs, the inputs' arrival before and the outputs' end after it, each with
        its `label`, `kind` and `in_use`, the bytes in use; `peak`: the step with the most; `tensors`: `name`, `format`,
        `offset`, `bytes`, and `first` and `last` step; `shared`: places that two tensors hold in the same step: `names`,
        `offset`, `bytes`, `step`.
    """
    spans = model.lifetimes()
    tensors: list[dict[str, Any]] = []
    for index, (first, last) in spans.items():
        tensor = model.tensors[index]
        place = {"offset": tensor.offset or 0, "bytes": tensor.nbytes, "first": first + 1, "last": last + 1}
        tensors.append({"name": tensor.name, "format": str(tensor.format), **place})
    steps = [{"label": "inputs", "kind": "inputs"}]
    steps += [{"label": model.output(operator).name, "kind": str(operator.kind)} for operator in model.operators]
    steps += [{"label": "outputs", "kind": "outputs"}]
    shared: list[dict[str, Any]] = []
    in_use = []
    for step in range(len(steps)):
        alive = sorted((t for t in tensors if t["first"] <= step <= t["last"]), key=lambda t: t["offset"])
        in_use.append(_covered(alive))
        shared += [{**place, "step": step} for place in _shared(alive)]
    return {
        "arena_bytes": model.arena_bytes,
        "lower_bound": lower_bound(model),
        "steps": [{**step, "in_use": size} for step, size in zip(steps, in_use, strict=True)],
        "peak": int(np.argmax(in_use)),
        "tensors": tensors,
        "shared": shared,
    }


def _covered(alive: list[dict[str, Any]]) -> int:
    """Bytes of the arena that belong to any of some tensors, sorted by offset."""
    total = end = 0
    for tensor in alive:
        stop = tensor["offset"] + tensor["bytes"]
        total += max(stop - max(tensor["offset"], end), 0)
        end = max(end, stop)
    return total


def _shared(alive: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bytes that two tensors, sorted by offset, hold at once: an operator works in place, or its output follows its input."""
    places = []
    for position, one in enumerate(alive):
        for other in alive[position + 1 :]:
            size = min(one["offset"] + one["bytes"], other["offset"] + other["bytes"]) - other["offset"]
            if size > 0:
                places.append({"names": [one["name"], other["name"]], "offset": other["offset"], "bytes": size})
    return places
