"""What every command shares: absl flags of its own, `--help`, and the exit statuses 0 (done), 1 (failed) and 2 (wrong usage)."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags

from kerasq.commands.quiet import quiet_tensorflow
from kerasq.format.errors import ModelError
from kerasq.text import first_of

_HELP_WIDTH = 80


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
        flags.DEFINE_bool("help", False, "Show this help.", short_name="h", flag_values=options)
        try:
            names = options(list(argv))[1:]
            if options.help:
                print(f"{self.usage}\n\n{self.doc}\nFlags:\n{_flag_table(options)}")
            else:
                self.execute(options, names)
        except (UsageError, flags.Error) as error:
            print(f"{self.name}: {error}\n{self.usage}\n{self.name} --help explains it", file=sys.stderr)
            return 2
        except CommandError as error:
            for reason in error.args:
                print(f"{self.name}: {reason}", file=sys.stderr)
            return 1
        return 0

    def run(self) -> None:
        """The console script."""
        with quiet_tensorflow() if self.tensorflow else contextlib.nullcontext():
            status = self.main(sys.argv)
        sys.exit(status)


def _flag_table(options: flags.FlagValues) -> str:
    """Two columns: the flags in the order of their definition, and what they mean."""
    described = dict(_describe(options[name]) for name in options)  # short names are keys of the same flags
    left = max(map(len, described)) + 4
    lines = []
    for flag, meaning in described.items():
        first, *others = textwrap.wrap(meaning, _HELP_WIDTH - left)
        lines += [f"  {flag:{left - 2}}{first}", *(" " * left + line for line in others)]
    return "\n".join(lines)


def _describe(flag: flags.Flag[Any]) -> tuple[str, str]:
    """`-o, --output FILE` and what it means."""
    choices = "|".join(getattr(flag.parser, "enum_values", ()))
    quoted = re.search("`(.+?)`", flag.help)
    value = choices or (quoted[1] if quoted else "")
    names = f"-{flag.short_name}, --{flag.name}" if flag.short_name else f"--{flag.name}"
    meaning = " ".join(flag.help.removeprefix(f"<{choices}>: ").replace("`", "").split())
    default = f" Default: {flag.default}." if flag.default not in (None, False, []) else ""
    return f"{names} {value}".rstrip(), meaning + default
