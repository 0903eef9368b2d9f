"""A representative dataset, in whatever form it comes, as batches of a network's inputs."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasq.inputs import Input, batch_in_order, batches, is_array, with_batch_axis
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.finite import Finite
from kerasq_convert.examples.stored_examples import open_examples

BATCH = 16
EXAMPLES = 256  # the first of a dataset, that repairs, searches and comparisons look at again
TUNED = 1024  # the first of a dataset, of which rounding is learned from every second one
Dataset = np.ndarray | str | os.PathLike | Callable[[], Iterable[Any]] | Iterable[Any]


def load_dataset(source: Dataset, inputs: Sequence[Input], *, ordered: bool = True) -> Iterator[list[np.ndarray]]:
    """Batches of the network's inputs, in its order.

    Args:
        source: Path that `stored_examples.open_examples` takes; all examples, as `kerasq.inputs.in_order` takes arrays
            `(count, ...)`; or (as TFLite's converter takes it) a callable without arguments, or an iterable, that yields batches
            in these forms, or as `fit` takes them, with targets beside the inputs.
        inputs: The network's.
        ordered: Whether their order is the network's own.

    Raises:
        ConversionError: The file, the names or the shapes are wrong, values are not finite (all rows are named, once the whole
            dataset was read), or there is nothing at all.
    """
    if isinstance(source, str | os.PathLike):
        source = open_examples(pathlib.Path(source), inputs, ordered=ordered)
    elif callable(source) and not is_array(source):
        source = source()
    if _is_whole(source, inputs):
        arrays = _arrays(source, inputs, ordered)
        source = [[array[start : start + BATCH] for array in arrays] for start in range(0, len(arrays[0]), BATCH)]
        ordered = True
    try:
        parts = batches(source)
    except TypeError:
        expected = "arrays, a path, or a callable or iterable that yields arrays was expected"
        raise ConversionError("representative dataset", [f"{expected}. Received: {type(source).__name__}"]) from None
    count = 0
    finite = Finite([f"array {number} ({input_.name!r})" for number, input_ in enumerate(inputs)])
    for batch in parts:
        arrays = _arrays(batch, inputs, ordered)
        finite.add(arrays, count)
        count += len(arrays[0])
        if not any(True for _ in finite.problems()):
            yield arrays
    if problems := list(finite.problems()):
        raise ConversionError("representative dataset", problems)
    if not count:
        raise ConversionError("representative dataset", ["it is empty: give some hundred examples of what the network will see"])


def _is_whole(source: Any, inputs: Sequence[Input]) -> bool:
    """Whether these are all examples rather than batches of them. (A batch for several inputs is never an array.)"""
    listed = isinstance(source, list | tuple) and len(inputs) > 1 and any(map(is_array, source))
    return is_array(source) or isinstance(source, Mapping) or listed


def _arrays(batch: Any, inputs: Sequence[Input], ordered: bool) -> list[np.ndarray]:
    try:
        arrays = [np.asarray(part) for part in batch_in_order(batch, inputs, ordered=ordered)]
        arrays, _ = with_batch_axis(arrays, inputs)
    except ValueError as error:
        raise ConversionError("representative dataset", [str(error)]) from error
    _check(arrays, inputs)
    return arrays


def _check(arrays: list[np.ndarray], inputs: Sequence[Input]) -> None:
    if not all(input_.fits(array) for input_, array in zip(inputs, arrays, strict=True)):
        expected = ", ".join(f"({', '.join(map(str, ('count', *input_.shape[1:])))}) for {input_.name!r}" for input_ in inputs)
        received = ", ".join(str(array.shape) for array in arrays)
        raise ConversionError("representative dataset", [f"the network takes arrays of shape {expected}. Received: {received}"])
    if len({len(array) for array in arrays}) > 1:
        counts = [len(array) for array in arrays]
        raise ConversionError("representative dataset", [f"its arrays must have as many examples each. Received: {counts}"])
    for array in arrays:
        if array.dtype.kind not in "iuf":
            raise ConversionError("representative dataset", [f"it must hold real numbers. Received: dtype={array.dtype}"])
