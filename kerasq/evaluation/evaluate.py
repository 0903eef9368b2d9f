"""`evaluate`: several models on the same images."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np

from kerasq.evaluation.classifiers import Classifier, open_classifiers
from kerasq.evaluation.results import Result
from kerasq.progress import Progress
from kerasq.text import printable

BATCH_SIZE = 500


def evaluate(
    models: Sequence[str | os.PathLike[str]],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int = 10,
    batch_size: int = BATCH_SIZE,
    input_scale: float = 1.0,
    input_offset: float = 0.0,
    num_threads: int | None = None,
    output: str | None = None,
) -> list[Result]:
    """Accuracy, size and speed of classifiers. Draws a progress bar for each where standard error is a terminal.

    Args:
        models: Any mix of .kq, .keras and .h5 files and SavedModel folders.
        images: `(count, height, width, channels)`, raw pixels.
        labels: `(count,)`, the class of each image, 0..classes - 1.
        classes: Number of classes.
        batch_size: Images that a network gets at once. (The interpreter of .kq files divides them among its threads.)
        input_scale, input_offset: Every network gets the values pixel * input_scale + input_offset, one with a fixed-point
            input in that format. One that takes integers in TensorFlow gets the pixels as they are.
        num_threads: Threads of the .kq interpreter; `None` for the number of processors.
        output: Name, or number from 0, of the output with the class scores, where models have several.

    Returns:
        A result for each model, in their order.

    Raises:
        EvaluationError: Some models are no classifiers of these images; all of them are listed, and nothing was computed.
        ValueError: There are no images, or not as many labels.

    Example:

    >>> results = evaluate(["resnet23.keras", "resnet23.kq"], x_test, y_test)
    >>> results[1].top1 - results[0].top1
    -0.0012
    """
    _check(images, labels, batch_size)
    return compare(
        open_classifiers(models, images.shape[1:], classes, num_threads, output),
        images,
        labels,
        batch_size=batch_size,
        input_scale=input_scale,
        input_offset=input_offset,
    )


def compare(
    classifiers: Sequence[Classifier],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int = BATCH_SIZE,
    input_scale: float = 1.0,
    input_offset: float = 0.0,
) -> list[Result]:
    """`evaluate` for models that `open_classifiers` has opened."""
    _check(images, labels, batch_size)
    results: list[Result] = []
    first: np.ndarray | None = None
    for classifier in classifiers:
        predictions, seconds = _classify(classifier, images, batch_size, (input_scale, input_offset))
        first = predictions if first is None else first
        results.append(
            Result(
                model=classifier.name,
                top1=float(np.mean(predictions == labels)),
                images=len(images),
                model_bytes=classifier.source.model_bytes,
                arena_bytes=classifier.source.arena_bytes(),
                seconds=seconds,
                agreement=float(np.mean(predictions == first)),
            )
        )
    return results


def _check(images: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
    if len(images) == 0 or np.shape(labels) != (len(images),):
        raise ValueError(
            "There must be at least one image, and one label for each. "
            f"Received: images.shape={np.shape(images)}, labels.shape={np.shape(labels)}"
        )
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")


def _classify(
    classifier: Classifier, images: np.ndarray, batch_size: int, scaling: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """The class that the network gives to each image, and the seconds that all of them took."""
    size = 1 if classifier.single else batch_size
    stored = classifier.source.pixels and scaling == (1.0, 0.0) and images.dtype == np.uint8
    dtype = images.dtype if stored else classifier.input_dtype
    # Untimed: TensorFlow traces its graph for the first batch of a size.
    classifier.scores(_values(images[:size], dtype, scaling))
    predictions = np.empty(len(images), np.int64)
    seconds = 0.0
    with Progress(printable(classifier.name), len(images), "images") as progress:
        for start in range(0, len(images), size):
            batch = _values(images[start : start + size], dtype, scaling)
            begin = time.perf_counter()
            scores = classifier.scores(batch)
            seconds += time.perf_counter() - begin
            predictions[start : start + size] = classifier.top1(scores)
            progress.advance(len(batch))
    return predictions, seconds


def _values(pixels: np.ndarray, dtype: np.dtype, scaling: tuple[float, float]) -> np.ndarray:
    if np.issubdtype(dtype, np.integer):
        return pixels.astype(dtype)
    scale, offset = scaling
    return (pixels.astype(np.float32) * np.float32(scale) + np.float32(offset)).astype(dtype)
