"""What a console script does around its command: pipes that close, a full disk under standard output, Ctrl-C, kill."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import NoReturn

from kerasq.quiet import quiet_tensorflow

FAILED = 1
_SIGNALLED = 128  # a shell's exit status of a program that a signal ended, less the signal's number
_DISK_ERRORS = {getattr(errno, name, 0) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO")}
_PIPE_CLOSED = _SIGNALLED + 13  # SIGPIPE, which Windows has not


def run_program(name: str, main: Callable[[Sequence[str]], int], *, tensorflow: bool = False) -> NoReturn:
    """Runs a command with this process's arguments, and ends the process with its exit status.

    A reader that closes its end of standard output or standard error has seen enough: the program ends without a word, with
    the exit status that a shell gives to one that SIGPIPE has ended, 141. So it does (130, 143) on Ctrl-C and on kill, once
    files on their way are removed.

    Args:
        name: What errors begin with.
        main: Takes `sys.argv`, returns the exit status.
        tensorflow: Whether it may load TensorFlow, whose log its user does not care for.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may hold what the terminal's encoding has not
            stream.reconfigure(errors="backslashreplace")
    try:
        with _signals_raise(), quiet_tensorflow() if tensorflow else contextlib.nullcontext():
            status = main(sys.argv)
            if sys.stdout is not None:
                sys.stdout.flush()  # what was printed is to arrive before the program is said to have succeeded
    except BrokenPipeError:
        _forget_output()
        status = _PIPE_CLOSED
    except OSError as error:
        if error.errno not in _DISK_ERRORS or error.filename is not None:  # not of what was printed
            raise
        _forget_output()
        print(f"{name}: standard output: {error.strerror}", file=sys.stderr)
        status = FAILED
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print(f"{name}: interrupted", file=sys.stderr)
        status = _SIGNALLED + signal.SIGINT
    sys.exit(status)


def _forget_output() -> None:
    """Turn standard output and error away, so that the interpreter's own flush at the end has nothing to complain of."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, AttributeError):
            with contextlib.suppress(OSError, AttributeError):
                os.dup2(nowhere, stream.fileno())


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """kill, and the end of the terminal, unwind the program as an exit does: by default they would leave temporary files."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(_SIGNALLED + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:  # else somebody wants it otherwise, as nohup does
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
