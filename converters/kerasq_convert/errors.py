"""The exceptions of the converter: two for its users, one for its inside."""

from __future__ import annotations

import copyreg
import re
from collections.abc import Iterable
from typing import Any

_TERMINAL_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_KERAS_PREAMBLE = "Exception encountered when calling"


class ConversionError(ValueError):
    """A model, its settings or its data can't be converted. The message lists every problem found, not only the first.

    Attributes:
        problems: One sentence each, naming the layer, tensor or file and the remedy.
    """

    def __init__(self, what: str, problems: Iterable[str]):
        self.problems = list(dict.fromkeys(problems))
        if len(self.problems) == 1:
            super().__init__(f"{what}: {self.problems[0]}")
        else:
            listed = "".join(f"\n  - {problem}" for problem in self.problems)
            super().__init__(f"{what}: {len(self.problems)} problems{listed}")

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, for a process pool pickles what is raised, and `__init__` takes other arguments than the message."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class GoalsMissedError(ConversionError):
    """The network can be converted, but not so that every goal is met and no limit exceeded."""


class UnsupportedError(Exception):
    """One operation of a network can't be converted; the front end collects these into a `ConversionError`."""


def first_line(error: Exception) -> str:
    """What an error of another library says, short enough for a line of ours."""
    lines = [line for line in _TERMINAL_STYLE.sub("", str(error)).splitlines() if line and not line.startswith(_KERAS_PREAMBLE)]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
