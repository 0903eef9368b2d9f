"""GATHER: tables of every storage, numbers within and beyond them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from networks import NetworkBuilder, random_stored
from operator_cases.drawn import ACTIVATIONS, output_format, random_clamp, random_format
from operator_cases.exact import step
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    """Its output is in the table's format where that is one of activations."""
    numbers = net.activation("x", (1, 6, 5), f"{q(buffers).family}_0")
    table = net.constant("table", np.arange(60).reshape(15, 4) % 50, buffers)
    return net.apply("GATHER", (numbers, table), buffers, OUTPUT, **attributes)


def gather(rng: np.random.Generator) -> Model:
    """Of tables of one row and of many; most outputs have the table's format, where they can."""
    net = NetworkBuilder()
    numbers = random_format(rng, ACTIVATIONS).with_frac_bits(0)
    x = net.activation("x", (1, *rng.integers(1, 5, int(rng.integers(1, 3))).tolist()), numbers)
    source = random_format(rng, ("FIXED2", "FIXED4", "FIXED8", "UFIXED8", "FIXED16", "UFIXED16", "SIGN"))
    shape = (int(rng.choice([1, 2, 30, 200, 300])), int(rng.choice([1, 3, 16, 33])))
    table = net.constant("table", random_stored(rng, source, shape), source)
    form = output_format(rng, source.frac_bits or 0, max(source.largest_magnitude, 1))
    if source.family in ACTIVATIONS and rng.random() < 0.7:
        form = source
    y = net.apply("GATHER", (x, table), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """The value of the row that a number stands for: the first or the last where there is none."""
    table = ops.operand(model, operator, "table")
    assert table is not None
    assert table.data is not None
    rows, scale = table.data.tolist(), step(table.format)
    for number in x.ravel().tolist():
        yield from (value * scale for value in rows[min(max(number, 0), len(rows) - 1)])


BROKEN = [
    ("table", {"shape": (60,)}, "table must have 2 axes"),
    ("table", {"shape": (12, 5)}, "output must have 150 elements"),
    ("table", {"format": q("FIXED32_4")}, "table must be one of"),
    ("x", {"format": q("UFIXED8_1")}, "input must hold whole numbers"),
    ("x", {"format": q("FIXED16_-1")}, "input must hold whole numbers"),
    ("layer/output", {"shape": (1, 6, 4)}, "output must have 120 elements"),
]

RANDOM = {"gather": gather}
