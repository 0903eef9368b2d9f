"""CONCAT: two to five tensors of any formats."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq.format.model import Model, Operator
from kerasq.qformat import QFormat
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, random_clamp, random_format
from operator_cases.exact import step
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    inputs = tuple(net.activation(name, (1, 6, 5, 2), buffers) for name in ("x", "y", "z"))
    return net.apply("CONCAT", inputs, buffers, OUTPUT, **attributes)


def concat(rng: np.random.Generator) -> Model:
    """Two to five tensors of any formats."""
    net = NetworkBuilder()
    pixels = (1, *rng.integers(1, 5, int(rng.integers(0, 3))).tolist())
    form = random_format(rng, ACTIVATIONS)
    inputs = []
    for number in range(int(rng.integers(2, 6))):
        source = form if rng.random() < 0.3 else random_format(rng, ACTIVATIONS)
        inputs.append(net.activation(f"x{number}", (*pixels, int(rng.integers(1, 6))), source))
    form = form if rng.random() < 0.8 else QFormat.parse("FLOAT32")
    y = net.apply("CONCAT", tuple(inputs), form, clamp=random_clamp(rng, form))
    return net.build(tuple(inputs), (y,))


def exact(model: Model, operator: Operator, *arrays: np.ndarray) -> Iterator[Fraction]:
    steps = [step(model.tensors[index].format) for index in operator.inputs]
    rows = [part.reshape(-1, part.shape[-1]).tolist() for part in arrays]
    for row in range(len(rows[0])):
        for scale, part in zip(steps, rows, strict=True):
            yield from (value * scale for value in part[row])


BROKEN = [
    ("y", {"shape": (1, 6, 4, 2)}, "differ in the last axis only"),
    ("y", {"shape": (1, 30, 2)}, "differ in the last axis only"),
    ("z", {"shape": (1, 6, 5, 3)}, "output must have shape"),
    ("z", {"format": q("FIXED16_63")}, "accumulator_bits must be 64"),
]

RANDOM = {"concat": concat}
