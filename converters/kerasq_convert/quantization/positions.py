"""Positions of kernels by what they do to a layer's outputs.

The squared error of a kernel counts all its channels alike. After a BatchNormalization has been folded, channels whose inputs are
nearly always zero have the largest weights, a hundred times those of others: a range that holds them leaves the others nothing.
What counts is the error of the sums, W - q(W) times what examples bring there, and there such channels count for nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerasq.layers import twins
from kerasq.layers.kernel_part import KernelPart
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS
from kerasq.quantizers import FixedPoint, LearnedFixedPoint, Quantizer
from kerasq_convert.quantization.calls import Run

_COARSER, _FINER = 1, 8  # positions that are tried, from the one of the least squared error of the kernel
_MOVES = 2  # bits by which training may make a position coarser without a bias that is finer than the sums


def by_outputs(quantizer: Any, layer: Any, part: KernelPart, calls: Sequence[Run]) -> Quantizer:
    """A quantizer of a kernel, at the position where what the layer returns has the least squared error.

    Args:
        quantizer: A `FixedPoint`, or a `LearnedFixedPoint`, which then begins there.
        layer: The float layer.
        part: Which of its kernels.
        calls: The calls of the layer with examples.
    """
    position = _position(quantizer, layer, part)
    tried = range(position - _COARSER, position + _FINER + 1)
    candidates = [dataclasses.replace(quantizer, frac_bits=n) for n in tried if MIN_FRAC_BITS <= n <= MAX_FRAC_BITS]
    return min(candidates, key=lambda candidate: _error(candidate, layer, part, calls))


def lasting(quantizer: Any, layer: Any) -> int | None:
    """Fractional bits that the kernel behind which a layer adds its bias keeps; `None` where it isn't in fixed point.

    Args:
        quantizer: That of the kernel.
        layer: The float layer.
    """
    if isinstance(quantizer, FixedPoint):
        return int(quantizer.frac_bits)
    if isinstance(quantizer, LearnedFixedPoint):  # `FollowingFixedPoint` is one
        return _position(quantizer, layer, twins.parts_of(layer)[-1]) - _MOVES
    return None


def _position(quantizer: Any, layer: Any, part: KernelPart) -> int:
    """Where the squared error of the kernel is least."""
    if quantizer.frac_bits is not None:
        return int(quantizer.frac_bits)
    kernel = keras.ops.convert_to_tensor(getattr(layer, part.latent))
    return int(quantizer.at(quantizer.initial_state(keras.ops.cast(kernel, "float32"))).frac_bits)


def _error(quantizer: Quantizer, layer: Any, part: KernelPart, calls: Sequence[Run]) -> float:
    """The squared error of what a layer returns with a quantized kernel."""
    kernel = twins.quantized_values(layer, part, quantizer)
    total = 0.0
    with keras.StatelessScope(state_mapping=[(getattr(layer, part.latent), kernel)]):
        for one in calls:
            args, kwargs = one.arguments
            difference = layer(*args, **kwargs) - one.results[0]
            total += float(keras.ops.convert_to_numpy(keras.ops.sum(keras.ops.square(keras.ops.cast(difference, "float32")))))
    return total
