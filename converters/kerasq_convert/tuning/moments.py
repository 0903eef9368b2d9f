"""What is known of a weighted operator over examples: moments of what it reads and of the sums that it should give.

The operator of the quantized network reads x, what the operators before it, rounded and tuned, really give it. Its products
should add up to t, the float network's sum less the addend that it really reads. For rows w the variance of w·x - t is

    var(t) - 2·w·g + w·H·wT        H = cov(x, x), g = cov(x, t)

so H, g and var(t) are all that must be kept of the examples. The mean of the difference is the bias's to take back; where none
does, moments are not taken around means.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from kerasq.format.model import Model, OperatorKind
from kerasq.ops.windows import Window
from kerasq_convert.operators import with_real_zero
from kerasq_convert.tuning.rounding import Problem
from kerasq_convert.tuning.weighted import Weighted

DAMPING = 0.01  # of the mean of H's diagonal, added to it: how much the wanted weights hold on to the float network's
WORK = 1 << 38  # multiply-accumulates for the moments of one operator
_VALUES = 1 << 24  # that are unfolded at a time


@dataclasses.dataclass(frozen=True)
class Moments:
    """Means over examples and places, of an operator with `groups` of `columns` weights a row.

    Attributes:
        count: How many there were.
        x: (groups, columns).
        t: (groups, rows).
        xx: (groups, columns, columns).
        xt: (groups, columns, rows).
        tt: (groups, rows).
    """

    count: int
    x: np.ndarray
    t: np.ndarray
    xx: np.ndarray
    xt: np.ndarray
    tt: np.ndarray

    @classmethod
    def of(cls, columns: np.ndarray, sums: np.ndarray) -> Moments:
        """Of what the rows are multiplied by, (groups, places, columns), and wanted sums, (groups, places, rows); float32."""
        count = columns.shape[1]
        return cls(
            count,
            columns.mean(axis=1, dtype=np.float64),
            sums.mean(axis=1, dtype=np.float64),
            (columns.transpose(0, 2, 1) @ columns).astype(np.float64) / count,
            (columns.transpose(0, 2, 1) @ sums).astype(np.float64) / count,
            np.mean(np.square(sums, dtype=np.float64), axis=1),
        )

    def __add__(self, other: Moments) -> Moments:
        """Of both together."""
        count = self.count + other.count
        names = [field.name for field in dataclasses.fields(self)][1:]
        parts = ((getattr(self, name) * self.count + getattr(other, name) * other.count) / count for name in names)
        return Moments(count, *parts)

    def centred(self) -> Moments:
        """Around the means."""
        xx = self.xx - self.x[:, :, None] * self.x[:, None, :]
        xt = self.xt - self.x[:, :, None] * self.t[:, None, :]
        return Moments(self.count, np.zeros_like(self.x), np.zeros_like(self.t), xx, xt, np.maximum(self.tt - self.t**2, 0))

    def problem(self, weights: np.ndarray) -> Problem:
        """Which weights are wanted, (groups, rows, columns): those of the least mean square, near the float network's, `weights`.

        Damping keeps what examples don't tell as it was: the fewer there are for a row, the more (ridge regression).
        """
        columns = self.xx.shape[1]
        damping = (DAMPING + columns / self.count) * np.trace(self.xx, axis1=1, axis2=2) / columns
        damping = np.where(damping > 0, damping, 1.0)[:, None, None]
        hessian = self.xx + damping * np.eye(columns)
        wanted = np.linalg.solve(hessian, self.xt + damping * weights.transpose(0, 2, 1)).transpose(0, 2, 1)
        return Problem(hessian, wanted)

    def noise(self, weights: np.ndarray) -> np.ndarray:
        """The mean square of the difference from the wanted sums, (groups, rows), for weights (groups, rows, columns)."""
        products = weights @ self.xx - 2 * self.xt.transpose(0, 2, 1)
        return np.maximum(self.tt + np.sum(products * weights, axis=2), 0)

    def bias(self, weights: np.ndarray) -> np.ndarray:
        """What must be added for the mean to be the wanted one, (groups, rows)."""
        return self.t - np.sum(weights * self.x[:, None, :], axis=2)


def moments_of(model: Model, weighted: Weighted, x: np.ndarray, sums: np.ndarray) -> Moments:
    """The moments of an operator over examples.

    Args:
        model: The model.
        weighted: A weighted operator of it.
        x: What it reads, (examples, ...), float32.
        sums: What the products should add up to, (examples, ...), float32.
    """
    kernel, places = weighted.kernel.shape, math.prod(model.output(weighted.operator).shape[1:-1])
    columns = math.prod(kernel[1:])
    step = -(-len(x) * places * columns**2 // WORK)  # every so many places are enough
    batch = max(1, _VALUES // (places * columns * weighted.groups))
    parts = []
    for number, start in enumerate(range(0, len(x), batch)):
        chosen = slice(start, start + batch)
        unfolded = _unfolded(model, weighted, x[chosen])
        wanted = sums[chosen].reshape(-1, weighted.groups, kernel[0] // weighted.groups).transpose(1, 0, 2)
        taken = slice(number % min(step, unfolded.shape[1]), None, step)
        parts.append(Moments.of(unfolded[:, taken], wanted[:, taken]))
    return functools.reduce(Moments.__add__, parts)


def _unfolded(model: Model, weighted: Weighted, x: np.ndarray) -> np.ndarray:
    """What each row of the kernel is multiplied by, (groups, places, columns)."""
    if weighted.operator.kind is OperatorKind.DENSE:
        return x.reshape(1, len(x), -1)
    _, height, width, channels = weighted.kernel.shape
    patches = Window.of(with_real_zero(model, weighted.operator), (height, width)).patches(x, x.dtype)
    grouped = patches.reshape(*patches.shape[:5], weighted.groups, channels).transpose(5, 0, 1, 2, 3, 4, 6)
    return grouped.reshape(weighted.groups, -1, height * width * channels)
