"""LOOKUP: tables of any entries, for 8 and 16 bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from networks import NetworkBuilder, random_stored
from operator_cases.drawn import ACTIVATIONS, random_clamp, random_format
from operator_cases.exact import step
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    table = net.constant("table", np.arange(256 if "8_" in buffers else 513) % 100, buffers)
    return net.apply("LOOKUP", (net.activation("x", (1, 6, 5, 2), buffers), table), buffers, OUTPUT, **attributes)


def lookup(rng: np.random.Generator) -> Model:
    """Tables of any entries, for 8 and 16 bits."""
    net = NetworkBuilder()
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", (1, *rng.integers(1, 6, int(rng.integers(1, 4))).tolist()), source)
    form = random_format(rng, ACTIVATIONS)
    table = net.constant("table", random_stored(rng, form, (256 if source.bits == 8 else 513,)), form)
    y = net.apply("LOOKUP", (x, table), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """Between knots the line, rounded to the grid of the entries: halves up."""
    source, table = (ops.operand(model, operator, name) for name in ("input", "table"))
    assert source is not None
    assert table is not None
    assert table.data is not None
    entries, scale = table.data.tolist(), step(table.format)
    for value in x.ravel().tolist():
        place = value - source.format.min_int
        if source.format.bits == 8:
            yield entries[place] * scale
        else:
            knot, low = place // 128, place % 128
            line = entries[knot] + Fraction(entries[knot + 1] - entries[knot]) * low / 128
            yield math.floor(line + Fraction(1, 2)) * scale


BROKEN = [
    ("x", {"format": q("FLOAT32")}, "input must be fixed"),
    ("x", {"format": q("FIXED16_4")}, r"must have shape \(513,\)"),
    ("table", {"shape": (255,)}, r"must have shape \(256,\)"),
    ("table", {"format": q("FIXED8_3")}, "table must have the output's format"),
    ("table", {"format": q("SIGN")}, "table must be one of"),
    ("layer/output", {"format": q("FLOAT32")}, "table must have the output's format"),
    ("layer/output", {"shape": (1, 60)}, "output must have shape"),
]

RANDOM = {"lookup": lookup}
