"""The errors of the file format."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_LISTED = 100  # a damaged file can have tens of thousands of problems; `problems` holds them all


class ModelError(ValueError):
    """A model, or a file that should hold one, breaks the rules of the .kq format.

    Attributes:
        problems: Everything that is wrong, one sentence each.
        source: Name of the file, where there is one.

    Example:

    >>> raise ModelError(["tensor 3 'conv/kernel': ...", "operator 1 (ADD 'add/output'): ..."], "model.kq")
    ModelError: model.kq is not a usable kerasq model: 2 problems
      - tensor 3 'conv/kernel': ...
      - operator 1 (ADD 'add/output'): ...
    """

    def __init__(self, problems: Iterable[str], source: str | None = None) -> None:
        self.problems = list(problems)
        self.source = source
        super().__init__(f"{source or 'This'} is not a usable kerasq model: {self._details()}")

    def __reduce__(self) -> tuple[type[ModelError], tuple[list[str], str | None]]:
        return ModelError, (self.problems, self.source)

    def _details(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        listed = self.problems[:_MAX_LISTED]
        if len(self.problems) > _MAX_LISTED:
            listed.append(f"... and {len(self.problems) - _MAX_LISTED} more")
        return "\n  - ".join([f"{len(self.problems)} problems", *listed])


class ModelTooLargeError(ModelError):
    """A sound model that takes more memory than it may."""

    def __reduce__(self) -> tuple[type[ModelError], tuple[list[str], str | None]]:
        return ModelTooLargeError, (self.problems, self.source)
