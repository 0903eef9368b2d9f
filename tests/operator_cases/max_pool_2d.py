"""MAX_POOL_2D: with partial windows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases import pooling
from operator_cases.rules import q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    return pooling.valid("MAX_POOL_2D", net, buffers, **attributes)


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    return (max(taps) * scale for taps, scale in pooling.taps_of(model, operator, x))


BROKEN = [
    ("layer/output", {"format": q("FIXED8_3")}, "input's format"),
    ("x", {"shape": (1, 30, 2)}, "must have 4 axes"),
]

BROKEN_ATTRIBUTES = pooling.RULES

RANDOM = {}  # drawn with those of AVERAGE_POOL_2D
