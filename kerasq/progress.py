"""A progress bar on a terminal: `predict  62% [==================>           ] 6200/10000 examples, 812/s, 0:05 left`."""

from __future__ import annotations

import contextlib
import contextvars
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

_WIDTH = 30  # of the bar, in characters
_INTERVAL = 0.1  # seconds between two drawings
_silent = contextvars.ContextVar("silent", default=False)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """A context in which no progress is shown, whoever makes it."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


class Progress:
    """Shows how far a loop has come: bar, count, rate, time left; at the end one line with the total.

    Args:
        label: What is being done.
        total: Number of steps; `None` where it isn't known: then there is a count instead of a bar.
        unit: What a step is, in the plural.
        enabled: Whether to show anything at all.
        stream: Where to draw; standard error if `None`.
        force: Print the final line even where `stream` is not a terminal. The bar is drawn on terminals only.

    Example:

    >>> with Progress("predict", 10000, "images") as progress:
    ...     for batch in batches:
    ...         progress.advance(len(batch))
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str = "steps",
        *,
        enabled: bool = True,
        stream: TextIO | None = None,
        force: bool = False,
    ) -> None:
        self.total = total
        self.done = 0
        self._label = label
        self._unit = unit
        self._stream = sys.stderr if stream is None else stream
        enabled = enabled and not _silent.get() and self._stream is not None
        self._draws = enabled and self._stream.isatty()
        self._reports = self._draws or (enabled and force)
        self._start = time.monotonic()
        self._drawn = -_INTERVAL
        self._length = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def advance(self, steps: int = 1) -> None:
        """Count `steps` as done."""
        self.done += steps
        seconds = time.monotonic() - self._start
        if self._draws and seconds - self._drawn >= _INTERVAL:
            self._drawn = seconds
            self._write(self._bar(seconds), end="")

    def close(self) -> None:
        """Replace the bar by the final line."""
        if self._reports:
            seconds = time.monotonic() - self._start
            self._write(f"{self._label}  {self._count()} in {seconds:.1f} s, {self._rate(seconds)}", end="\n")
        self._draws = self._reports = False

    def _count(self) -> str:
        return f"{self.done}{'' if self.total is None else f'/{self.total}'} {self._unit}"

    def _rate(self, seconds: float) -> str:
        return f"{self.done / seconds if seconds > 0 else 0:.4g}/s"

    def _bar(self, seconds: float) -> str:
        if not self.total:
            return f"{self._label}  {self._count()}, {self._rate(seconds)}"
        share = min(self.done / self.total, 1.0)
        filled = int(share * _WIDTH)
        bar = "=" * filled + (">" if filled < _WIDTH else "")
        left = int(seconds * (1 / share - 1)) if share else 0
        return (
            f"{self._label} {share:4.0%} [{bar:{_WIDTH}}] {self._count()}, "
            f"{self._rate(seconds)}, {left // 60}:{left % 60:02} left"
        )

    def _write(self, text: str, end: str) -> None:
        # A text has to cover a longer one drawn before it.
        start = "\r" if self._draws else ""
        self._stream.write(f"{start}{text}{' ' * (self._length - len(text))}{end}")
        self._stream.flush()
        self._length = len(text)
