"""NORMALIZE: with and without the mean, over channels, groups of them and pixels; tests/ops/test_normalize.py has its error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, random_clamp, random_format
from operator_cases.exact import step
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    epsilon = net.constant("epsilon", np.array([5243]), "FIXED16_19")
    attributes = {"window": (3, 5), "groups": 2, "centered": 1, **attributes}
    return net.apply("NORMALIZE", (net.activation("x", (1, 6, 5, 4), buffers), epsilon), buffers, OUTPUT, **attributes)


def normalize(rng: np.random.Generator) -> Model:
    """Runs of all shapes, with an epsilon that is far from nothing or far too much."""
    net = NetworkBuilder()
    height, width, groups, channels = rng.integers(1, 6, 4).tolist()
    if rng.random() < 0.1:
        channels *= 50
    shape = [(1, height, width, groups * channels), (1, height * width, groups * channels), (1, groups * channels)][
        rng.integers(3)
    ]
    pixels = math.prod(shape[1:-1])
    window = [(1, 1), (1, pixels), (pixels, 1), (height, 1) if pixels > 1 else (1, 1)][rng.integers(4)]
    groups = int(rng.choice([1, groups, groups * channels]))
    source = random_format(rng, ACTIVATIONS, -10, 20)
    form = random_format(rng, ACTIVATIONS, 0, 17)
    units = 2 * (source.frac_bits or 0) + int(rng.choice([-16, -8, 0, 0, 8, 16, 40]))
    stored = int(rng.choice([0, 1, 21, 32767, int(rng.integers(32768))]))
    epsilon = net.constant("epsilon", np.array([stored]), q("FIXED16").with_frac_bits(int(np.clip(units, -32, 63))))
    x = net.activation("x", shape, source)
    centered = int(rng.integers(2))
    y = net.apply("NORMALIZE", (x, epsilon), form, window=window, groups=groups, centered=centered, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """The page's integers: two roundings towards zero are part of the definition, so reals would not do."""
    source, epsilon = (ops.operand(model, operator, name) for name in ("input", "epsilon"))
    assert source is not None
    assert epsilon is not None
    assert epsilon.data is not None
    channels = x.shape[-1] // operator.groups
    pixels = operator.window[0] * operator.window[1]
    n = pixels * channels
    added = math.floor(int(epsilon.data[0]) * step(epsilon.format) * n**2 / step(source.format) ** 2 + Fraction(1, 2))
    results: dict[int, Fraction] = {}
    values = x.ravel().tolist()
    for block in range(0, len(values), pixels * x.shape[-1]):
        for group in range(operator.groups):
            places = [
                block + pixel * x.shape[-1] + group * channels + channel for pixel in range(pixels) for channel in range(channels)
            ]
            run = [values[place] for place in places]
            total = sum(run) if operator.centered else 0
            squares = max(n * sum(value**2 for value in run) - total**2 + added, 1)
            pairs = (63 - (squares.bit_length() - 1)) // 2
            reciprocal = 2**61 // math.isqrt(squares * 4**pairs)
            for place, value in zip(places, run, strict=True):
                results[place] = Fraction((n * value - total) * reciprocal, 2 ** (61 - pairs))
    yield from (results[place] for place in range(len(values)))


BROKEN = [
    ("x", {"shape": (1,)}, "axis after the batch axis"),
    ("x", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
    ("layer/output", {"format": q("FIXED8_-1")}, "0 to 16 fractional bits"),
    ("layer/output", {"format": q("FIXED16_17")}, "0 to 16 fractional bits"),
    ("layer/output", {"shape": (1, 6, 20)}, "output must have shape"),
    ("x", {"shape": (1, 6, 5, 3)}, "groups must divide"),
    ("x", {"shape": (1, 6, 4, 4)}, "window must divide the 24 pixels"),
    ("epsilon", {"shape": (1, 1)}, r"must have shape \(1,\)"),
    ("epsilon", {"data": np.array([-1], np.int16)}, "must not be negative"),
    ("x", {"format": q("FIXED8_30")}, "beyond 2"),
    ("epsilon", {"format": q("FIXED8_7")}, "must be one of FLOAT32, FIXED16"),
]

BROKEN_ATTRIBUTES = [
    ({"window": (0, 3)}, "window must divide"),
    ({"window": (4, 1)}, "window must divide"),
    ({"window": (2**16 - 1, 2**16 - 1)}, "window must divide"),
    ({"groups": 0}, "groups must divide"),
    ({"groups": 3}, "groups must divide"),
    ({"centered": 2}, "centered must be 0 or 1"),
    ({"accumulator_bits": 32}, "accumulator_bits must be 64"),
]

RANDOM = {"normalize": normalize}
