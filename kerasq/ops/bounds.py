"""The result of the accumulator proof (NUMERICS.md section 3): how large sums can become, and the accumulator that this takes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Largest magnitudes that an integer operator can reach, exactly, over all channels and all inputs of its format.

    Attributes:
        accumulator: A of NUMERICS.md: no partial sum is larger, in whatever order it is formed.
        total: T: the same after the multiplier, the bias and the rounding half. `None` where an operator has no such
            second stage; then the rounding half is in `accumulator`.
    """

    accumulator: int
    total: int | None = None

    @property
    def largest(self) -> int:
        """The larger of the two."""
        return max(self.accumulator, self.total or 0)


def width(bound: int) -> int | None:
    """Bits of the narrowest accumulator, 32 or 64, that holds magnitudes up to `bound`; `None` where neither does."""
    if bound < 1 << 31:
        return 32
    return 64 if bound < 1 << 63 else None
