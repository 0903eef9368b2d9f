"""Settings: which format each tensor gets, from a YAML file.

    buffers:                       # activations: values known only when the network runs
      image: UFIXED8_0
      conv2_*/output: FIXED16_12   # patterns as in a shell
      conv3_relu/output: FIXED8    # the converter chooses the number of fractional bits
    parameters:                    # kernels, multipliers and biases: values known now
      conv1/kernel: SIGN
    factors: 3,0,-5                # a conversion writes it: by which factors activations are scaled (passes/factors.py)
    offsets: 0.375,0.0             # the same: with which offsets they are stored then (passes/offsets.py)

An exact name goes before a pattern, a later pattern before an earlier one; what nothing names is chosen automatically. A
name or pattern that fits no tensor, or a type that is none, is an error that names the nearest that would do.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kerasq.ops.families import ACTIVATIONS, KERNELS, VECTORS
from kerasq.qformat import TERNARY, QFormat
from kerasq.text import shown
from kerasq_convert.errors import ConversionError
from kerasq_convert.settings.file import read_yaml

Fits = Callable[[str], Any]

SECTIONS = ("buffers", "parameters")
NUMBERS = ("factors", "offsets")
TYPES = tuple(dict.fromkeys((*ACTIVATIONS, *KERNELS, str(TERNARY), *VECTORS)))
_MOST_PROBLEMS = 20
_LONGEST_NAME = 200  # characters of a name that is likely to be a misspelling


@dataclasses.dataclass(frozen=True)
class Settings:
    """Formats by name or pattern, in the order of the file, for buffers and for parameters; numbers, if a conversion told any."""

    buffers: Mapping[str, QFormat] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, QFormat] = dataclasses.field(default_factory=dict)
    source: str = "settings"
    factors: str | None = None
    offsets: str | None = None

    @classmethod
    def load(cls, source: str | os.PathLike | Mapping[str, Any] | Settings | None) -> Settings:
        """Settings from a YAML file, or from the mapping that such a file holds.

        Raises:
            ConversionError: The file can't be read, or holds sections or types that there are not; all are listed.
        """
        if source is None:
            return cls()
        if isinstance(source, Settings):
            return source
        if isinstance(source, Mapping):
            return cls._from_document(source, "settings")
        path = pathlib.Path(source)
        try:
            document = read_yaml(path)
        except OSError as error:
            raise ConversionError(str(path), [f"the settings can't be read: {error.strerror}"]) from error
        except ValueError as error:
            raise ConversionError(str(path), [str(error)]) from error
        return cls._from_document({} if document is None else document, str(path))

    @classmethod
    def _from_document(cls, document: Any, source: str) -> Settings:
        if not isinstance(document, Mapping):
            raise ConversionError(source, [f"the sections {' and '.join(SECTIONS)} were expected, each with lines `name: TYPE`"])
        problems: list[str] = []
        sections: dict[str, dict[str, QFormat]] = {}
        factors, offsets = (document.get(name) for name in NUMBERS)
        for name, line in zip(NUMBERS, (factors, offsets), strict=True):
            if not isinstance(line, str | None):
                problems.append(f"{name!r} is a line of numbers with commas between them, as a conversion wrote it")
        for section, entries in document.items():
            if section in NUMBERS:
                continue
            if not isinstance(section, str) or section not in SECTIONS:
                problems.append(f"there is no section {shown(section)}{nearest(section, SECTIONS)}")
            elif not isinstance(entries, Mapping | None):
                problems.append(f"section {section!r} must hold lines `name: TYPE`")
            else:
                formats = sections[section] = {}
                for name, text in (entries or {}).items():
                    try:
                        formats[_text(name)] = QFormat.parse(text)
                    except ValueError as error:
                        hint = nearest(text, TYPES) if len(problems) < _MOST_PROBLEMS else ""
                        problems.append(f"{shown(name)}: {error}{hint}")
        if problems:
            raise ConversionError(source, shortened(problems))
        return cls(**sections, source=source, factors=factors, offsets=offsets)

    def problems(self, buffers: Iterable[str], parameters: Iterable[str]) -> list[str]:
        """Entries that fit no tensor of the network."""
        problems = []
        tensors = {"buffers": list(buffers), "parameters": list(parameters)}
        for section in SECTIONS:
            other = SECTIONS[1 - SECTIONS.index(section)]
            fits, fits_other = (_Fit(tensors[name]) for name in (section, other))
            for name in getattr(self, section):
                if name == "*" or fits(name):
                    continue
                if fits_other(name):
                    problems.append(f"{shown(name)} stands under {section} and belongs under {other}")
                else:
                    hint = nearest(name, tensors[section]) if len(problems) < _MOST_PROBLEMS else ""
                    problems.append(f"there is no {section[:-1]} {shown(name)}{hint}")
        return shortened(problems)

    def tell_apart(self, name: str, other: str) -> bool:
        """Whether an entry is for one buffer and not for the other."""
        by_name = name in self.buffers and name != other
        return by_name or any(is_for(name) and not is_for(other) for is_for, _ in self._buffer_patterns)

    def buffer(self, name: str) -> QFormat | None:
        """What is set for an activation; a family where the number of fractional bits is left open; None: automatic."""
        return _lookup(self.buffers, self._buffer_patterns, name)

    def with_buffers(self, names: Iterable[str], format_: QFormat) -> Settings:
        """These settings with a format for buffers that no line names exactly."""
        return dataclasses.replace(self, buffers=dict.fromkeys(names, format_) | dict(self.buffers))

    def parameter(self, name: str) -> QFormat | None:
        """The same for a constant."""
        return _lookup(self.parameters, self._parameter_patterns, name)

    @functools.cached_property
    def _buffer_patterns(self) -> list[tuple[Fits, QFormat]]:
        return _patterns(self.buffers)

    @functools.cached_property
    def _parameter_patterns(self) -> list[tuple[Fits, QFormat]]:
        return _patterns(self.parameters)


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"the name of a tensor is a text. Received: {shown(name)}")
    return name


class _Fit:
    """Whether a name or pattern fits one of some tensors."""

    def __init__(self, tensors: Iterable[str]) -> None:
        self._tensors = set(tensors)

    def __call__(self, entry: str) -> bool:
        return entry in self._tensors or (_is_pattern(entry) and any(map(_pattern(entry), self._tensors)))


def _is_pattern(entry: str) -> bool:
    return any(mark in entry for mark in "*?[")


def _pattern(entry: str) -> Fits:
    return re.compile(fnmatch.translate(entry)).match


def _patterns(formats: Mapping[str, QFormat]) -> list[tuple[Fits, QFormat]]:
    """Those entries that are patterns, the last one first."""
    return [(_pattern(entry), format_) for entry, format_ in reversed(list(formats.items())) if _is_pattern(entry)]


def _lookup(formats: Mapping[str, QFormat], patterns: list[tuple[Fits, QFormat]], name: str) -> QFormat | None:
    if name in formats:
        return formats[name]
    return next((format_ for is_for, format_ in patterns if is_for(name)), None)


def nearest(name: Any, names: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing where nothing is near."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:  # the search takes the square of the length
        return ""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def shortened(problems: list[str]) -> list[str]:
    """The first problems and the number of the others: nobody reads thousands."""
    others = len(problems) - _MOST_PROBLEMS
    return problems if others < 1 else [*problems[:_MOST_PROBLEMS], f"and {others:,} more like these"]
