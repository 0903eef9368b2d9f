"""What the values of a kernel tell."""

import numpy as np
import pytest

from kerasq.qformat import QFormat
from kerasq_convert.formats.kernels import binary_scale, grid_of, holds, only_moves


def test_binary_kernel_has_one_magnitude_per_output_channel():
    signs = np.where(np.random.default_rng(1).random((3, 2, 2, 4)) < 0.5, -1.0, 1.0)
    alpha = np.array([0.25, 1.0, 0.1], np.float32)
    kernel = (signs * alpha[:, None, None, None]).astype(np.float32)
    np.testing.assert_array_equal(binary_scale(kernel), alpha.astype(np.float64))


@pytest.mark.parametrize("change", ["one weight differs", "zero among signs", "all zero", "one weight a channel"])
def test_what_is_not_binary(change):
    kernel = np.ones((3, 1, 1, 4), np.float32)
    if change == "one weight differs":
        kernel[1, 0, 0, 2] = np.nextafter(np.float32(1), np.float32(2))
    elif change == "zero among signs":
        kernel[1, 0, 0, 2] = 0
    elif change == "all zero":
        kernel[:] = 0
    else:
        kernel = kernel[..., :1]
    assert binary_scale(kernel) is None


@pytest.mark.parametrize("name", ["FIXED4_2", "FIXED8_7", "FIXED8_12", "FIXED8_-2", "FIXED16_12", "FIXED16_20"])
def test_grid_is_the_narrowest_that_holds_every_value(name):
    expected = QFormat.parse(name)
    stored = np.random.default_rng(2).integers(expected.min_int, expected.max_int + 1, (8, 3, 3, 4))
    stored[0, 0, 0, :2] = expected.min_int, 1  # the whole width and the last bit are used
    kernel = expected.dequantize(stored)
    assert grid_of(kernel) == expected
    assert holds(expected, kernel)


def test_float_weights_lie_on_no_grid():
    kernel = np.random.default_rng(3).normal(size=(8, 3, 3, 4)).astype(np.float32)
    assert grid_of(kernel) is None
    assert grid_of(np.zeros((2, 2))) is None
    assert not holds(QFormat.parse("FIXED16_12"), kernel)


def test_kernels_that_only_move_values():
    assert only_moves(np.eye(4))
    assert only_moves(np.zeros((3, 2, 2, 1)))
    assert not only_moves(np.ones((2, 1, 1, 2)))
