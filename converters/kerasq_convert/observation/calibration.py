"""Observing a network: statistics of every activation over a representative dataset."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from kerasq.format import Model
from kerasq.interpreter import Interpreter
from kerasq.interpreter.batches import inputs_of
from kerasq.progress import Progress
from kerasq.statistics import Statistics
from kerasq_convert.examples.dataset import Dataset, load_dataset
from kerasq_convert.examples.stored_examples import open_examples


def calibrate(
    model: Model, dataset: Dataset, *, ordered: bool = True, verbose: bool = False, examples: int = 0
) -> tuple[Statistics, list[np.ndarray]]:
    """Statistics of every activation of `model`, which computes in FLOAT32, over `dataset`; and its first `examples`."""
    interpreter = Interpreter(model_content=model, engine="reference", max_bytes=None)
    inputs = inputs_of(model)
    statistics = Statistics()
    first: list[list[np.ndarray]] = []
    kept = 0
    if isinstance(dataset, str | os.PathLike):
        dataset = open_examples(pathlib.Path(dataset), inputs, ordered=ordered)
    total = len(dataset) if isinstance(dataset, np.ndarray) and dataset.ndim else None
    with Progress("observing activations", total, "examples", enabled=verbose) as progress:
        for arrays in load_dataset(dataset, inputs, ordered=ordered):
            floats = [array.astype(np.float32) for array in arrays]
            interpreter.observe(floats, statistics.add)
            if kept < examples:
                first.append(floats)
                kept += len(floats[0])
            progress.advance(len(floats[0]))
    return statistics, [np.concatenate(parts)[:examples] for parts in zip(*first, strict=True)]
