"""Observing a network: statistics of every activation over a representative dataset."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from kerasq.format import Model
from kerasq.interpreter import Interpreter
from kerasq.progress import Progress
from kerasq.statistics import Statistics
from kerasq_convert.errors import ConversionError
from kerasq_convert.stored_examples import open_examples

BATCH = 16
Dataset = np.ndarray | str | os.PathLike | Callable[[], Iterable[Any]] | Iterable[Any]


def load_dataset(source: Dataset, shapes: list[tuple[int, ...]]) -> Iterator[list[np.ndarray]]:
    """Batches of the network's inputs.

    Args:
        source: Path that `stored_examples.open_examples` takes, an array `(count, ...)`, or (as TFLite's converter takes it) a
            callable without arguments, or an iterable, that yields arrays or lists of arrays, one per input.
        shapes: Shape of each input, batch axis 1.

    Raises:
        ConversionError: The file or the shapes are wrong, values are not finite, or there is nothing at all.
    """
    if isinstance(source, str | os.PathLike):
        source = open_examples(pathlib.Path(source), shapes)
    if isinstance(source, np.ndarray):
        array = source if source.ndim in (0, len(shapes[0])) else source[None]
        _check([array], shapes)
        source = (array[start : start + BATCH] for start in range(0, len(array), BATCH))
    elif callable(source):
        source = source()
    if not isinstance(source, Iterable):
        expected = "an array, a path, or a callable or iterable that yields arrays was expected"
        raise ConversionError("representative dataset", [f"{expected}. Received: {type(source).__name__}"])
    count = 0
    for batch in source:
        arrays = [np.asarray(part) for part in (batch if isinstance(batch, list | tuple) else [batch])]
        _check(arrays, shapes)
        count += len(arrays[0])
        yield arrays
    if not count:
        raise ConversionError("representative dataset", ["it is empty: give some hundred examples of what the network will see"])


def _check(arrays: list[np.ndarray], shapes: list[tuple[int, ...]]) -> None:
    found = [array.shape for array in arrays]
    if len(found) != len(shapes) or any(a[1:] != tuple(b[1:]) for a, b in zip(found, shapes, strict=True)):
        expected = ", ".join(str(("count", *shape[1:])) for shape in shapes)
        raise ConversionError(
            "representative dataset",
            [f"the network takes arrays of shape {expected}. Received: {', '.join(map(str, found))}"],
        )
    for array in arrays:
        if array.dtype.kind not in "iuf":
            raise ConversionError("representative dataset", [f"it must hold real numbers. Received: dtype={array.dtype}"])
        with np.errstate(over="ignore"):
            unusable = int(np.count_nonzero(~np.isfinite(array.astype(np.float32))))
        if unusable:
            found_ones = f"{unusable} that are NaN, infinite or beyond float32"
            raise ConversionError("representative dataset", [f"it must hold finite numbers only. Received: {found_ones}"])


def observe(model: Model, dataset: Dataset, *, verbose: bool = False, examples: int = 0) -> tuple[Statistics, list[np.ndarray]]:
    """Statistics of every activation of `model`, which computes in FLOAT32, over `dataset`; and its first `examples`."""
    interpreter = Interpreter(model_content=model, engine="reference", max_bytes=None)
    shapes = [model.tensors[index].shape for index in model.inputs]
    statistics = Statistics()
    first: list[list[np.ndarray]] = []
    kept = 0
    if isinstance(dataset, str | os.PathLike):
        dataset = open_examples(pathlib.Path(dataset), shapes)
    total = len(dataset) if isinstance(dataset, np.ndarray) and dataset.ndim else None
    with Progress("observing activations", total, "examples", enabled=verbose) as progress:
        for arrays in load_dataset(dataset, shapes):
            floats = [array.astype(np.float32) for array in arrays]
            interpreter.observe(floats if len(floats) > 1 else floats[0], statistics.add)
            if kept < examples:
                first.append(floats)
                kept += len(floats[0])
            progress.advance(len(floats[0]))
    return statistics, [np.concatenate(parts)[:examples] for parts in zip(*first, strict=True)]
