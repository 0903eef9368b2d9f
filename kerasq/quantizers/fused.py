"""Fixed point in few passes over memory: for training on TensorFlow, where without XLA each operation is a pass of its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

_MAX_BITS = 16  # of the operation that has the gradient
_BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))


def is_for(x: Any, bits: int) -> bool:
    """Whether there is such a form for these values."""
    in_float32 = keras.backend.standardize_dtype(x.dtype) == "float32"
    return keras.backend.backend() == "tensorflow" and in_float32 and bits <= _MAX_BITS


def fixed_point(x: Any, bits: int, low: float, high: float, step: float) -> Any:
    """`x`, limited to [low, high] and rounded to the multiples of `step`, with the gradient where x lies in that range.

    With v = x / step, limited: floor(v + 1/2). In float32 that sum is rounded, too. Where low is 0, the number before 1/2 in its
    place makes it floor(v + 1/2) of real numbers for every v:

        v = k + 1/2               v + 1/2 - 2^-25 = k + 1 - 2^-25 is rounded to k + 1; for k = 0 it is a tie, 1 is even
        v < k + 1/2, the next     v + 1/2 - 2^-25 is k + 1 - 2^-24 for k = 0, below k + 1 by at least 2^-23 for others

    With a sign, v = -1/2 needs 1/2 itself; then v = 1/2 - 2^-25, a single number, becomes 1 instead of 0.
    """
    import tensorflow as tf

    half = _BELOW_HALF if low == 0 else 0.5
    unconverted = tf.autograph.experimental.do_not_convert

    def computed(values: Any) -> Any:
        limited = tf.raw_ops.ClipByValue(t=values * (1 / step), clip_value_min=low / step, clip_value_max=high / step)

        def gradient(upstream: Any) -> Any:
            return tf.quantization.fake_quant_with_min_max_args_gradient(upstream, values, low, high, bits)

        return tf.floor(limited + half) * step, unconverted(gradient)

    return unconverted(tf.custom_gradient(computed))(x)
