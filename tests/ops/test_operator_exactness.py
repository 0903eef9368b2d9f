"""Every fixed-point operator against exact rational arithmetic, bit for bit; the seeds are the tests' parameters."""

from __future__ import annotations

import numpy as np
import pytest

import exact_oracle
from kerasq import ops
from kerasq.format.model import Model
from kerasq.ops import add, concat, mul, quantize, weighted
from kerasq.ops.bounds import Bounds
from networks import random_inputs
from random_operators import OPERATORS, random_model

BATCH = 2


def assert_exact(model: Model, seed: int) -> None:
    operator, inputs = model.operators[0], random_inputs(model, seed, BATCH)
    received = ops.prepare(model, operator)(*inputs)
    expected = exact_oracle.compute(model, operator, *inputs)
    assert received.dtype == expected.dtype
    np.testing.assert_array_equal(received, expected, err_msg=f"seed {seed}: {operator}, {model.tensors}")


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_equals_exact_arithmetic(kind, seed):
    for offset in range(6):
        model = random_model(kind, seed + offset)
        assert list(ops.problems(model, model.operators[0])) == []
        assert_exact(model, seed + offset)


@pytest.mark.parametrize("bound", [1 << 24, 1 << 40, 1 << 53, 1 << 60])
@pytest.mark.parametrize(
    ("kind", "module"),
    [("convolution", weighted), ("dense", weighted), ("add", add), ("quantize", quantize), ("mul", mul), ("concat", concat)],
)
@pytest.mark.parametrize("accumulator_too", [False, True])
def test_every_arithmetic_gives_the_same_bits(monkeypatch, kind, module, bound, accumulator_too):
    """A looser bound moves the work from float32 to float64 to int64; the results stay."""
    exact = module.bounds

    def loose(*arguments):
        proven = exact(*arguments)
        return Bounds(max(proven.accumulator, bound if accumulator_too else 0), max(proven.largest, bound))

    monkeypatch.setattr(module, "bounds", loose)
    for seed in range(100, 112):
        assert_exact(random_model(kind, seed), seed)


@pytest.mark.parametrize("kind", OPERATORS)
def test_results_do_not_depend_on_the_batch(kind):
    for seed in range(20):
        model = random_model(kind, seed)
        run, inputs = ops.prepare(model, model.operators[0]), random_inputs(model, seed, 5)
        whole = run(*inputs)
        for example in range(5):
            np.testing.assert_array_equal(run(*[x[example : example + 1] for x in inputs]), whole[example : example + 1])
        assert run(*[x[:0] for x in inputs]).shape == (0, *whole.shape[1:])


@pytest.mark.parametrize("kind", OPERATORS)
def test_inputs_are_left_alone(kind):
    for seed in range(20):
        model = random_model(kind, seed)
        inputs = random_inputs(model, seed, BATCH)
        copies = [x.copy() for x in inputs]
        constants = [None if tensor.data is None else tensor.data.copy() for tensor in model.tensors]
        run = ops.prepare(model, model.operators[0])
        first = run(*inputs).copy()
        np.testing.assert_array_equal(run(*inputs), first)
        for x, copy in zip(inputs, copies, strict=True):
            np.testing.assert_array_equal(x, copy)
        for tensor, constant in zip(model.tensors, constants, strict=True):
            if tensor.data is not None:
                np.testing.assert_array_equal(tensor.data, constant)
