"""kerasq/NUMERICS.md once more, independent of the package's arithmetic: exact rationals, one output value at a time.

A stored integer is turned into its real value, the operator is computed on reals (Python integers and fractions, `exact` of its
case in tests/operator_cases), and the result is rounded to the output's format: floor(value / step + 1/2), saturated, clamped.
"""

from __future__ import annotations

import numpy as np

from kerasq.format.model import Model, Operator
from operator_cases.cases import CASES
from operator_cases.exact import float32, step, store

__all__ = ["compute", "float32", "step", "store"]


def compute(model: Model, operator: Operator, *inputs: np.ndarray) -> np.ndarray:
    """Stored output of an integer operator for batches of stored inputs."""
    output = model.output(operator)
    shape = (len(inputs[0]), *output.shape[1:])
    values = CASES[operator.kind].exact(model, operator, *inputs)
    stored = np.array([store(value, output.format, operator.clamp) for value in values])
    return stored.reshape(shape).astype(output.format.dtype)
