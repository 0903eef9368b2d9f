"""Pieces of a batch in several threads: NumPy and the runtime compute without Python's interpreter lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence


def computed(compute: Callable[[slice], int], pieces: Sequence[slice], threads: int) -> Iterator[int]:
    """`compute` of every piece, in the order of the pieces."""
    if threads == 1 or len(pieces) == 1:
        yield from map(compute, pieces)
        return
    from concurrent.futures import ThreadPoolExecutor  # takes as long to import as a small network to run

    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(compute, pieces)
    finally:
        pool.shutdown(cancel_futures=True)
