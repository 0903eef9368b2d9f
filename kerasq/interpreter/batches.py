"""What `predict` takes and how it is cut: arrays of values or of stored integers, checked once, converted piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq.format.model import Model, Tensor
from kerasq.inputs import Input, as_array, in_order, with_batch_axis

# Gets the index of a tensor and its stored values for a batch.
Observer = Callable[[int, np.ndarray], object]

# Activations of one batch: with those of about this size, input and output of an operator stay in the cache.
_ACTIVATION_BYTES = 1 << 20
_MAX_BATCH = 64


class Batches:
    """The inputs of a network for any number of examples.

    Args:
        model: The network.
        x: What `kerasq.inputs.in_order` takes, of arrays with a batch axis, or all without one.

    Attributes:
        examples: How many there are.
        single: Whether the arrays came without a batch axis.
        are_stored: Whether all arrays are of stored integers (float numbers for a FLOAT32 input).

    Raises:
        ValueError: Names, number of arrays, shapes or batch sizes don't fit.
        TypeError: Something is no array of real numbers.
    """

    def __init__(self, model: Model, x: Any) -> None:
        inputs = inputs_of(model)
        self._tensors = [model.tensors[index] for index in model.inputs]
        arrays = [as_array(part, entry.name) for part, entry in zip(in_order(x, inputs), inputs, strict=True)]
        self._arrays, self.single = with_batch_axis(arrays, inputs)
        for entry, array in zip(inputs, self._arrays, strict=True):
            if not entry.fits(array):
                expected = ", ".join(["batch", *map(str, entry.shape[1:])])
                raise ValueError(f"Input {entry.name!r} must have shape ({expected}). Received: shape={array.shape}")
        sizes = {len(array) for array in self._arrays}
        if len(sizes) > 1:
            raise ValueError(f"All inputs must have the same batch size. Received: {[len(array) for array in self._arrays]}")
        self.examples = sizes.pop()
        types = [tensor.format.dtype for tensor in self._tensors]
        self.are_stored = types == [array.dtype for array in self._arrays]

    def stored(self, examples: slice) -> list[np.ndarray]:
        """Stored values of some of the examples, for each input."""
        return [_stored(tensor, array[examples]) for tensor, array in zip(self._tensors, self._arrays, strict=True)]


def inputs_of(model: Model) -> list[Input]:
    """The inputs of a network in its order."""
    tensors = model.tensors
    return [Input(name, tensors[index].shape, tensors[index].name) for name, index in model.named_inputs().items()]


def _stored(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    return array if array.dtype == tensor.format.dtype else tensor.format.quantize(array)


def fast_batch_size(model: Model) -> int:
    """A batch size that is fast: activations of a batch stay in the cache, yet calls are few."""
    largest = max(tensor.nbytes for tensor in model.activations())
    return int(np.clip(_ACTIVATION_BYTES // largest, 1, _MAX_BATCH))


def slices(examples: int, size: int) -> list[slice]:
    """Consecutive slices of `size` examples, the last one shorter."""
    return [slice(first, min(first + size, examples)) for first in range(0, examples, size)]


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
