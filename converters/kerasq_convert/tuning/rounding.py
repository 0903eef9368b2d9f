"""Rows of weights rounded so that their products with what they are multiplied by stay near those that are wanted.

Over examples x a row w, stored as integers q times a step, gives w·x; that is to be near a wanted v·x. The mean square of the
difference is a quadratic form, with H the mean of x·xT:

    error(q) = (step·q - v) · H · (step·q - v)T

Rounding to nearest is best only where H is diagonal. `feedback` rounds one column of weights after the other and changes those
that are still to come so that they take back as much of the error as they can (Frantar et al. 2022, GPTQ, arXiv:2210.17323;
Hassibi and Stork 1993). `descend` then changes single integers as long as that lowers the error. Both work on all rows of all
groups of channels together: arrays begin with (groups, rows of a group).
"""

from __future__ import annotations

import dataclasses

import numpy as np

BLOCK = 64  # columns whose feedback to later ones is added up first
SWEEPS = 6  # of `descend`, at most


@dataclasses.dataclass(frozen=True)
class Grid:
    """The integers that weights may become, arrays that broadcast to (groups, rows, columns).

    Attributes:
        step: Real value of one, (groups, rows); of either sign.
        low, high: The least and the largest of each weight.
        partners: Of each column the one whose weight is added to its own, as magnitudes, and together at most `pair`; its own
            number where there is none. `None`: there is no such limit.
        pair: That limit.
    """

    step: np.ndarray
    low: np.ndarray
    high: np.ndarray
    partners: np.ndarray | None = None
    pair: int = 0

    def nearest(self, values: np.ndarray, column: int, integers: np.ndarray) -> np.ndarray:
        """What a column of `integers` may become, nearest to values that are not whole, (groups, rows)."""
        low, high = self.low[:, :, column], self.high[:, :, column]
        if self.partners is not None and self.partners[column] != column:
            room = np.maximum(self.pair - np.abs(integers[:, :, self.partners[column]]), 0)
            low, high = np.maximum(low, -room), np.minimum(high, room)
        return np.clip(np.rint(values), low, high)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is to be minimized.

    Attributes:
        hessian: H, (groups, columns, columns), positive definite.
        wanted: v, (groups, rows, columns).
    """

    hessian: np.ndarray
    wanted: np.ndarray

    def errors(self, integers: np.ndarray, step: np.ndarray) -> np.ndarray:
        """error(q) of every row, (groups, rows)."""
        difference = integers * step[:, :, None] - self.wanted
        return np.sum((difference @ self.hessian) * difference, axis=2)

    def best_step(self, integers: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The step with the least error for integers, row by row; `step` for those that are all zero."""
        weighed = integers @ self.hessian
        wanted, square = (np.sum(weighed * rows, axis=2) for rows in (self.wanted, integers))
        return np.where(square > 0, wanted / np.where(square > 0, square, 1.0), step)


def feedback(problem: Problem, grid: Grid) -> np.ndarray:
    """Integers by rounding with error feedback.

    With inverse(H) = UT·U, U upper triangular, rounding column i of a row by d changes the best of the columns behind it by
    -d·U[i, j] / U[i, i]. Columns that weigh most are rounded first.
    """
    order = np.argsort(-np.diagonal(problem.hessian, axis1=1, axis2=2).mean(axis=0), kind="stable")
    hessian = problem.hessian[:, order][:, :, order]
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).transpose(0, 2, 1)
    rest = problem.wanted[:, :, order].copy()
    integers = np.zeros_like(problem.wanted)
    columns = len(order)
    for start in range(0, columns, BLOCK):
        end = min(start + BLOCK, columns)
        errors = np.empty((*rest.shape[:2], end - start))
        for place in range(start, end):
            column = order[place]
            chosen = grid.nearest(rest[:, :, place] / grid.step, column, integers)
            integers[:, :, column] = chosen
            error = (rest[:, :, place] - chosen * grid.step) / upper[:, None, place, place]
            rest[:, :, place:end] -= error[:, :, None] * upper[:, None, place, place:end]
            errors[:, :, place - start] = error
        rest[:, :, end:] -= errors @ upper[:, start:end, end:]
    return integers


def descend(problem: Problem, grid: Grid, integers: np.ndarray) -> np.ndarray:
    """Integers of no larger error: each in turn becomes the best for those that the others of its row are now."""
    integers = integers.copy()
    slope = (integers * grid.step[:, :, None] - problem.wanted) @ problem.hessian  # half of the gradient
    for _ in range(SWEEPS):
        changed = False
        for column in range(integers.shape[2]):
            curvature = problem.hessian[:, None, column, column] * grid.step
            best = integers[:, :, column] - slope[:, :, column] / curvature
            change = grid.nearest(best, column, integers) - integers[:, :, column]
            if change.any():
                slope += (change * grid.step)[:, :, None] * problem.hessian[:, None, column]
                integers[:, :, column] += change
                changed = True
        if not changed:
            break
    return integers


def learn(problem: Problem, grid: Grid) -> np.ndarray:
    """Integers by both."""
    return descend(problem, grid, feedback(problem, grid))
