"""AVERAGE_POOL_2D: with partial windows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases import pooling
from operator_cases.rules import q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    return pooling.valid("AVERAGE_POOL_2D", net, buffers, **attributes)


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    return (Fraction(sum(taps), len(taps)) * scale for taps, scale in pooling.taps_of(model, operator, x))


BROKEN = [
    ("layer/output", {"format": q("FIXED8_29")}, "differ by at most 24"),
    ("layer/output", {"format": q("FIXED8_-21")}, "differ by at most 24"),
]

BROKEN_ATTRIBUTES = [*pooling.RULES, ({"window": (65535, 65535)}, "at most 16777216 taps")]

RANDOM = {"pooling": pooling.pooling}
