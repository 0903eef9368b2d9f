"""A tensor's row in reports."""

from __future__ import annotations

import dataclasses

COLUMNS = ("name", "shape", "format", "range", "saturated", "bytes", "why")
NUMBERS = ("saturated", "bytes")


@dataclasses.dataclass(frozen=True)
class TensorRow:
    """One tensor of the report. Ranges and saturation are of what was observed (buffers) or is stored (parameters).

    `settable` tells whether settings may name it: not what the converter makes for itself, as the table of a function.
    `automatic` is the format that it would have without settings, where one is chosen for it.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    reason: str
    low: float | None
    high: float | None
    saturated: float | None
    nbytes: int
    settable: bool
    automatic: str | None = None

    def cells(self) -> list[str]:
        """Its texts for `COLUMNS`."""
        span = "" if self.low is None else f"{self.low:.4g} .. {self.high:.4g}"
        saturated = "" if self.saturated is None else f"{100 * self.saturated:.3f}%"
        shape = "x".join(map(str, self.shape))
        return [self.name, shape, self.format, span, saturated, f"{self.nbytes:,}", self.reason]
