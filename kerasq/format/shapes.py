"""Shapes that a tensor of a file may have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeGuard

import numpy as np

from kerasq.format.schema import MAX_RANK

MAX_ELEMENTS = 2**31 - 1


def shape_problems(shape: tuple[int, ...]) -> Iterator[str]:
    """What is wrong with a tensor's shape, be it constant or activation."""
    if not 1 <= len(shape) <= MAX_RANK:
        yield f"a tensor has 1 to {MAX_RANK} axes. Received: shape={shape}"
    elif not all(is_integer(size) and size >= 1 for size in shape):
        yield f"every axis has at least 1 element. Received: shape={shape}"
    elif math.prod(int(size) for size in shape) > MAX_ELEMENTS:
        yield f"a tensor has at most {MAX_ELEMENTS} elements. Received: shape={shape}"


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether it is an integer of Python or NumPy, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
