"""Rounding with error feedback and descent, and the moments that they are computed from: NumPy alone."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from kerasq import ops
from kerasq.format.model import Model, OperatorKind, Tensor
from kerasq.qformat import FLOAT32, fixed
from kerasq_convert.tuning import rounding
from kerasq_convert.tuning.layer import Freedom, learn_layer
from kerasq_convert.tuning.moments import Moments, moments_of
from kerasq_convert.tuning.rounding import Grid, Problem, descend, feedback, learn
from kerasq_convert.tuning.weighted import Weighted
from networks import NetworkBuilder

ROWS = 6


def problem_of(groups: int, columns: int, seed: int = 0) -> Problem:
    """Inputs that follow from fewer, so that errors of weights can make up for each other."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(groups, 200, columns // 2 + 1)) @ rng.normal(size=(groups, columns // 2 + 1, columns))
    hessian = x.transpose(0, 2, 1) @ x / 200 + 0.01 * np.eye(columns)
    return Problem(hessian, rng.normal(size=(groups, ROWS, columns)))


def grid_of(problem: Problem, bits: int, **limits) -> Grid:
    groups, rows, columns = problem.wanted.shape
    shape, most = (groups, rows, columns), 1 << (bits - 1)
    step = np.random.default_rng(1).uniform(2, 3, (groups, rows)) / most * np.where(np.arange(rows) % 2, 1, -1)
    return Grid(step, np.full(shape, -most), np.full(shape, most - 1), **limits)


def nearest(problem: Problem, grid: Grid) -> np.ndarray:
    return np.clip(np.rint(problem.wanted / grid.step[:, :, None]), grid.low, grid.high)


@pytest.mark.parametrize(("groups", "columns", "bits"), [(1, 40, 4), (1, 130, 2), (5, 9, 4), (3, 1, 8)])
def test_learned_rows_have_less_error_than_rounded_ones(groups, columns, bits):
    problem = problem_of(groups, columns)
    grid = grid_of(problem, bits)
    rounded, learned = nearest(problem, grid), learn(problem, grid)
    assert np.all((learned >= grid.low) & (learned <= grid.high) & (learned == np.rint(learned)))
    before, after = (problem.errors(integers, grid.step).sum() for integers in (rounded, learned))
    assert after < (before / 2 if columns > 9 else before * 1.0001)


def test_learned_rows_are_near_the_best_of_all():
    problem = problem_of(1, 4, seed=3)
    grid = grid_of(problem, 2)
    learned = problem.errors(learn(problem, grid), grid.step)[0]
    every = np.array(list(itertools.product(range(-2, 2), repeat=4)), np.float64)
    best = [min(problem.errors(np.tile(row, (1, ROWS, 1)), grid.step)[0, place] for row in every) for place in range(ROWS)]
    assert np.all(learned >= np.array(best) - 1e-9)
    assert learned.sum() < 1.2 * sum(best)


def test_blocks_of_columns_change_nothing(monkeypatch):
    problem = problem_of(2, 50)
    grid = grid_of(problem, 4)
    whole = feedback(problem, grid)
    monkeypatch.setattr(rounding, "BLOCK", 7)
    np.testing.assert_array_equal(feedback(problem, grid), whole)


def test_feedback_is_rounding_where_inputs_are_independent():
    problem = problem_of(2, 12)
    problem = Problem(np.tile(np.diag(np.arange(1.0, 13.0)), (2, 1, 1)), problem.wanted)
    grid = grid_of(problem, 4)
    np.testing.assert_array_equal(feedback(problem, grid), nearest(problem, grid))


def test_descent_ends_where_no_single_integer_is_better():
    problem = problem_of(1, 10)
    grid = grid_of(problem, 4)
    rounded = nearest(problem, grid)
    descended = descend(problem, grid, rounded)
    errors = problem.errors(descended, grid.step)
    assert np.all(errors <= problem.errors(rounded, grid.step) + 1e-12)
    for column, change in itertools.product(range(10), (-1, 1)):
        changed = descended.copy()
        changed[:, :, column] = np.clip(changed[:, :, column] + change, grid.low[:, :, column], grid.high[:, :, column])
        assert np.all(problem.errors(changed, grid.step) >= errors - 1e-9)


def test_pairs_stay_within_their_limit():
    problem = problem_of(1, 9)
    partners = np.array([1, 0, 3, 2, 5, 4, 7, 6, 8])
    free, limited = grid_of(problem, 8), grid_of(problem, 8, partners=partners, pair=128)
    integers = learn(problem, limited)
    sums = np.abs(integers)[0, :, :8].reshape(ROWS, 4, 2).sum(axis=2)
    assert sums.max() <= 128
    assert np.abs(learn(problem, free))[0, :, :8].reshape(ROWS, 4, 2).sum(axis=2).max() > 128
    assert problem.errors(integers, limited.step).sum() > 0


