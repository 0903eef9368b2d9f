"""ADD: of two formats."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, output_format, random_clamp, random_format
from operator_cases.exact import step_of
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    inputs = net.activation("x", (1, 6, 5, 2), buffers), net.activation("y", (1, 6, 5, 2), buffers)
    return net.apply("ADD", inputs, buffers, OUTPUT, **attributes)


def add(rng: np.random.Generator) -> Model:
    """Sums of two formats, up to 32 fractional bits apart."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 6, 3).tolist())
    first = random_format(rng, ACTIVATIONS, -20, 50)
    apart = int(rng.choice([0, 1, -3, int(rng.integers(-32, 33))]))
    second = random_format(rng, ACTIVATIONS).with_frac_bits(int(np.clip((first.frac_bits or 0) + apart, -32, 63)))
    a, b = net.activation("a", shape, first), net.activation("b", shape, second)
    finer = max(first.frac_bits or 0, second.frac_bits or 0)
    coarser = min(first.frac_bits or 0, second.frac_bits or 0)
    form = output_format(rng, finer, second.max_int << (finer - coarser))
    y = net.apply("ADD", (a, b), form, clamp=random_clamp(rng, form))
    return net.build((a, b), (y,))


def exact(model: Model, operator: Operator, a: np.ndarray, b: np.ndarray) -> Iterator[Fraction]:
    first, second = (step_of(model, operator, name) for name in ("first input", "second input"))
    for left, right in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        yield left * first + right * second


BROKEN = [
    ("y", {"shape": (1, 6, 5, 1)}, "must have the same shape"),
    ("y", {"format": q("FIXED8_37")}, "differ by at most 32"),
    ("layer/output", {"shape": (1, 60)}, "output must have shape"),
]

RANDOM = {"add": add}
