"""Requantization by one float operation, as vector kernels of x86 do it: exact at the limits of float32, in any rounding mode."""

from __future__ import annotations

import contextlib
import ctypes
import platform

import numpy as np
import pytest

import kerasq
from kerasq.format import dumps
from kerasq.format.model import Model
from kerasq.qformat import QFormat
from networks import NetworkBuilder

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
EXACT = 1 << 24  # integers up to here are float32 values
MODES = {"down": 0x400, "up": 0x800, "to zero": 0xC00}  # of fesetround on x86


def at_the_limits(seed: int) -> Model:
    """Sums, multipliers and what biases leave beside a multiple of them, at 2**24 and on either side."""
    rng, net = np.random.default_rng(seed), NetworkBuilder()
    x_type, weights = str(rng.choice(["FIXED8", "UFIXED8", "FIXED16", "UFIXED16"])), QFormat.parse("FIXED8_6")
    channels, outputs = int(rng.choice([1, 4, 64, 500, 512, 520])), int(rng.choice([1, 3, 16, 20]))
    x = net.activation("x", (1, 2, 2, channels), f"{x_type}_4")
    largest = int(rng.choice([1, 3, 127]))
    kernel = net.constant("kernel", rng.choice([-largest, largest, 0], (outputs, 1, 1, channels)).astype(np.int8), weights)
    multiplier_bits, coarser = int(rng.integers(0, 24)), int(rng.choice([0, 0, 4]))
    factors = rng.choice(
        [EXACT, EXACT - 1, EXACT + 1, 1, 3, -EXACT, 1000, -7], outputs, p=[0.15, 0.15, 0.02, 0.14, 0.14, 0.1, 0.2, 0.1]
    )
    multiplier = net.constant("multiplier", factors.astype(np.int32), f"FIXED32_{multiplier_bits}")
    total = 10 + multiplier_bits
    shift = int(rng.integers(1, 41))
    half = 1 << (shift - 1)
    biases = []
    for factor in map(int, factors):
        rest = int(rng.choice([0, 1, -1, EXACT, EXACT + 1, -EXACT, -EXACT - 1]))
        near_zero = int(rng.integers(-2, 3)) * half
        value = near_zero if rng.random() < 0.4 else int(rng.integers(-(1 << 18), 1 << 18)) * factor + rest
        biases.append(max(-(1 << 31), min((1 << 31) - 1, (value - half) >> coarser)))
    bias = net.constant("bias", np.array(biases, np.int32), f"FIXED32_{total - coarser}")
    inputs, operands = (x,), (x, kernel, multiplier, bias)
    if rng.random() < 0.4:
        addend = net.activation("addend", (1, 2, 2, outputs), f"FIXED8_{int(rng.integers(max(-32, total - 30), total + 1))}")
        inputs, operands = (x, addend), (*operands, addend)
    result = f"{rng.choice(['FIXED8', 'UFIXED8', 'FIXED16'])}_{total - shift}"
    return net.build(inputs, (net.apply("CONV_2D", operands, result),))


def models(count: int) -> list[Model]:
    made = []
    for seed in range(count):
        with contextlib.suppress(OverflowError):  # no accumulator holds such sums
            made.append(at_the_limits(seed))
    return made


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
