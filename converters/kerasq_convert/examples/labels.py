"""The classes of labelled examples."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.stored_examples import load_array


def load_labels(source: Any) -> np.ndarray | None:
    """Classes, `(count,)`, from an array or the path of an `.npy` file.

    Raises:
        ConversionError: It can't be read, or holds something else.
    """
    if source is None:
        return None
    is_path = isinstance(source, str | os.PathLike)
    labels = load_array(pathlib.Path(source)) if is_path else np.asarray(source)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ConversionError(
            os.fspath(source) if is_path else "labels",
            [f"integers of shape (count,) were expected, a class for each example. Received: {labels.dtype} {labels.shape}"],
        )
    return labels


def labels_of(source: Any, examples: int) -> np.ndarray | None:
    """The classes of the first examples; `None` where there are none.

    Raises:
        ConversionError: As `load_labels`; or there are fewer than examples.
    """
    labels = load_labels(source)
    if labels is not None and len(labels) < examples:
        raise ConversionError("labels", [f"{examples} examples need as many labels. Received: {len(labels)}"])
    return labels
