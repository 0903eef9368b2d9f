"""Powers of two with an exponent that is a tensor, exactly: `pow` and `exp2` of some backends miss them by a unit."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS

_LARGEST = MAX_FRAC_BITS  # of an exponent's magnitude: 2^63 and 2^-63 are float32 numbers
_POWERS = np.ldexp(1.0, np.arange(-_LARGEST, _LARGEST + 1))


def power_of_two(exponent: Any, dtype: str) -> Any:
    """2 to a whole exponent of at most 63 in magnitude, for a tensor of them; no gradient passes."""
    return ops.take(ops.convert_to_tensor(_POWERS.astype(dtype)), ops.cast(ops.stop_gradient(exponent), "int32") + _LARGEST)


def range_exponent(largest: Any) -> Any:
    """The least whole e with 2^e >= `largest`, up to float rounding; 0 for 0, of which nothing is known."""
    known = ops.where(largest > 0, ops.maximum(largest, 2.0**-_LARGEST), ops.ones_like(largest))
    return ops.ceil(ops.log2(known) - 1e-5)


def limited_exponent(exponent: Any, magnitude_bits: int) -> Any:
    """`exponent` of the end of a range of `magnitude_bits` bits, where a format with so many fractional bits exists."""
    low, high = magnitude_bits - MAX_FRAC_BITS, magnitude_bits - MIN_FRAC_BITS
    return ops.clip(exponent, float(low), float(high))


def frac_bits_of(exponent: Any, magnitude_bits: int) -> int:
    """The fractional bits of a range that ends at 2^exponent; `exponent` is not symbolic."""
    return magnitude_bits - int(np.asarray(keras.ops.convert_to_numpy(exponent)).item())
