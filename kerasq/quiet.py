"""Keeps TensorFlow's log off the terminal.

TensorFlow writes some lines to file descriptor 2 from C++ before any setting of its reaches the logger, TF_CPP_MIN_LOG_LEVEL
included: that oneDNN is on, that there is no GPU, that a session starts. Only the descriptor itself can be turned away:

    descriptor 2    ──▶ a temporary file
    sys.stderr      ──▶ a duplicate of what descriptor 2 was: all that Python writes appears as ever

What the file holds is forgotten where all went well. An exception that escapes is preceded by it, since it may be the reason. A
process that dies (`LOG(FATAL)`, a segmentation fault, kill -9) can't print anything any more; so another one waits for its
end and does.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import IO, TextIO

_STDERR = 2
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_NOTHING = "3"  # of errors, its own exceptions tell

# Standard input ends when the process that holds its other end does; standard output is the file with what was held back.
_WATCHER = """
import sys
sys.stdin.read()
held = open(1, "rb")
held.seek(0)
sys.stderr.buffer.write(held.read())
"""


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """A context without TensorFlow's log: everything from its import on has to happen inside.

    For programs, which own their process; a library must leave descriptor 2 alone, but for the time of an import (below).

    Example:

    >>> with quiet_tensorflow():
    ...     import tensorflow as tf
    """
    watcher: subprocess.Popen[bytes] | None = None
    with contextlib.ExitStack() as stack:
        # There may be no standard error, no place for a file or no process left: noise is better than no result.
        with contextlib.suppress(OSError):
            terminal = os.dup(_STDERR)
            held = stack.enter_context(tempfile.TemporaryFile("a+b"))
            watcher = _watch(held, terminal)
        if watcher is None:
            yield
            return
        stack.enter_context(contextlib.redirect_stderr(_python_stream(terminal)))
        stack.enter_context(_python_logger())
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except Exception:  # not SystemExit: who exits has said why
            held.seek(0)
            with open(terminal, "wb", closefd=False) as stream:
                stream.write(held.read())
            raise
        finally:
            os.dup2(terminal, _STDERR)
            watcher.kill()
            watcher.communicate()


def import_quietly(name: str) -> ModuleType:
    """The module `name`, one that may load TensorFlow: without its log, unless TF_CPP_MIN_LOG_LEVEL says what to log.

    TensorFlow reads the variable when it is imported and keeps to it; so it is set for that import alone.
    """
    if name in sys.modules or "tensorflow" in sys.modules or _LEVEL in os.environ:
        return importlib.import_module(name)
    os.environ[_LEVEL] = _NOTHING
    try:
        with quiet_tensorflow():
            return importlib.import_module(name)
    finally:
        os.environ.pop(_LEVEL, None)


def _watch(held: IO[bytes], terminal: int) -> subprocess.Popen[bytes]:
    """A process that copies `held` to the descriptor `terminal` when this one ends, unless it is killed before."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER],
        stdin=subprocess.PIPE,
        stdout=held,
        stderr=terminal,
        start_new_session=True,  # Ctrl-C is not for it
    )


def _python_stream(terminal: int) -> TextIO | None:
    """What sys.stderr has to be while descriptor 2 is not `terminal`."""
    stream = sys.stderr
    try:
        if stream.fileno() != _STDERR:
            return stream
    except (AttributeError, OSError):  # there is none, or it is no file (a notebook's, a test's)
        return stream
    # The descriptor is never closed: log handlers that were made inside keep the stream.
    return open(terminal, "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False)


@contextlib.contextmanager
def _python_logger() -> Iterator[None]:
    """TensorFlow's Python half logs deprecations of its own inside."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
