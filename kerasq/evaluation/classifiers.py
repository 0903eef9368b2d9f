"""Classifiers: models that are known to take the images and to give one score per class."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasq.evaluation.source import Input, Source
from kerasq.evaluation.sources import open_source
from kerasq.inputs import listed


class EvaluationError(ValueError):
    """Models can't be evaluated.

    Attributes:
        problems: One line each: the model, what is wrong with it, the remedy.
    """

    def __init__(self, problems: Iterable[str]):
        self.problems = list(dict.fromkeys(problems))
        super().__init__("\n".join(self.problems))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model that takes images of a data set and gives scores for its classes.

    Attributes:
        name: Path of the model as it was given.
        source: The opened model.
        input_dtype: Element type that it takes.
        single: Whether it takes one image at a time only.
        output: Name or number of the output with the scores; `None`: the only one.
        labels: Whether it gives the class itself, an integer, and no scores.
    """

    name: str
    source: Source
    input_dtype: np.dtype
    single: bool
    output: str | None = None
    labels: bool = False

    def scores(self, batch: np.ndarray) -> np.ndarray:
        """Scores `(count, classes)` of a batch of images of `input_dtype`, `(count, height, width, channels)`; or classes
        `(count, 1)` where it gives these.
        """
        return _scores(self.source, self.source.run(batch), self.output).reshape(len(batch), -1)

    def top1(self, scores: np.ndarray) -> np.ndarray:
        """Class of the highest score, the first of equals; -1, which no label is, where a score is NaN."""
        return scores[:, 0] if self.labels else np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))


def open_classifiers(
    paths: Sequence[str | os.PathLike[str]],
    image_shape: tuple[int, ...],
    classes: int,
    num_threads: int | None = None,
    output: str | None = None,
) -> list[Classifier]:
    """Opens all models and runs each on one black image.

    Args:
        paths: .kq, .keras, .h5 and .tflite files and SavedModel folders.
        image_shape: Height, width and channels.
        classes: Number of classes.
        num_threads: Threads of the interpreters of .kq and .tflite files; `None` for the number of processors.
        output: Name, or number from 0, of the output with the class scores, where models have several.

    Raises:
        EvaluationError: At least one of them is no classifier of such images; every such model is listed.
    """
    classifiers, problems = [], []
    for path in paths:
        name = os.fspath(path)
        try:
            classifiers.append(_open(name, image_shape, classes, num_threads, output))
        except ValueError as error:
            problems.append(f"{name}: {' '.join(str(error).split())}")
    if problems:
        raise EvaluationError(problems)
    return classifiers


def _open(name: str, image_shape: tuple[int, ...], classes: int, num_threads: int | None, output: str | None) -> Classifier:
    source = open_source(name, num_threads)
    dtype, single = np.dtype(np.float32), False
    if source.inputs is not None:
        _, shape, dtype = _only_input(source.inputs)
        if shape is not None:
            _check_shape(shape, image_shape)
            single = shape[0] == 1
    scores = _try(source, np.zeros((1, *image_shape), dtype), output)
    labels = scores.size == 1 and np.issubdtype(scores.dtype, np.integer)
    if not labels and (scores.size != classes or scores.shape[-1] != classes):
        raise ValueError(
            f"it gives {_text((None, *scores.shape[1:]))}, the images have {classes} classes: "
            f"use a network whose output is one score for each of {classes} classes, or the class as an integer"
        )
    return Classifier(name, source, dtype, single, output, labels)


def _only_input(inputs: Sequence[Input]) -> Input:
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise ValueError(f"it has {len(inputs)} inputs ({names}): export a model that has the image as its only input")
    return inputs[0]


def _check_shape(shape: tuple[int | None, ...], image_shape: tuple[int, ...]) -> None:
    if len(shape) != 1 + len(image_shape) or any(
        size not in (None, wanted) for size, wanted in zip(shape[1:], image_shape, strict=True)
    ):
        raise ValueError(f"it takes {_text(shape)}, the images are {_text((None, *image_shape))}: use a network for such images")
    if shape[0] not in (None, 1):
        raise ValueError(f"it takes {shape[0]} images at a time, no more and no less: export a model with an open batch size")


def _text(shape: tuple[int | None, ...]) -> str:
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(['batch' if shape[:1] == (None,) else sizes[0], *sizes[1:]] if sizes else sizes)})"


def _try(source: Source, image: np.ndarray, output: str | None) -> np.ndarray:
    try:
        outputs = source.run(image)
    except Exception as error:  # anything may come from a network that somebody else made
        raise ValueError(f"it can't be run on a batch of shape {image.shape} ({type(error).__name__}: {error})") from error
    return _scores(source, outputs, output)


def _scores(source: Source, outputs: Any, wanted: str | None) -> np.ndarray:
    """The output with that name or number, or the only one, which Keras may wrap into a list or a dict."""
    arrays = listed(outputs)
    names = list(outputs) if isinstance(outputs, Mapping) else list(source.outputs or ())
    if wanted is not None:
        place = names.index(wanted) if wanted in names else int(wanted) if wanted.isdecimal() else len(arrays)
        if place >= len(arrays):
            choices = f" ({', '.join(names)})" if names else ""
            raise ValueError(f"it has no output {wanted!r}: give the name or the number of one of its {len(arrays)}{choices}")
        return np.asarray(arrays[place])
    if len(arrays) != 1:
        choices = f" ({', '.join(names)})" if names else ""
        raise ValueError(f"it has {len(arrays)} outputs{choices}: name the one with the class scores (--output)")
    return np.asarray(arrays[0])
