"""What operators that compute in float share: reading any input as its value, writing any output format."""

from __future__ import annotations

import numpy as np

from kerasq.format.model import Operator
from kerasq.ops.requantization import limits
from kerasq.qformat import QFormat


def values(source: QFormat, stored: np.ndarray) -> np.ndarray:
    """Stored values as float32 values; a FLOAT32 array is returned itself."""
    return stored if source.is_float else source.dequantize(stored)


def store(results: np.ndarray, output: QFormat, operator: Operator) -> np.ndarray:
    """float32 `results` as stored values of `output`, clamped; NaN becomes 0 in a fixed output."""
    if not output.is_float:
        return np.clip(output.quantize(results), *limits(output, operator))
    return results if operator.clamp is None else np.clip(results, *operator.clamp)
