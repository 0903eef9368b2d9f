"""TRANSPOSE: axes that change places, into shapes of any rank."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, random_clamp, random_format
from operator_cases.exact import step_of
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    attributes = {"window": (5, 3), "groups": 2, **attributes}
    return net.apply(
        "TRANSPOSE",
        (net.activation("x", (1, 6, 5, 2), buffers),),
        buffers,
        OUTPUT,
        (1, 60),
        **attributes,
    )


def transpose(rng: np.random.Generator) -> Model:
    """Axes that change places, into shapes of any rank."""
    net = NetworkBuilder()
    a, b, c, d = rng.integers(1, 5, 4).tolist()
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", [(1, a, b, c * d), (1, a * b * c, d), (1, a * b * c * d)][rng.integers(3)], source)
    shape = [(1, a, c, b * d), (1, a * c * b * d), (1, c, a, b * d)][rng.integers(3)]
    y = net.apply("TRANSPOSE", (x,), source, shape=shape, window=(b, c), groups=d, clamp=random_clamp(rng, source))
    return net.build((x,), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    scale, (rows, columns), together = step_of(model, operator, "input"), operator.window, operator.groups
    for example in x:
        values = example.ravel().tolist()
        for image in range(0, len(values), rows * columns * together):
            for column, row, place in product(range(columns), range(rows), range(together)):
                yield values[image + (row * columns + column) * together + place] * scale


BROKEN = [
    ("layer/output", {"format": q("UFIXED8_4")}, "input's format"),
    ("layer/output", {"shape": (1, 59)}, "must have 60 elements"),
    ("x", {"shape": (1, 6, 5, 1)}, "must have 30 elements"),
    ("x", {"shape": (1, 6, 5, 3)}, "must have 90 elements"),
    ("x", {"shape": (1, 6, 7, 2)}, "divide the 84 elements"),
]

BROKEN_ATTRIBUTES = [
    ({"window": (0, 3)}, "must be at least 1"),
    ({"groups": 0}, "must be at least 1"),
    ({"groups": 7}, "divide the 60 elements"),
    ({"window": (2**16, 2**16)}, "divide the 60 elements"),
]

RANDOM = {"transpose": transpose}
