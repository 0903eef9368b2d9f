"""Examples, or what operators make of them, some at once: few enough that arrays stay in the cache, many enough for NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

BATCH = 16


def in_batches(arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Pieces of arrays that have as many rows each, the last piece shorter."""
    for start in range(0, len(arrays[0]), BATCH):
        yield [array[start : start + BATCH] for array in arrays]


def computed_in_batches(run: Callable[..., np.ndarray], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """What a function of pieces of arrays gives, in one array."""
    return np.concatenate([run(*batch) for batch in in_batches(arrays)])
