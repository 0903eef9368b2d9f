"""What the values of a kernel tell."""

import numpy as np
import pytest

from kerasq.qformat import QFormat
from kerasq_convert.formats.kernels import binary_scale, grid_of, holds, integers_and_scale, only_moves, ternary_scale


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


def test_ternary_kernel_has_zeros_beside_one_magnitude_per_output_channel():
    kernel = np.random.default_rng(1).integers(-1, 2, (4, 2, 2, 4)).astype(np.float32)
    kernel[2] = 0
    alpha = np.array([0.25, 1.0, 7.0, 0.1], np.float32)
    np.testing.assert_array_equal(
        ternary_scale(kernel * alpha[:, None, None, None]), np.where(np.arange(4) == 2, 1, alpha).astype(np.float64)
    )


@pytest.mark.parametrize("change", ["one weight differs", "all zero", "no two in a channel", "not finite"])
def test_what_is_not_ternary(change):
    kernel = np.zeros((3, 1, 1, 4), np.float32)
    if change == "one weight differs":
        kernel[:] = 0.3, 0, -0.3, 0
        kernel[1, 0, 0, 3] = np.nextafter(np.float32(0.3), np.float32(2))
    elif change == "no two in a channel":
        kernel[:, 0, 0, :3] = np.diag([0.3, -0.4, 0.5])
    elif change == "not finite":
        kernel[:] = np.inf, 0, -np.inf, 0
    assert ternary_scale(kernel) is None


@pytest.mark.parametrize(
    "name", ["FIXED2_1", "FIXED2_-3", "FIXED4_2", "FIXED8_7", "FIXED8_12", "FIXED8_-2", "FIXED16_12", "FIXED16_20"]
)
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


@pytest.mark.parametrize("largest", [1, 7, 127])
def test_a_kernel_of_integers_times_a_factor_per_channel_is_split(largest):
    rng = np.random.default_rng(3)
    integers = rng.integers(-largest, largest + 1, (5, 3, 3, 4)).astype(np.float32)
    integers[:, 0, 0, 0], integers[:, 0, 0, 1], integers[2] = largest, 1, 0
    alpha = rng.uniform(0.01, 3, 5).astype(np.float32)
    split = integers_and_scale(integers * alpha.reshape(-1, 1, 1, 1))
    assert split is not None
    np.testing.assert_array_equal(split[0], integers)
    np.testing.assert_allclose(split[1], np.where(np.arange(5) == 2, 1, alpha), rtol=1e-6)


def test_kernels_that_are_no_such_product():
    rng = np.random.default_rng(4)
    kernel = (rng.integers(-7, 8, (4, 30)) * rng.uniform(0.1, 1, (4, 1))).astype(np.float32)
    assert integers_and_scale(kernel) is not None
    kernel[3, 29] *= 1 + 2.0**-12
    assert integers_and_scale(kernel) is None
    assert integers_and_scale(rng.normal(size=(4, 30)).astype(np.float32)) is None
    assert integers_and_scale(np.array([[0.3, 0.6], [0.1, 0.2]], np.float32)) is None  # too few to say
    assert integers_and_scale(np.full((2, 8), np.nan, np.float32)) is None
