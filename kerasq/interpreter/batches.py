"""What `predict` takes and how it is cut: arrays of values or of stored integers, checked once, converted piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasq.format.model import Model, Tensor

# Gets the index of a tensor and its stored values for a batch.
Observer = Callable[[int, np.ndarray], object]

# Activations of one batch: with those of about this size, input and output of an operator stay in the cache.
_ACTIVATION_BYTES = 1 << 20
_MAX_BATCH = 64


class Batches:
    """The inputs of a network for any number of examples.

    Args:
        model: The network.
        x: An array with a batch axis; a list or tuple of arrays where the network has several inputs.

    Raises:
        ValueError: Number of arrays, shapes or batch sizes don't fit.
        TypeError: An element type fits neither values nor stored integers.
    """

    def __init__(self, model: Model, x: Any) -> None:
        self._tensors = [model.tensors[index] for index in model.inputs]
        self._arrays = [np.asarray(array) for array in _per_input(self._tensors, x)]
        for tensor, array in zip(self._tensors, self._arrays, strict=True):
            _check(tensor, array)
        sizes = {len(array) for array in self._arrays}
        if len(sizes) > 1:
            raise ValueError(f"All inputs must have the same batch size. Received: {[len(array) for array in self._arrays]}")
        self.examples = sizes.pop()

    def stored(self, examples: slice) -> list[np.ndarray]:
        """Stored values of some of the examples, for each input."""
        return [_stored(tensor, array[examples]) for tensor, array in zip(self._tensors, self._arrays, strict=True)]


def _per_input(tensors: Sequence[Tensor], x: Any) -> Sequence[Any]:
    if len(tensors) == 1:
        return [x]
    if not isinstance(x, (list, tuple)) or len(x) != len(tensors):
        names = ", ".join(repr(tensor.name) for tensor in tensors)
        received = f"{len(x)} arrays" if isinstance(x, (list, tuple)) else type(x).__name__
        raise ValueError(f"The network has {len(tensors)} inputs ({names}): pass a list of as many arrays. Received: {received}")
    return x


def _check(tensor: Tensor, array: np.ndarray) -> None:
    if array.ndim != len(tensor.shape) or array.shape[1:] != tensor.shape[1:]:
        expected = ", ".join(["batch", *map(str, tensor.shape[1:])])
        raise ValueError(f"Input {tensor.name!r} must have shape ({expected}). Received: shape={array.shape}")
    stored = tensor.format.dtype
    if array.dtype == stored or np.issubdtype(array.dtype, np.floating):
        return
    if not (tensor.format.is_float and np.issubdtype(array.dtype, np.integer)):
        raise TypeError(
            f"Input {tensor.name!r} is {tensor.format}: pass values as floats, or stored integers as {stored}. "
            f"Received: dtype={array.dtype}"
        )


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
