"""One operator of a quantized network: its kernel learned, with the sizes of its channels and the position of its integers.

A channel's integers and its multiplier depend on each other. For a few multipliers around the one that it has, integers are
learned, then the multiplier that is best for them,

    m = (q·H·vT) / (q·H·qT)    of the quadratic form in rounding.py,

then integers again; the best of all is taken. Where a kernel has no multipliers, the same is done with fractional bits, for all
channels together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from kerasq_convert.tuning.moments import Moments
from kerasq_convert.tuning.rounding import Grid, Problem, descend, learn
from kerasq_convert.tuning.weighted import Weighted

FACTORS = (1.0, 0.85, 1.15)  # of multipliers, that are begun with
REFITS = 2  # of a multiplier and its integers
POSITIONS = (-1, 1, 2)  # fractional bits more that a kernel may get
WORTHWHILE = 0.95  # of the noise : signal of its channels, that another position must not exceed


@dataclasses.dataclass(frozen=True)
class Freedom:
    """What may be learned of a kernel.

    Attributes:
        partners, pair: As of a `Grid`.
        scale: Whether its multiplier is free.
        position: Whether its fractional bits are free.
    """

    partners: np.ndarray | None = None
    pair: int = 0
    scale: bool = False
    position: bool = False


@dataclasses.dataclass(frozen=True)
class Learned:
    """What was learned of an operator.

    Attributes:
        integers: Its kernel's, (groups, rows, columns).
        scale: Its multiplier's, (groups, rows); ones where it has none.
        position: How many fractional bits more would be better.
    """

    integers: np.ndarray
    scale: np.ndarray
    position: int = 0


def learn_layer(weighted: Weighted, moments: Moments, wanted: np.ndarray, freedom: Freedom) -> Learned:
    """Learns the constants of an operator, and which position would be best for its kernel.

    Args:
        weighted: The operator, its kernel rounded.
        moments: Of what it reads and should give.
        wanted: The float network's weights, (groups, rows, columns). Those that are zero stay zero.
        freedom: What may be learned.
    """
    problem, format_ = moments.problem(wanted), weighted.kernel.format
    rounded, scale = weighted.integers, weighted.scale
    is_fixed = (wanted == 0) | (scale == 0)[:, :, None]
    low, high = np.where(is_fixed, rounded, format_.min_int), np.where(is_fixed, rounded, format_.max_int)

    def grid(scale: np.ndarray, finer: int = 0) -> Grid:
        step = np.where(scale == 0, 1.0, scale) * weighted.unit * 2.0**-finer
        return Grid(step, low, high, freedom.partners, freedom.pair)

    def noise(integers: np.ndarray, grid: Grid) -> np.ndarray:
        return moments.noise(integers * grid.step[:, :, None])

    learned, learned_scale = learn(problem, grid(scale)), scale
    if freedom.scale:
        learned, learned_scale = _rescaled(weighted, problem, grid, learned)
    before, after = noise(rounded, grid(scale)), noise(learned, grid(learned_scale))
    better = after < before
    integers, learned_scale = np.where(better[:, :, None], learned, rounded), np.where(better, learned_scale, scale)
    best, position = WORTHWHILE * _relative(np.minimum(before, after), moments), 0
    for candidate in POSITIONS if freedom.position else ():
        moved = grid(scale, candidate)
        share = _relative(noise(learn(problem, moved), moved), moments)
        if share < best:
            best, position = share, candidate
    return Learned(integers, learned_scale, position)


def _rescaled(
    weighted: Weighted, problem: Problem, grid: Callable[[np.ndarray], Grid], first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best of integers with other multipliers, row by row; `first` are those with its own."""
    best, best_scale = first, weighted.scale
    for factor in FACTORS:
        scale = weighted.storable(weighted.scale * factor)
        integers = first if factor == 1 else learn(problem, grid(scale))
        for _ in range(REFITS):
            scale = weighted.storable(problem.best_step(integers, grid(scale).step) / weighted.unit)
            integers = descend(problem, grid(scale), integers)
        errors = [problem.errors(rows, grid(sizes).step) for rows, sizes in ((best, best_scale), (integers, scale))]
        better = errors[1] < errors[0]
        best, best_scale = np.where(better[:, :, None], integers, best), np.where(better, scale, best_scale)
    return best, best_scale


def _relative(noise: np.ndarray, moments: Moments) -> float:
    """Noise : signal, summed over channels: the small ones count as much, for what follows may scale them up again."""
    heard = moments.tt > 0
    return float(np.sum(noise[heard] / moments.tt[heard]))