def test_moments_tell_noise_and_bias():
    rng = np.random.default_rng(5)
    columns, sums = (rng.normal(1, 1, (2, 300, size)).astype(np.float32) for size in (7, 3))
    weights = rng.normal(size=(2, 3, 7))
    difference = columns @ weights.transpose(0, 2, 1) - sums
    halves = Moments.of(columns[:, :100], sums[:, :100]) + Moments.of(columns[:, 100:], sums[:, 100:])
    np.testing.assert_allclose(halves.noise(weights), np.mean(difference**2, axis=1), rtol=1e-5)
    np.testing.assert_allclose(halves.centred().noise(weights), np.var(difference, axis=1), rtol=1e-5)
    np.testing.assert_allclose(halves.bias(weights), -np.mean(difference, axis=1), rtol=1e-5)


def operator_of(kind: OperatorKind, x: tuple[int, ...], kernel: tuple[int, ...], **attributes) -> tuple[Model, Weighted]:
    """One operator in float."""
    shape = ops.output_shape if kind is OperatorKind.CONV_2D else None
    values = np.random.default_rng(2).normal(size=kernel).astype(np.float32)
    operator = ops.make(kind, {"input": 0, "kernel": 1}, 2, **attributes)
    output = shape(operator, [x, kernel]) if shape else (1, kernel[0])
    tensors = (Tensor("x", x, FLOAT32), Tensor("k", kernel, FLOAT32, data=values), Tensor("y", output, FLOAT32))
    model = Model(tensors, (operator,), (0,), (2,))
    weighted = Weighted.of(model, operator)
    assert weighted is not None
    return model, weighted


@pytest.mark.parametrize(
    ("kind", "x", "kernel", "attributes"),
    [
        (OperatorKind.DENSE, (1, 6), (4, 6), {}),
        (OperatorKind.CONV_2D, (1, 7, 8, 3), (4, 3, 2, 3), {"strides": (2, 1), "padding": (1, 0, 1, 0)}),
        (OperatorKind.CONV_2D, (1, 9, 9, 4), (6, 3, 3, 2), {"groups": 2, "dilations": (2, 1)}),
        (OperatorKind.CONV_2D, (1, 6, 6, 3), (6, 3, 3, 1), {"groups": 3, "padding": (1, 1, 1, 1)}),
    ],
)
def test_moments_of_every_kind_of_operator_lead_to_the_weights_that_give_the_sums(kind, x, kernel, attributes, monkeypatch):
    model, weighted = operator_of(kind, x, kernel, **attributes)
    monkeypatch.setattr("kerasq_convert.tuning.moments._VALUES", 4000)  # several batches
    values = np.random.default_rng(6).normal(size=(60, *x[1:])).astype(np.float32)
    sums = ops.prepare(model, weighted.operator)(values)
    moments = moments_of(model, weighted, values, sums)
    assert moments.noise(weighted.weights).max() < 1e-6 * moments.tt.max()
    np.testing.assert_allclose(moments.problem(weighted.weights).wanted, weighted.weights, atol=1e-3)


def test_moments_beside_padding_are_of_its_zero():
    """90 is stored for 0 in sixteenths: the border of an image that is 90 everywhere looks like the rest of it."""
    rng, net = np.random.default_rng(8), NetworkBuilder()
    x = net.activation("x", (1, 5, 5, 2), "UFIXED8_4")
    kernel = net.constant("k", rng.integers(-100, 100, (3, 3, 3, 2)), "FIXED8_6")
    y = net.apply("CONV_2D", {"input": x, "kernel": kernel}, "FIXED16_6", padding=(1, 1, 1, 1), zero=90)
    model, values = net.build((x,), (y,)), rng.integers(0, 256, (40, 5, 5, 2)) / 16
    weighted = Weighted.of(model, model.operators[0])
    assert weighted is not None
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=90 / 16)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    sums = np.einsum("eijchw,ohwc->eijo", windows, weighted.kernel.values).astype(np.float32)
    moments = moments_of(model, weighted, values.astype(np.float32), sums)
    assert moments.noise(weighted.weights).max() < 1e-6 * moments.tt.max()


