"""Requantization by one float operation, as vector kernels of x86 do it: exact at the limits of float32, in any rounding mode."""

from __future__ import annotations

import ctypes
import platform

import numpy as np
import pytest

import kerasq
from kerasq.format import dumps
from kerasq.format.model import Model
from limits_of_floats import models

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
MODES = {"down": 0x400, "up": 0x800, "to zero": 0xC00}  # of fesetround on x86


def examples(model: Model) -> np.ndarray | list[np.ndarray]:
    """Random values, and those at the ends of their formats and about zero."""
    rng, inputs = np.random.default_rng(1), []
    for tensor in map(model.tensors.__getitem__, model.inputs):
        low, high, shape = tensor.format.min_int, tensor.format.max_int, tensor.shape[1:]
        parts = [rng.integers(low, high + 1, (6, *shape)), rng.choice([low, 0, high], (6, *shape))]
        parts += [rng.integers(max(low, -1), 2, (4, *shape)), np.full((1, *shape), low), np.full((1, *shape), high)]
        inputs.append(np.concatenate(parts).astype(tensor.format.dtype))
    return inputs if len(inputs) > 1 else inputs[0]


def outputs(model: Model, **engine) -> np.ndarray:
    return kerasq.Interpreter(model_content=dumps(model), num_threads=1, **engine).predict(examples(model), raw=True)


def test_the_values_of_the_reference_at_the_limits():
    varied = 0
    for model in models(500):
        expected = outputs(model, engine="reference")
        varied += len(np.unique(expected)) > 2
        for tier in TIERS:
            np.testing.assert_array_equal(outputs(model, isa=tier), expected, err_msg=tier)
    assert varied > 100


@pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc", reason="modes are those of x86 and glibc"
)
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_integers_in_any_rounding_mode(mode):
    """The caller's mode changes no integer, and is the caller's again after the call."""
    c = ctypes.CDLL(None)
    for model in models(60):
        expected = outputs(model, engine="reference")
        for tier in TIERS:
            interpreter = kerasq.Interpreter(model_content=dumps(model), isa=tier, num_threads=1)
            values = examples(model)
            try:
                assert c.fesetround(mode) == 0
                found = interpreter.predict(values, raw=True)
                after = c.fegetround()
            finally:
                c.fesetround(0)
            assert after == mode
            np.testing.assert_array_equal(found, expected, err_msg=tier)
