"""A fixed sample of a network's inputs, as batches of NumPy arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasq.inputs import batches as batches_of


class Sample:
    """Batches of inputs, the same ones whenever they are iterated over.

    Args:
        data: An array with the samples along its first axis; for a network of several inputs a tuple, list or dictionary
            (by input name) of arrays; or an iterable of batches such as a `tf.data.Dataset` or a `PyDataset`, each
            batch as `fit` takes it: inputs, or a tuple `(inputs, targets, ...)`; or a list or tuple of arrays, one per input.
            Or a function without arguments that gives any of these, as the converter's datasets may be.
        batch_size: Samples per batch, where `data` is arrays.
        batches: How many batches to take (and keep in memory), where `data` is an iterable. Arrays are used whole.

    Raises:
        ValueError: There are no samples, or the arrays differ in length.
    """

    def __init__(self, data: Any, batch_size: int, batches: int) -> None:
        for name, value in (("batch_size", batch_size), ("batches", batches)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        self._open: list[bool] = []
        if callable(data) and not isinstance(data, Iterable) and not hasattr(data, "__getitem__"):
            data = data()
        if _is_array(data) or isinstance(data, (tuple, list, dict)):
            arrays = _as_arrays(data)
            self._batches: Sequence[Any] = _Slices(arrays, batch_size)
        elif isinstance(data, Iterable) or hasattr(data, "__getitem__"):
            taken = list(itertools.islice(batches_of(data), batches))
            self._open = [_is_open(batch) for batch in taken]
            inputs = (
                batch if is_open else keras.utils.unpack_x_y_sample_weight(batch)[0]
                for batch, is_open in zip(taken, self._open, strict=True)
            )
            self._batches = [_as_arrays(batch) for batch in inputs]
        else:
            raise ValueError(
                "`data` must be an array, a tuple, list or dictionary of arrays, or an iterable of batches. "
                f"Received: data={data!r}"
            )
        self.size = sum(_length(batch) for batch in self._batches)
        if not self.size:
            raise ValueError("`data` holds no samples: at least one is needed")

    def settle(self, inputs: int) -> None:
        """Tells how many inputs the network has: a tuple of as many arrays is the inputs, any other is inputs and targets."""
        if self._open:
            pairs = zip(self._batches, self._open, strict=True)
            self._batches = [batch[0] if is_open and len(batch) != inputs else batch for batch, is_open in pairs]
            self._open = []

    def __iter__(self) -> Iterator[Any]:
        """Batches of the structure of `data`."""
        return iter(self._batches)


class _Slices(Sequence[Any]):
    """Batches cut from arrays, without copying them."""

    def __init__(self, arrays: Any, batch_size: int) -> None:
        self._arrays, self._batch_size = arrays, batch_size
        self._length = -(-_length(arrays) // batch_size)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._length:
            raise IndexError(index)
        rows = slice(index * self._batch_size, (index + 1) * self._batch_size)
        return keras.tree.map_structure(lambda array: array[rows], self._arrays)


def _is_open(batch: Any) -> bool:
    """Whether only the network tells if these are inputs, or inputs and targets (Keras takes a list for a tuple here)."""
    return isinstance(batch, (tuple, list)) and len(batch) > 1 and all(map(_is_array, batch))


def _is_array(data: Any) -> bool:
    return hasattr(data, "__array__")


def _as_arrays(data: Any) -> Any:
    return keras.tree.map_structure(np.asarray, data)


def _length(arrays: Any) -> int:
    lengths = [len(array) if array.ndim else 0 for array in keras.tree.flatten(arrays)]
    if len(set(lengths)) > 1:
        raise ValueError(f"All inputs need the same number of samples. Received: {lengths} samples")
    return lengths[0] if lengths else 0
