"""python -m kerasq COMMAND ...: the commands of kerasq, for where their scripts are not on the PATH."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence

import kerasq
from kerasq.commands.arguments import WRONG_USAGE, Command, print_failure, wants_json
from kerasq.commands.program import FAILED, run_program
from kerasq.complete import IncompleteError, needed

COMMANDS = {
    "convert": "kerasq_convert.command",
    "run": "kerasq.commands.run",
    "eval": "kerasq.commands.evaluate",
    "inspect": "kerasq.commands.inspect",
    "bench": "kerasq.commands.bench",
}
NAME = "python -m kerasq"
USAGE = f"usage: {NAME} COMMAND ...\n       {NAME} COMMAND --help"


def help_text() -> str:
    """All commands, with the first line of what each says of itself."""
    lines = [f"  {name:9}{_summary(name)}" for name in COMMANDS]
    return "\n".join([USAGE, "", *lines, "", f"Each is a program of its own, too: kerasq-convert is {NAME} convert."])


def _summary(name: str) -> str:
    try:
        doc = _command(name).doc
    except IncompleteError:
        return "(not in kerasq-runtime)"
    return doc.split(": ", 1)[1].splitlines()[0]  # type: ignore[union-attr]


def _command(name: str) -> Command:
    try:
        return importlib.import_module(COMMANDS[name]).COMMAND
    except ModuleNotFoundError as error:
        raise needed(f"kerasq-{name}", str(error.name)) from None


def main(argv: Sequence[str]) -> int:
    """`argv` as of a program: its name, the command's, and the command's arguments. Returns the exit status."""
    name, *arguments = argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if name == "--version":
        print(f"kerasq {kerasq.__version__}")
        return 0
    name = name.removeprefix("kerasq-")
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(COMMANDS)} was expected"
        print_failure(NAME, USAGE, WRONG_USAGE, [f"there is no command {name!r}; {hint}"], as_json=wants_json(arguments))
        return WRONG_USAGE
    try:
        command = _command(name)
    except IncompleteError as error:
        print_failure(NAME, USAGE, FAILED, [str(error)], as_json=wants_json(arguments))
        return FAILED
    return command.main([command.name, *arguments])


if __name__ == "__main__":
    run_program(NAME, main, tensorflow=True)
