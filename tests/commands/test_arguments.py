"""The frame that all commands share."""

import pytest
from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.format import ModelError

HELP = """\
usage: kerasq-test FILE [--size N]

What it does.

Flags:
  -o, --output FILE      FILE to write.
  --size N               As many as N. Default: 3.
  --color red|dark blue  Of the door.
  --quick                Sooner, at the cost of everything that there is to say
                         about it, which is what a second line is for.
  -q, --quiet            Say nothing but what was asked for.
  --version              Show the version of kerasq.
  -h, --help             Show this help.
"""


def define(options):
    flags.DEFINE_string("output", None, "`FILE` to write.", short_name="o", flag_values=options)
    flags.DEFINE_integer("size", 3, "As many as `N`.", flag_values=options)
    flags.DEFINE_enum("color", None, ["red", "dark blue"], "Of the door.", flag_values=options)
    what = "Sooner, at the cost of everything that there is to say about it, which is what a second line is for."
    flags.DEFINE_bool("quick", False, what, flag_values=options)


@pytest.fixture
def run(capsys):
    """Exit status, standard output and standard error of a command that calls `execute`."""

    def run(execute, *arguments):
        command = Command("kerasq-test", "FILE [--size N]", "What it does.\n", define, execute)
        status = command.main(["kerasq-test", *arguments])
        return status, *capsys.readouterr()

    return run


def test_flags_and_names_in_any_order(run):
    def execute(options, names):
        print(options.size, options.quick, names)

    assert run(execute, "a", "--size=4", "b", "--quick") == (0, "4 True ['a', 'b']\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(run, flag):
    assert run(pytest.fail, flag) == (0, HELP, "")


def test_failure(run):
    def execute(options, names):
        raise CommandError("first", "second")

    assert run(execute) == (1, "", "kerasq-test: first\nkerasq-test: second\n")


def fails(options, names):
    raise UsageError("no file")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [([], "no file"), (["--size=x"], "flag --size=x: "), (["--siez"], "Unknown command line flag 'siez'")],
)
def test_wrong_usage(run, arguments, reason):
    status, text, errors = run(fails, *arguments)
    first, *rest = errors.splitlines()
    assert (status, text, rest) == (2, "", ["usage: kerasq-test FILE [--size N]", "kerasq-test --help explains it"])
    assert first.startswith(f"kerasq-test: {reason}")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModelError(["a is wrong"]), "m.kq is not a usable kerasq model: a is wrong"),
        (ModelError(["a is wrong", "b too"]), "m.kq is not a usable kerasq model: a is wrong (and 1 more problem)"),
        (ModelError(["a", "b", "c"]), "m.kq is not a usable kerasq model: a (and 2 more problems)"),
        (FileNotFoundError(2, "No such file", "other"), "m.kq: No such file"),
        (OSError("odd"), "m.kq: odd"),
    ],
)
def test_what_is_wrong_with_a_file(error, line):
    with pytest.raises(CommandError) as raised, naming("m.kq"):
        raise error
    assert raised.value.args == (line,)
