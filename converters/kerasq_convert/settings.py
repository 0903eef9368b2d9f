"""Settings: which format each tensor gets, from a YAML file.

    buffers:                       # activations: values known only when the network runs
      image: UFIXED8_0
      conv2_*/output: FIXED16_12   # patterns as in a shell
      conv3_relu/output: FIXED8    # the converter chooses the number of fractional bits
    parameters:                    # kernels, multipliers and biases: values known now
      conv1/kernel: SIGN

An exact name goes before a pattern, a later pattern before an earlier one; what nothing names is chosen automatically. A
name or pattern that fits no tensor, or a type that is none, is an error that names the nearest that would do.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from kerasq.qformat import QFormat
from kerasq_convert.errors import ConversionError

SECTIONS = ("buffers", "parameters")
TYPES = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "FIXED32", "UFIXED8", "UFIXED16", "SIGN")


class _Loader(yaml.SafeLoader):
    """YAML whose keys are texts, `on` and `010` too, and never repeated: PyYAML would keep the last silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a name must be a text", key.start_mark)
            key.tag = "tag:yaml.org,2002:str"
        names = [key.value for key, _ in node.value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(repeated)} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Formats by name or pattern, in the order of the file, for buffers and for parameters."""

    buffers: Mapping[str, QFormat] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, QFormat] = dataclasses.field(default_factory=dict)
    source: str = "settings"

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
            document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        except OSError as error:
            raise ConversionError(str(path), [f"the settings can't be read: {error.strerror}"]) from error
        except UnicodeDecodeError as error:
            raise ConversionError(str(path), [f"the settings can't be read: {error}"]) from error
        except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that there is not
            raise ConversionError(str(path), [f"this is not valid YAML: {' '.join(str(error).split())}"]) from error
        return cls._from_document({} if document is None else document, str(path))

    @classmethod
    def _from_document(cls, document: Any, source: str) -> Settings:
        if not isinstance(document, Mapping):
            raise ConversionError(source, [f"the sections {' and '.join(SECTIONS)} were expected, each with lines `name: TYPE`"])
        problems: list[str] = []
        sections: dict[str, dict[str, QFormat]] = {}
        for section, entries in document.items():
            if section not in SECTIONS:
                problems.append(f"there is no section {section!r}{nearest(str(section), SECTIONS)}")
            elif not isinstance(entries, Mapping | None):
                problems.append(f"section {section!r} must hold lines `name: TYPE`")
            else:
                formats = sections[section] = {}
                for name, text in (entries or {}).items():
                    try:
                        formats[str(name)] = QFormat.parse(text)
                    except ValueError as error:
                        problems.append(f"{name}: {error}{nearest(str(text), TYPES)}")
        if problems:
            raise ConversionError(source, problems)
        return cls(**sections, source=source)

    def problems(self, buffers: Iterable[str], parameters: Iterable[str]) -> list[str]:
        """Entries that fit no tensor of the network."""
        found = []
        known = {"buffers": list(buffers), "parameters": list(parameters)}
        for section in SECTIONS:
            other = SECTIONS[1 - SECTIONS.index(section)]
            for name in getattr(self, section):
                if name == "*" or any(_fits(name, tensor) for tensor in known[section]):
                    continue
                if any(_fits(name, tensor) for tensor in known[other]):
                    found.append(f"{name!r} stands under {section} and belongs under {other}")
                else:
                    found.append(f"there is no {section[:-1]} {name!r}{nearest(name, known[section])}")
        return found

    def tell_apart(self, name: str, other: str) -> bool:
        """Whether an entry is for one buffer and not for the other."""
        return any(_fits(entry, name) and not _fits(entry, other) for entry in self.buffers)

    def buffer(self, name: str) -> QFormat | None:
        """What is set for an activation; a family where the number of fractional bits is left open; None: automatic."""
        return _lookup(self.buffers, name)

    def with_buffers(self, names: Iterable[str], format_: QFormat) -> Settings:
        """These settings with a format for buffers that no line names exactly."""
        return dataclasses.replace(self, buffers=dict.fromkeys(names, format_) | dict(self.buffers))

    def parameter(self, name: str) -> QFormat | None:
        """The same for a constant."""
        return _lookup(self.parameters, name)


def _fits(pattern: str, name: str) -> bool:
    return pattern == name or fnmatch.fnmatchcase(name, pattern)


def _lookup(formats: Mapping[str, QFormat], name: str) -> QFormat | None:
    if name in formats:
        return formats[name]
    fitting = [format_ for pattern, format_ in formats.items() if fnmatch.fnmatchcase(name, pattern)]
    return fitting[-1] if fitting else None


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing where nothing is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
