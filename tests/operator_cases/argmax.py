"""ARGMAX: of rows with equal values, in every format."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, random_clamp, random_format
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    return net.apply("ARGMAX", (net.activation("x", (1, 6, 10), buffers),), "UFIXED8_0", OUTPUT, **attributes)


def argmax(rng: np.random.Generator) -> Model:
    """Over up to 600 classes, alone or for each of several places."""
    net = NetworkBuilder()
    classes = int(rng.choice([1, 2, 3, 10, 17, 255, 256, 257, 600]))
    x = net.activation("x", (1, *rng.integers(1, 5, int(rng.integers(0, 3))).tolist(), classes), random_format(rng, ACTIVATIONS))
    form = q(str(rng.choice(["UFIXED16_0", "FLOAT32", *(["UFIXED8_0"] * (2 if classes <= 256 else 0))])))
    y = net.apply("ARGMAX", (x,), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """The first place of the largest: what is larger than all before it and at least as large as all behind it."""
    for row in x.reshape(-1, x.shape[-1]).tolist():
        yield Fraction(row.index(max(row)))


BROKEN = [
    ("x", {"shape": (1,)}, "axis after the batch axis"),
    ("x", {"shape": (1, 6, 257)}, "UFIXED8_0 tells at most 256 classes apart"),
    ("layer/output", {"format": q("FIXED8_0")}, "output must be UFIXED8_0, UFIXED16_0 or FLOAT32"),
    ("layer/output", {"format": q("UFIXED8_1")}, "output must be UFIXED8_0, UFIXED16_0 or FLOAT32"),
    ("layer/output", {"shape": (1, 7)}, "output must have 6 elements"),
    ("x", {"shape": (1, 6, 65537)}, "at most 256 classes"),
]

RANDOM = {"argmax": argmax}
