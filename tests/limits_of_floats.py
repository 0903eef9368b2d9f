"""Convolutions whose requantization, by one operation in float32, comes to the limits of what that computes exactly."""

from __future__ import annotations

import contextlib

import numpy as np

from kerasq.format.model import Model
from kerasq.qformat import QFormat
from networks import NetworkBuilder

EXACT = 1 << 24  # integers up to here are float32 values


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
