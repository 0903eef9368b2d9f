"""Checks of an interpreter's arguments."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from kerasq.format.model import Model


def source(model_path: Any, model_content: Any) -> str | os.PathLike[str] | bytes | Model:
    """The one of two arguments that tells the network.

    Raises:
        ValueError: Both or none.
        TypeError: It is of another type.
    """
    if (model_path is None) == (model_content is None):
        raise ValueError(
            "Give either `model_path` or `model_content`. "
            f"Received: model_path={model_path!r}, model_content={type(model_content).__name__}"
        )
    if model_content is None:
        if not isinstance(model_path, str | os.PathLike):
            expected = "a path; the bytes of a file are `model_content`"
            raise TypeError(f"`model_path` must be {expected}. Received: model_path of type {type(model_path).__name__}")
        return model_path
    if not isinstance(model_content, Model) and not _has_bytes(model_content):
        expected = "the bytes of a .kq file, or a kerasq.format.Model; a path is `model_path`"
        raise TypeError(f"`model_content` must be {expected}. Received: {type(model_content).__name__}")
    return model_content


def _has_bytes(content: Any) -> bool:
    """Whether it is bytes, an array of them, a mapping of a file: whatever lends its memory."""
    try:
        memoryview(content)
    except TypeError:
        return False
    return True


def check_count(name: str, count: Any) -> None:
    """Refuses what is neither None nor a positive integer."""
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"`{name}` must be a positive integer, or None. Received: {name}={count!r}")
    if count < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {name}={count}")
