"""The YAML of a settings file as plain Python values.

A settings file is sections of lines `name: TYPE`, so of YAML only that is taken: texts, mappings and lists a few levels deep. No
anchors, no aliases, no types by spelling: a file can't make more of itself than it is, and `on` and `010` are names like others.
It is read event by event; nothing here recurses.
"""

from __future__ import annotations

import pathlib
from typing import Any

import yaml

MAX_BYTES = 1 << 22
MAX_DEPTH = 4
_EMPTY = ("", "~", "null", "Null", "NULL")
_LONGEST_REASON = 300  # characters
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the parser in C where PyYAML has it


def read_yaml(path: pathlib.Path) -> Any:
    """The document in a file: texts, `None`, lists and dicts.

    Raises:
        OSError: The file can't be read.
        ValueError: It is too large, no text, no YAML, or YAML that settings don't need; the message says what and where.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes: settings have a line for each tensor")
    try:
        return _document(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 text: {error.reason} at byte {error.start:,}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"this is not valid YAML: {' '.join(str(error).split())[:_LONGEST_REASON]}") from None


def _document(text: str) -> Any:
    root: list[Any] = []
    open_values: list[_Value] = [_Value(root)]
    for event in yaml.parse(text, Loader=_LOADER):
        place = f"line {event.start_mark.line + 1}" if event.start_mark else "the end"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError(f"anchors and aliases (&name, *name) are not for settings: write the type out, {place}")
        if isinstance(event, yaml.DocumentStartEvent) and root:
            raise ValueError(f"there is a second document: settings are one, {place}")
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style  # None, and in the parser in C an empty text
            empty = plain and event.value in _EMPTY and not open_values[-1].wants_name
            open_values[-1].add(None if empty else event.value, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            open_values[-1].add(value, place)
            open_values.append(_Value(value))
            if len(open_values) > MAX_DEPTH:
                raise ValueError(f"it is nested deeper than sections of lines `name: TYPE`, {place}")
        elif isinstance(event, yaml.CollectionEndEvent):
            open_values.pop()
    return root[0] if root else None


class _Value:
    """A list or dict that is being filled."""

    def __init__(self, value: list | dict) -> None:
        self._value = value
        self._name: str | None = None
        self._places: dict[str, str] = {}

    @property
    def wants_name(self) -> bool:
        return isinstance(self._value, dict) and self._name is None

    def add(self, value: Any, place: str) -> None:
        if isinstance(self._value, list):
            self._value.append(value)
        elif self._name is not None:
            self._value[self._name], self._name = value, None
        elif not isinstance(value, str):
            raise ValueError(f"a name must be a text, {place}")
        elif value in self._value:
            raise ValueError(f"{value[:_LONGEST_REASON]} stands twice, in {self._places[value]} and in {place}")
        else:
            self._name = value
            self._places[value] = place
