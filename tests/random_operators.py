"""Models of one random operator each: shapes, windows, formats and shifts all over what the file format allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasq import ops
from kerasq.format.model import Model
from kerasq.ops import Overlap
from operator_cases.cases import CASES
from operator_cases.drawn import ACTIVATIONS, magnitude, output_format, random_clamp, random_format, random_zero

__all__ = [
    "ACTIVATIONS",
    "OPERATORS",
    "OVERLAPPING",
    "magnitude",
    "output_format",
    "random_clamp",
    "random_format",
    "random_model",
    "random_zero",
]

OPERATORS: dict[str, Callable[[np.random.Generator], Model]] = {
    name: make for case in CASES.values() for name, make in case.RANDOM.items()
}
# Those whose output may lie over an operand.
OVERLAPPING = tuple(
    name
    for kind, case in CASES.items()
    for name in case.RANDOM
    if any(operand.overlap is not Overlap.NEVER for operand in ops.TABLE[kind].operands)
)


def random_model(kind: str, seed: int) -> Model:
    """The model of a seed; parameters that no accumulator holds are drawn again."""
    rng = np.random.default_rng([seed, *kind.encode()])
    while True:
        try:
            return OPERATORS[kind](rng)
        except OverflowError:
            continue
