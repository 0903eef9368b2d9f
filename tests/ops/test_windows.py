from __future__ import annotations

import numpy as np
import pytest

from kerasq.ops.windows import Window, blocks


def slow_patches(window: Window, x: np.ndarray) -> np.ndarray:
    rows, columns = window.output_size(*x.shape[1:3])
    patches = np.zeros((len(x), rows, columns, *window.size, x.shape[3]), x.dtype)
    for row, column, i, j in np.ndindex(rows, columns, *window.size):
        y = row * window.strides[0] + i * window.dilations[0] - window.padding[0]
        z = column * window.strides[1] + j * window.dilations[1] - window.padding[2]
        if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
            patches[:, row, column, i, j] = x[:, y, z]
    return patches


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((5, 4), Window((3, 2), (2, 1), (1, 2), (1, 2, 0, 1))),
        ((1, 1), Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))),
        ((7, 3), Window((2, 3), (3, 2), (4, 1), (0, 3, 2, 2))),
        ((2, 3), Window((2, 2), (29, 5), (50, 60), (45, 50, 57, 60))),  # almost all padding: gathered
    ],
)
def test_patches(size, window):
    x = np.random.default_rng(0).integers(1, 100, (2, *size, 3)).astype(np.int8)
    patches = window.patches(x, np.float32)
    assert patches.dtype == np.float32
    np.testing.assert_array_equal(patches, slow_patches(window, x))


def test_patches_of_a_window_much_wider_than_its_input_take_little_memory():
    window = Window((2, 2), (65535, 65535), (65535, 65535), (65535, 65535, 65535, 65535))
    assert list(window.problems()) == []
    x = np.full((1, 1, 1, 1), 7, np.int8)
    patches = window.patches(x, np.int8)  # padded, 17 GB
    assert patches.shape == (1, 2, 2, 2, 2, 1)
    assert patches.sum() == 4 * 7


@pytest.mark.parametrize(
    ("batch", "rows", "row_bytes"), [(3, 5, 1), (7, 4, 100_000), (2, 9, 200_000), (2, 3, 1 << 30), (0, 4, 1)]
)
def test_blocks_cover_everything_once_and_are_contiguous(batch, rows, row_bytes):
    seen = np.zeros((batch, rows, 2), int)
    for block in blocks(batch, rows, row_bytes):
        view = seen[block]
        assert view.flags.c_contiguous
        assert view.size
        view += 1
    assert (seen == 1).all()
