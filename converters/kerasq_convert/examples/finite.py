"""Examples must be finite: which array, and which of its rows, hold what is not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SHOWN = 5  # rows of an array that are named, the rest is counted


class Finite:
    """Looks for NaN, infinities and what overflows float32, batch after batch.

    Args:
        names: Of the arrays, in their order.
    """

    def __init__(self, names: list[str]):
        self._rows: dict[str, list[int]] = {name: [] for name in names}
        self._counts: dict[str, dict[str, int]] = {name: {} for name in names}

    def add(self, arrays: list[np.ndarray], first: int) -> None:
        """A batch whose first example is row `first` of the whole dataset."""
        for name, array in zip(self._rows, arrays, strict=True):
            with np.errstate(over="ignore"):
                usable = np.isfinite(array.astype(np.float32))
            if usable.all():
                continue
            self._rows[name] += (first + np.flatnonzero(~usable.reshape(len(array), -1).all(axis=1))).tolist()
            unusable, counts = array[~usable], self._counts[name]
            kinds = {"NaN": np.isnan(unusable), "infinite": np.isinf(unusable), "beyond float32": np.isfinite(unusable)}
            for kind, which in kinds.items():
                counts[kind] = counts.get(kind, 0) + int(np.count_nonzero(which))

    def problems(self) -> Iterator[str]:
        """A sentence for each array that holds anything of the kind."""
        for name, rows in self._rows.items():
            if rows:
                values = ", ".join(f"{count} {kind}" for kind, count in self._counts[name].items() if count)
                more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
                where = f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:SHOWN]))}{more} (counted from 0)"
                yield f"{name} must hold finite numbers only: {values}, in {where}; leave these examples out, or repair them"
