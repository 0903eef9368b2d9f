"""MUL: of two tensors, or of one and a value per channel."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, output_format, random_clamp, random_format, random_zero
from operator_cases.exact import step_of
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    inputs = net.activation("x", (1, 6, 5, 2), buffers), net.activation("y", (1, 1, 1, 2), buffers)
    return net.apply("MUL", inputs, buffers, OUTPUT, **attributes)


def mul(rng: np.random.Generator) -> Model:
    """Products of two tensors, or of one and a value per channel."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 6, int(rng.integers(1, 4))).tolist())
    first, second = random_format(rng, ACTIVATIONS, -12, 30), random_format(rng, ACTIVATIONS, -12, 30)
    a = net.activation("a", shape, first)
    by_channel = [(1, shape[-1]), (*(1 for _ in shape[1:]), shape[-1])][rng.integers(2)]
    b = net.activation("b", shape if rng.random() < 0.5 else by_channel, second)
    magnitude = first.max_int * second.max_int >> int(rng.integers(8))
    form = output_format(rng, (first.frac_bits or 0) + (second.frac_bits or 0), magnitude)
    y = net.apply("MUL", (a, b), form, clamp=random_clamp(rng, form), zero=random_zero(rng, first))
    return net.build((a, b), (y,))


def exact(model: Model, operator: Operator, a: np.ndarray, b: np.ndarray) -> Iterator[Fraction]:
    first, second = (step_of(model, operator, name) for name in ("first input", "second input"))
    for example, multipliers in zip(a, b, strict=True):
        values, factors = example.ravel().tolist(), multipliers.ravel().tolist()
        for position, value in enumerate(values):
            yield (value - operator.zero) * first * (factors[position % len(factors)] * second)


BROKEN = [
    ("y", {"shape": (1, 6, 5, 1)}, "one value for each channel"),
    ("y", {"shape": (1, 1, 2, 2)}, "one value for each channel"),
    ("layer/output", {"shape": (1, 60)}, "output must have shape"),
    ("x", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
]

BROKEN_ATTRIBUTES = [({"zero": 1}, "zero must be 0: it is of unsigned inputs")]

RANDOM = {"mul": mul}
