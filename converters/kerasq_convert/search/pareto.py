"""The trade-off of a file's size and the noise at the outputs: for sizes from the smallest to the largest, the best widths."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from kerasq.format import Model
from kerasq.progress import Progress
from kerasq_convert.search.knapsack import Problem, solve
from kerasq_convert.search.table import Meter, Table

LIMITS = 24  # sizes that are looked at


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """A network of the trade-off.

    Attributes:
        sqnr_db: Signal-to-noise ratio at the outputs, over all examples that searches look at.
        model_bytes, arena_bytes: Sizes of the file and of the arena.
        instructions: Of an inference, where they are limited.
        formats: Of the tensors that could have had another width, by name.
        chosen: Whether it is the network that was written.
    """

    sqnr_db: float
    model_bytes: int
    arena_bytes: int
    instructions: int | None
    formats: dict[str, str]
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; a ratio without noise is null."""
        return dataclasses.asdict(self) | {"sqnr_db": self.sqnr_db if math.isfinite(self.sqnr_db) else None}


def curve(meter: Meter, table: Table, *, verbose: bool) -> list[CurvePoint]:
    """Networks of which none is larger and noisier than another, the smallest first.

    Args:
        meter: Measures networks.
        table: The additive model, by which widths for a size are chosen.
        verbose: Whether to show progress.
    """
    costs = [sizes[:1] for sizes in table.sizes]
    choices: dict[tuple[int, ...], None] = {}
    for limit in _limits(table):
        least = solve(Problem(table.priced(0.0), costs, np.array([limit]))).value
        if not np.isfinite(least):
            continue
        solution = solve(Problem(table.priced(least), costs, np.array([limit])))
        choices |= {} if solution.choice is None else {solution.choice: None}
    points = []
    with Progress("measuring the trade-off", len(choices), "networks", enabled=verbose) as progress:
        for choice in choices:
            widths = table.widths(choice)
            sizes = meter.sizes(widths)
            if sizes is not None:
                emitted = meter.corrected(widths)
                formats = {emitted.name(role): str(emitted.formats[role].format) for role in widths}
                noise = meter.noise(emitted.model)
                points.append(
                    CurvePoint(
                        _decibels(noise),
                        sizes["max_model_bytes"],
                        sizes["max_arena_bytes"],
                        sizes.get("max_instructions"),
                        formats,
                    )
                )
            progress.advance(1)
    return undominated(points)


def undominated(points: Collection[CurvePoint]) -> list[CurvePoint]:
    """Those that no other one is as small and as good as, and the chosen one; the smallest first."""
    kept: list[CurvePoint] = []
    best = -math.inf
    for point in sorted(points, key=lambda point: (point.model_bytes, -point.sqnr_db)):
        if point.sqnr_db > best or point.chosen:
            kept.append(point)
        best = max(best, point.sqnr_db)
    return kept


def with_chosen(points: list[CurvePoint], sqnr_db: float, sizes: dict[str, int], model: Model) -> list[CurvePoint]:
    """The trade-off with the network that is written, of those sizes, in its place."""
    names = {name for point in points for name in point.formats}
    formats = {tensor.name: str(tensor.format) for tensor in model.tensors if tensor.name in names}
    chosen = _point(sqnr_db, sizes, formats, chosen=True)
    return undominated([*(point for point in points if point.formats != formats), chosen])


def _point(sqnr_db: float, sizes: dict[str, int], formats: dict[str, str], *, chosen: bool = False) -> CurvePoint:
    taken = sizes["max_model_bytes"], sizes["max_arena_bytes"], sizes.get("max_instructions")
    return CurvePoint(sqnr_db, *taken, formats, chosen)


def _limits(table: Table) -> Iterator[float]:
    """Changes of the size, from the least that there can be to that of the least noise, by equal ratios."""
    base = table.centre.sizes["max_model_bytes"]
    least = sum(float(np.min(sizes[0][np.isfinite(noise)])) for sizes, noise in zip(table.sizes, table.noise, strict=True))
    most = sum(float(sizes[0][int(np.argmin(noise))]) for sizes, noise in zip(table.sizes, table.noise, strict=True))
    yield from (size - base for size in np.geomspace(base + least, base + max(most, least), LIMITS))


def _decibels(noise: float) -> float:
    return -10 * math.log10(noise) if noise else math.inf
