"""The command line of every command: absl flags of its own, and the exit statuses 0 (done), 1 (failed) and 2 (wrong usage)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import flags


class Exit(Exception):  # noqa: N818  (it ends a command, well or badly)
    """Ends a command with an exit status, after everything has been said."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


class CommandError(Exception):
    """A command can't do what it was asked; the text is the one line that its user sees."""


def parse(
    name: str, usage: str, doc: str | None, define: Callable[[flags.FlagValues], None], argv: Sequence[str]
) -> tuple[flags.FlagValues, list[str]]:
    """Flags and positional arguments.

    Args:
        name: The command's name.
        usage: One line that shows its arguments.
        doc: What `--help` shows above the flags.
        define: Defines the command's flags in the `FlagValues` that it is given.
        argv: Command line, the name first.

    Raises:
        Exit: The flags are wrong (2), or only help was asked for (0).
    """
    options = flags.FlagValues()
    define(options)
    flags.DEFINE_bool("help", False, "Show this help.", short_name="h", flag_values=options)
    try:
        names = options(list(argv))[1:]
    except flags.Error as error:
        raise wrong_usage(name, usage, str(error)) from None
    if options.help:
        print(f"{doc}{options.get_help()}")
        raise Exit(0)
    return options, names


def wrong_usage(name: str, usage: str, reason: str) -> Exit:
    """Says what is wrong with a command line, and returns what to raise."""
    print(f"{name}: {reason}\n{usage}", file=sys.stderr)
    return Exit(2)


def run_command(name: str, command: Callable[[Sequence[str]], None], argv: Sequence[str]) -> int:
    """The exit status of `command(argv)`: 1, after one line of explanation, where it raises `CommandError`."""
    try:
        command(argv)
    except Exit as end:
        return end.status
    except CommandError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0
