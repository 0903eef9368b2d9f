"""What a report is about: which model, which examples, which options, which version."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

import kerasq
from kerasq.format import Model
from kerasq.statistics import Statistics
from kerasq_convert.options import Options
from kerasq_convert.options.option import values_of

_DATASET = "representative_dataset"
_OWN = (_DATASET, "verbose", "analyze", "goals", "target")  # told elsewhere, or of no consequence


@dataclasses.dataclass(frozen=True)
class About:
    """How a conversion came about.

    Attributes:
        version: Of kerasq.
        date: When, in UTC, as ISO 8601 has it; that of the variable SOURCE_DATE_EPOCH where there is one.
        dataset: The representative dataset: its path, or what kind of array; `None` without.
        examples: How many it has; `None` where that is not known.
        options: Those that are not as they are by default, by name, as text.
    """

    version: str
    date: str
    dataset: str | None
    examples: int | None
    options: dict[str, str]


def about(options: Options, model: Model, statistics: Statistics | None) -> About:
    """What is known of a conversion.

    Args:
        options: Its options.
        model: What it made.
        statistics: What was observed of its buffers.
    """
    dataset = options.representative_dataset
    changed = {
        declared.name: _described(value)
        for declared, value in values_of(options)
        if declared.name not in _OWN and not _is_default(value, declared.default)
    }
    count = None if dataset is None or statistics is None else _count(model, statistics)
    return About(kerasq.__version__, _now(), None if dataset is None else _described(dataset), count, changed)


def _count(model: Model, statistics: Statistics) -> int | None:
    """How many examples were observed, by what an input saw."""
    first = model.tensors[model.inputs[0]]
    histogram = statistics.get(first.name)
    return None if histogram is None else histogram.count // math.prod(first.shape)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | int | float | bool) and value == default)


def _described(value: Any) -> str:
    """A value of an option in a line: a path, a number; of arrays their shape."""
    if isinstance(value, np.ndarray):
        return f"array {value.shape}, {value.dtype}"
    if isinstance(value, str | int | float | os.PathLike):
        return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_described(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_described, value))
    return type(value).__name__


def _now() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    when = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch.isdigit() else datetime.datetime.now(datetime.UTC)
    return when.strftime("%Y-%m-%d %H:%M UTC")
