"""SOFTMAX: in integers, with a table; tests/ops/test_softmax.py has more."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat
from networks import NetworkBuilder
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    table = net.constant("table", exponentials(QFormat.parse(buffers)), "UFIXED16_15")
    return net.apply("SOFTMAX", (net.activation("x", (1, 10), buffers), table), buffers, OUTPUT, **attributes)


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    """The page's integers: rounding e is part of the definition, so reals would not do."""
    source, table = (ops.operand(model, operator, name) for name in ("input", "table"))
    assert source is not None
    assert table is not None
    assert table.data is not None
    entries = table.data.tolist()
    for scores in x.reshape(-1, x.shape[-1]).tolist():
        distances = [max(scores) - score for score in scores]
        if source.format.bits == 8:
            powers = [entries[distance] for distance in distances]
        else:
            powers = [(entries[d // 256] * entries[256 + d % 256] + 2**14) // 2**15 for d in distances]
        yield from (Fraction(power, sum(powers)) for power in powers)


BROKEN = [
    ("x", {"shape": (1,)}, "axis after the batch axis"),
    ("x", {"format": q("FLOAT32")}, "input and output must be fixed"),
    ("layer/output", {"format": q("FLOAT32")}, "input and output must be fixed"),
    ("layer/output", {"format": q("FIXED16_17")}, "0 to 16 fractional bits"),
    ("layer/output", {"format": q("FIXED8_-1")}, "0 to 16 fractional bits"),
    ("x", {"format": q("FIXED16_8")}, r"must have shape \(512,\)"),
    ("table", {"shape": (255,)}, r"must have shape \(256,\)"),
    ("table", {"format": q("UFIXED16_14")}, "table must be UFIXED16_15"),
    ("table", {"data": np.zeros(256, np.uint16)}, "must begin with it"),
    ("table", {"data": np.full(256, 32769, np.uint16)}, "must not exceed 32768"),
    ("x", {"shape": (1, 65537)}, "at most 65536 classes"),
]

RANDOM = {}  # tests/ops/test_softmax.py goes through its formats
