"""Noise beside a signal."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass
class Noise:
    """Powers of a difference and of what it is measured against, summed up."""

    power: float = 0.0
    signal: float = 0.0

    def add(self, wanted: np.ndarray, measured: np.ndarray, zero: float = 0.0) -> None:
        """With `zero` the value that means 0: an offset is no signal."""
        self.power += float(np.sum((measured - wanted) ** 2))
        self.signal += float(np.sum((wanted - zero) ** 2))

    @property
    def share(self) -> float:
        """Noise : signal; infinite where only the noise is not zero."""
        if self.power == 0:
            return 0.0
        return self.power / self.signal if self.signal else math.inf

    @property
    def sqnr_db(self) -> float:
        """Signal : noise in dB; infinite without noise."""
        return -10 * math.log10(self.share) if 0 < self.share < math.inf else math.inf if self.share == 0 else -math.inf

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what is infinite, or not a number, is null. Of a ratio, the powers tell which."""
        ratio = {"noise_to_signal": finite(self.share), "sqnr_db": finite(self.sqnr_db)}
        return {"noise": finite(self.power), "signal": finite(self.signal), **ratio}


def finite(value: float) -> float | None:
    """A number as JSON has it: `null` for what is none, or infinite."""
    return value if math.isfinite(value) else None
