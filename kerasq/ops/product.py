"""Products of a tall matrix by a small one, in slices that a BLAS library computes without threads of its own."""

from __future__ import annotations

import numpy as np

# OpenBLAS computes a product of up to 2**18 multiply-accumulates in the calling thread, with kernels for small matrices
# where it has them: as fast as one tall product or faster. Its threads, for larger ones, wait for each other actively, which
# costs milliseconds per product on a machine with other work to do; threads over examples serve better.
SLICE_MACS = 1 << 18
TILE_COLUMNS = 32
MIN_ROWS = 8  # a slice of fewer rows reads the small matrix too often for what it computes


def product(tall: np.ndarray, small: np.ndarray, out: np.ndarray) -> None:
    """`out[...] = tall @ small` for each group.

    Args:
        tall: (groups, rows, depth), contiguous.
        small: (groups, depth, columns), contiguous.
        out: (groups, rows, columns), the last axis contiguous.
    """
    groups, rows, depth = tall.shape
    columns = small.shape[2]
    tile = columns if columns % TILE_COLUMNS else TILE_COLUMNS
    length = SLICE_MACS // (depth * tile)
    if length < MIN_ROWS:
        np.matmul(tall, small, out=out)
        return
    tiles = small.reshape(groups, 1, depth, columns // tile, tile).transpose(0, 1, 3, 2, 4)
    even = rows - rows % length
    for first, last, size in ((0, even, length), (even, rows, rows - even)):
        if first < last:
            slices = tall[:, first:last].reshape(groups, -1, 1, size, depth)
            target = out[:, first:last].reshape(groups, -1, size, columns // tile, tile).transpose(0, 1, 3, 2, 4)
            np.matmul(slices, tiles, out=target)
