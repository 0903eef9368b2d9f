"""One operator of a quantized network: the integers of its kernel learned, and whether other fractional bits would be better."""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq_convert.tuning.moments import Moments
from kerasq_convert.tuning.rounding import Grid, learn
from kerasq_convert.tuning.weighted import Weighted

POSITIONS = (-1, 1, 2)  # fractional bits more that a kernel may get
WORTHWHILE = 0.95  # of the noise : signal of its channels, that another position must not exceed


@dataclasses.dataclass(frozen=True)
class Freedom:
    """What may be learned of a kernel.

    Attributes:
        partners, pair: As of a `Grid`.
        position: Whether its fractional bits are free, too.
    """

    partners: np.ndarray | None = None
    pair: int = 0
    position: bool = False


@dataclasses.dataclass(frozen=True)
class Learned:
    """What was learned of an operator.

    Attributes:
        integers: Its kernel's, (groups, rows, columns).
        position: How many fractional bits more would be better.
    """

    integers: np.ndarray
    position: int


def learn_layer(weighted: Weighted, moments: Moments, wanted: np.ndarray, freedom: Freedom) -> Learned:
    """Learns the kernel of an operator, and which position would be best for it.

    Args:
        weighted: The operator, its kernel rounded.
        moments: Of what it reads and should give.
        wanted: The float network's weights, (groups, rows, columns). Those that are zero stay zero.
        freedom: What may be learned.
    """
    rounded, step, format_ = weighted.integers, weighted.step, weighted.kernel.format
    problem = moments.problem(wanted)
    is_fixed = (wanted == 0) | (step == 0)[:, :, None]
    low, high = np.where(is_fixed, rounded, format_.min_int), np.where(is_fixed, rounded, format_.max_int)
    grid = Grid(np.where(step == 0, 1.0, step), low, high, freedom.partners, freedom.pair)
    learned = learn(problem, grid)
    before, after = (moments.noise(integers * step[:, :, None]) for integers in (rounded, learned))
    integers = np.where((after < before)[:, :, None], learned, rounded)
    best, position = WORTHWHILE * _relative(np.minimum(before, after), moments), 0
    for candidate in POSITIONS if freedom.position else ():
        moved = dataclasses.replace(grid, step=grid.step * 2.0**-candidate)
        share = _relative(moments.noise(learn(problem, moved) * moved.step[:, :, None]), moments)
        if share < best:
            best, position = share, candidate
    return Learned(integers, position)


def _relative(noise: np.ndarray, moments: Moments) -> float:
    """Noise : signal, summed over channels: the small ones count as much, for what follows may scale them up again."""
    heard = moments.tt > 0
    return float(np.sum(noise[heard] / moments.tt[heard]))
