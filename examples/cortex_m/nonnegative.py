"""Least squares of the relative error with weights that are not negative."""

import numpy as np

_TOLERANCE = 1e-9


def fitted(matrix: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the columns of `matrix` whose sum comes closest to `counts`, and the relative errors that are left.

    The method of active sets: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    scaled = matrix / counts[:, None]
    size = np.linalg.norm(scaled, axis=0)
    columns = np.divide(scaled, size, out=np.zeros_like(scaled), where=size > 0)
    target = np.ones(len(counts))
    weights, active = np.zeros(columns.shape[1]), np.zeros(columns.shape[1], bool)
    while True:
        gradient = np.where(active, -np.inf, columns.T @ (target - columns @ weights))
        best = int(gradient.argmax())
        if gradient[best] < _TOLERANCE * len(counts) or active.sum() >= len(counts) // 4:
            break
        active[best] = True
        weights = _inside(columns, target, weights, active)
        if not active[best]:  # a step of nothing: it is as good as another one that has a weight
            break
    return np.divide(weights, size, out=np.zeros_like(weights), where=size > 0), np.abs(columns @ weights - target)


def _inside(columns: np.ndarray, target: np.ndarray, weights: np.ndarray, active: np.ndarray) -> np.ndarray:
    """The solution over the active columns; those whose weights would be negative leave `active`."""
    while True:
        solution = np.zeros_like(weights)
        solution[active] = np.linalg.lstsq(columns[:, active], target, rcond=None)[0]
        negative = active & (solution <= 0)
        if not negative.any():
            return solution
        step = np.min(weights[negative] / (weights[negative] - solution[negative]))
        weights = weights + step * (solution - weights)
        active &= weights > _TOLERANCE
        weights[~active] = 0
