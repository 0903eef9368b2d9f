"""What an opened model is to an evaluation, whatever its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Input(NamedTuple):
    """An input of a model: `None` in place of a size, or of all, stands for any."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class Source:
    """A model as it was found in its file.

    Attributes:
        inputs: What it takes; `None` where only running the model would tell.
        run: Takes a batch of the only input and returns the outputs: one array, or a list or dict of arrays.
        model_bytes: Bytes of the .kq or .tflite file, or of the values that a float model needs for inference, as float32.
        arena_bytes: Computes the bytes of working memory for one image; `None` where that is not known.
        pixels: Whether pixels are what it stores: it takes uint8 images too, without a conversion.
        outputs: Names of the outputs, where `run` returns a list.
    """

    inputs: Sequence[Input] | None
    run: Callable[[np.ndarray], Any]
    model_bytes: int
    arena_bytes: Callable[[], int | None]
    pixels: bool = False
    outputs: Sequence[str] | None = None