def test_work_is_bounded_by_looking_at_fewer_places(monkeypatch):
    model, weighted = operator_of(OperatorKind.CONV_2D, (1, 8, 8, 2), (3, 3, 3, 2))
    values = np.random.default_rng(7).normal(size=(32, 8, 8, 2)).astype(np.float32)
    sums = ops.prepare(model, weighted.operator)(values)
    whole = moments_of(model, weighted, values, sums)
    monkeypatch.setattr("kerasq_convert.tuning.moments.WORK", 32 * 36 * 18**2 // 5 + 1)
    part = moments_of(model, weighted, values, sums)
    assert whole.count == 32 * 36
    assert part.count == -(-32 * 36 // 5)
    assert part.noise(weighted.weights).max() < 1e-6 * part.tt.max()


def quantized(values: np.ndarray, bits: int, frac_bits: int) -> Weighted:
    format_ = fixed(bits, frac_bits)
    kernel = Tensor("k", values.shape, format_, data=format_.quantize(values))
    return Weighted(ops.make(OperatorKind.DENSE, {"input": 0, "kernel": 1}, 2), kernel, None, None)


def test_a_layer_is_never_worse_and_zeros_stay_zeros():
    rng = np.random.default_rng(8)
    columns = (rng.normal(size=(1, 400, 4)) @ rng.normal(size=(1, 4, 12))).astype(np.float32)
    exact = rng.normal(size=(5, 12))
    exact[1], exact[:, 3] = 0, 0
    sums = (columns @ exact.T + rng.normal(size=(1, 400, 5))).astype(np.float32)
    moments = Moments.of(columns, sums)
    rounded = quantized(exact, 4, 2)
    learned = learn_layer(rounded, moments, exact[None], Freedom())
    noise = [moments.noise(integers * rounded.unit) for integers in (rounded.integers, learned.integers)]
    assert np.all(noise[1] <= noise[0])
    assert noise[1].sum() < noise[0].sum()
    assert not learned.integers[:, 1].any()
    assert not learned.integers[:, :, 3].any()
    assert learned.position == 0


def scaled(exact: np.ndarray, bits: int) -> Weighted:
    """Rows over the whole range of few bits, and one whose multiplier is too small for its format."""
    sizes = np.abs(exact).max(axis=1) * [1, -1, 1, -1, 1]
    weighted = quantized(exact / sizes[:, None], bits, bits - 1)
    multiplier = fixed(16, 13).quantize(sizes)
    multiplier[4] = 0
    return dataclasses.replace(weighted, multiplier=Tensor("m", (5,), fixed(16, 13), data=multiplier))


@pytest.mark.parametrize("bits", [2, 4])
def test_multipliers_are_learned_with_the_integers(bits):
    rng = np.random.default_rng(10)
    columns = (rng.normal(size=(1, 400, 8)) @ rng.normal(size=(1, 8, 20))).astype(np.float32)
    exact = rng.normal(size=(5, 20))
    moments = Moments.of(columns, (columns @ exact.T).astype(np.float32))
    rounded = scaled(exact, bits)
    fixed_scale, free_scale = (learn_layer(rounded, moments, exact[None], Freedom(scale=free)) for free in (False, True))
    np.testing.assert_array_equal(fixed_scale.scale, rounded.scale)
    problem = moments.problem(exact[None])
    errors = [problem.errors(one.integers, one.scale * rounded.unit)[0] for one in (fixed_scale, free_scale)]
    assert np.all(errors[1] <= errors[0])
    assert errors[1][:4].sum() < 0.9 * errors[0][:4].sum()
    scale = free_scale.scale
    assert scale[0, 4] == 0
    np.testing.assert_array_equal(free_scale.integers[0, 4], rounded.integers[0, 4])
    assert np.all((scale == np.rint(scale)) & (np.abs(scale) < 1 << 15))
    assert np.all(np.sign(scale) == np.sign(rounded.scale))


def test_the_best_step_is_the_best():
    problem = problem_of(2, 9)
    grid = grid_of(problem, 4)
    integers = nearest(problem, grid)
    integers[0, 0] = 0
    best = problem.best_step(integers, grid.step)
    assert best[0, 0] == grid.step[0, 0]
    for factor in (0.99, 1.01):
        assert np.all(problem.errors(integers, best)[1] < problem.errors(integers, best * factor)[1])


@pytest.mark.parametrize("off", [-2, 1, 0])
def test_a_position_is_free_where_that_is_allowed(off):
    rng = np.random.default_rng(9)
    columns = rng.normal(size=(1, 400, 6)).astype(np.float32)
    exact = rng.uniform(-1, 1, size=(5, 6))
    moments = Moments.of(columns, (columns @ exact.T).astype(np.float32))
    learned = learn_layer(quantized(exact, 8, 7 + off), moments, exact[None], Freedom(position=True))
    assert learned.position == -off
