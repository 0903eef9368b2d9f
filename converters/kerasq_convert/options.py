"""What the options of a conversion must be, each alone and together, before anything is read.

An option that does nothing without another is an error, as a misspelt one is: who gives it expects something of it. Texts have
options in back quotes, which become attributes of `Converter` or, on a command line, flags.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasq.qformat import QFormat
from kerasq.text import shown
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import BITS
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.observation.stored_examples import load_array
from kerasq_convert.search.search import Goals
from kerasq_convert.settings.settings import nearest

if TYPE_CHECKING:
    from kerasq_convert.converter import Converter

_OPTION = re.compile(r"`((?:goals\.)?(\w+))`")


class OptionsError(ConversionError):
    """Options contradict each other, or do nothing."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("options", [_OPTION.sub(r"\1", problem) for problem in problems])
        self._marked = problems

    def as_flags(self) -> str:
        """The message for a command line."""
        return "; ".join(_OPTION.sub(r"--\2", problem) for problem in self._marked)


def check_options(options: Converter) -> None:
    """Whether the attributes of a converter make sense together.

    Raises:
        OptionsError: With every one that does not.
        ConversionError: A file that they name does not exist, or holds no labels.
    """
    if problems := [*_alone(options), *_together(options)]:
        raise OptionsError(problems)
    for path in (options.representative_dataset, options.statistics, options.settings):
        if isinstance(path, str | os.PathLike) and not pathlib.Path(path).exists():
            raise ConversionError(os.fspath(path), ["it can't be read: there is no such file or folder"])
    load_labels(options.labels)


def _alone(options: Converter) -> Iterator[str]:
    if options.criterion not in list(Criterion):
        hint = nearest(options.criterion, map(str, Criterion))
        yield f"`criterion`: one of {', '.join(Criterion)} was expected. Received: {shown(options.criterion)}{hint}"
    if options.bits not in BITS or isinstance(options.bits, bool):
        yield f"`bits`: 8 or 16 was expected. Received: {shown(options.bits)}"
    if not isinstance(options.goals, Goals):
        yield f"`goals`: kerasq_convert.search.Goals(...) was expected. Received: {shown(options.goals)}"
    if options.input_type is not None and not isinstance(options.input_type, QFormat):
        try:
            QFormat.parse(options.input_type)
        except ValueError as error:
            yield f"`input_type`: {error}; raw 8-bit pixels are UFIXED8_0"


def _together(options: Converter) -> Iterator[str]:
    goals = options.goals if isinstance(options.goals, Goals) else Goals()
    has_examples = options.representative_dataset is not None
    if not has_examples:
        needing = [f"`goals.{name}`" for name, value in vars(goals).items() if value is not None]
        for name in ["`refine`"] * bool(options.refine) + needing:
            yield f"{name} compares outputs: give `representative_dataset`"
        if options.analyze:
            yield "`analyze` compares layers: give `representative_dataset`"
        if options.equalize and options.statistics is not None:
            yield "`equalize` changes ranges, and the statistics are from before: give `representative_dataset`"
        if options.bits != 8 and options.statistics is None and options.settings is None:
            yield "`bits` is the width of what was observed: give `representative_dataset` or `statistics`"
    elif options.statistics is not None:
        yield "`representative_dataset` observes the network anew, and `statistics` would not be read: give one of them"
    if goals.max_accuracy_drop is not None and options.labels is None:
        yield "`goals.max_accuracy_drop`: give `labels`, the class of each example of the representative dataset"
    if goals.max_accuracy_drop is None and options.labels is not None:
        yield "`labels` are for `goals.max_accuracy_drop` alone: give that, too"


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


def unknown_option(owner: Any, name: str) -> AttributeError:
    """The error for an attribute that an object with options has not."""
    known = [option for option in vars(owner) if not option.startswith("_")]
    hint = nearest(name, known) or f"; there are {', '.join(known)}"
    return AttributeError(f"{type(owner).__name__} has no option {name!r}{hint}", name=name, obj=owner)
