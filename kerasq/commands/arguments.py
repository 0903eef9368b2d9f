"""What every command shares: absl flags of its own, `--help`, `--version`, `--quiet`, `--completion`, and the exit statuses.

    0   done
    1   failed: something is wrong with what was given, a file or what is in it
    2   wrong usage: something is wrong with the command line itself

Errors go to standard error; under --json as one JSON object, {"command", "exit_status", "error", "problems"},
with "usage" where that is wrong.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from absl import flags

import kerasq
from kerasq.commands.completion import SHELLS, completion
from kerasq.commands.help import filled_usage, help_text
from kerasq.commands.program import FAILED, run_program
from kerasq.complete import IncompleteError
from kerasq.format.errors import ModelError
from kerasq.progress import silence
from kerasq.runtime.library import TierError
from kerasq.text import first_of

WRONG_USAGE = 2
_EXPECTED = {
    r"invalid literal for int\(\) with base .*": "a whole number",
    r"could not convert string to float.*": "a number",
    r"\('Non-boolean argument to boolean flag', .*\)": "true or false",
}
_JSON = re.compile(r"--?json(=(true|t|1|yes|y))?", re.IGNORECASE)


class CommandError(Exception):
    """A command can't do what it was asked.

    Args:
        *reasons: What its user sees, a line each.
    """


class UsageError(Exception):
    """A command line is wrong; the text says how."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever is wrong with the file at `path`, a .kq file or another, becomes a `CommandError` that names it."""
    try:
        yield
    except ModelError as error:
        raise CommandError(f"{path} is not a usable kerasq model: {first_of(error.problems)}") from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error


def print_failure(
    name: str, usage: str, status: int, reasons: Sequence[str], problems: Sequence[str] | None = None, as_json: bool = False
) -> None:
    """Says on standard error why a command failed.

    Args:
        name: The command's.
        usage: Its usage, for a wrong command line.
        status: The exit status.
        reasons: Lines for a person.
        problems: What is wrong, one by one, for a machine; `None` where that is `reasons`.
        as_json: Whether a machine reads it.
    """
    if as_json:
        facts = {"command": name, "exit_status": status, "error": "\n".join(reasons), "problems": list(problems or reasons)}
        facts |= {"usage": usage} if status == WRONG_USAGE else {}
        print(json.dumps(facts), file=sys.stderr)
        return
    for reason in reasons:
        print(f"{name}: {reason}", file=sys.stderr)
    if status == WRONG_USAGE:
        print(f"{filled_usage(usage)}\n{name} --help explains it", file=sys.stderr)


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, be it right or wrong."""
    return any(map(_JSON.fullmatch, argv))


def _of_the_flag(error: str) -> str:
    """What absl says of a flag's value, without what Python says of its own functions."""
    for pattern, expected in _EXPECTED.items():
        error = re.sub(f": {pattern}$", f": {expected} was expected", error)
    return error


@dataclasses.dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: What its user types.
        arguments: What follows the name: one line.
        doc: What `--help` shows above the flags.
        define: Defines its flags in the `FlagValues` that it is given. A name in back quotes in a flag's help stands for the
            flag's value.
        execute: Does the work; takes the flags and the positional arguments, raises `UsageError` or `CommandError`.
        tensorflow: Whether it may load TensorFlow, whose log its user does not care for.
    """

    name: str
    arguments: str
    doc: str | None
    define: Callable[[flags.FlagValues], None]
    execute: Callable[[flags.FlagValues, list[str]], None]
    tensorflow: bool = False

    @property
    def usage(self) -> str:
        return f"usage: {self.name} {self.arguments}"

    def main(self, argv: Sequence[str]) -> int:
        """The command; `argv` begins with its name. Returns the exit status."""
        options = flags.FlagValues()
        self.define(options)
        flags.DEFINE_bool("quiet", False, "Say nothing but what was asked for.", short_name="q", flag_values=options)
        flags.DEFINE_enum(
            "completion", None, list(SHELLS), "Print a script by which the shell completes this.", flag_values=options
        )
        flags.DEFINE_bool("version", False, "Show the version of kerasq.", flag_values=options)
        flags.DEFINE_bool("help", False, "Show this help.", short_name="h", flag_values=options)
        as_json = "json" in options and wants_json(argv)  # known before the command line is found to be right
        try:
            names = options(list(argv))[1:]
            if options.help:
                print(help_text(self.usage, self.doc, options))
            elif options.completion:
                print(completion(options.completion, self.name, options), end="")
            elif options.version:
                print(f"{self.name} {kerasq.__version__}")
            else:
                with silence() if options.quiet else contextlib.nullcontext():
                    self.execute(options, names)
        except (UsageError, flags.Error) as error:
            return self._fail(WRONG_USAGE, error, as_json)
        except CommandError as error:
            return self._fail(FAILED, error, as_json)
        except IncompleteError as error:
            return self._fail(FAILED, CommandError(str(error)), as_json)
        except TierError as error:  # of the variable KERASQ_ISA: flags have been looked at
            return self._fail(FAILED, CommandError(str(error)), as_json)
        except MemoryError as error:
            return self._fail(
                FAILED, CommandError(f"there is not enough memory for this ({str(error) or 'allocation failed'})"), as_json
            )
        return 0

    def _fail(self, status: int, error: Exception, as_json: bool) -> int:
        reasons = [str(reason) for reason in error.args] if isinstance(error, CommandError) else [_of_the_flag(str(error))]
        problems = [*map(str, getattr(error.__cause__, "problems", reasons))]
        print_failure(self.name, self.usage, status, reasons, problems, as_json)
        return status

    def run(self) -> NoReturn:
        """The console script."""
        run_program(self.name, self.main, tensorflow=self.tensorflow)
