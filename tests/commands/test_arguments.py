"""The frame that all commands share."""

import json

import pytest
from absl import flags

import kerasq
from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.format import ModelError
from kerasq.progress import Progress
from kerasq.runtime.library import TierError

HELP = """\
usage: kerasq-test FILE [--size N]

What it does.

Flags:
  -o, --output FILE           FILE to write.
  --size N                    As many as N. Default: 3.
  --color red|dark blue       Of the door.
  --quick                     Sooner, at the cost of everything that there is to
                              say about it, which is what a second line is for.
  -q, --quiet                 Say nothing but what was asked for.
  --completion bash|zsh|fish  Print a script by which the shell completes this.
  --version                   Show the version of kerasq.
  -h, --help                  Show this help.
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
    [
        ([], "no file"),
        (["--size=x"], "flag --size=x: a whole number was expected"),
        (["--size=1.5"], "flag --size=1.5: a whole"),
        (["--quiet=maybe"], "flag --quiet=maybe: true or false was expected"),
        (["--siez"], "Unknown command line flag 'siez'"),
    ],
)
def test_wrong_usage(run, arguments, reason):
    status, text, errors = run(fails, *arguments)
    first, *rest = errors.splitlines()
    assert (status, text, rest) == (2, "", ["usage: kerasq-test FILE [--size N]", "kerasq-test --help explains it"])
    assert first.startswith(f"kerasq-test: {reason}")


def test_kernels_that_there_are_not(run):
    """The variable KERASQ_ISA is looked at where a network is opened."""

    def execute(options, names):
        raise TierError("`KERASQ_ISA` must be one of 'portable'")

    assert run(execute) == (1, "", "kerasq-test: `KERASQ_ISA` must be one of 'portable'\n")


def test_version(run):
    assert run(pytest.fail, "--version") == (0, f"kerasq-test {kerasq.__version__}\n", "")


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_commands_show_no_progress(run, flag):
    def execute(options, names):
        with Progress("work", 1, force=True) as progress:
            progress.advance()

    assert run(execute, flag) == (0, "", "")
    assert run(execute)[2].startswith("work  1/1 steps")


def defines_json(options):
    flags.DEFINE_bool("json", False, "As JSON.", flag_values=options)


@pytest.mark.parametrize(
    ("arguments", "raised", "facts"),
    [
        ([], CommandError("first", "second"), {"exit_status": 1, "error": "first\nsecond", "problems": ["first", "second"]}),
        (["--jsn"], None, {"exit_status": 2, "error": "Unknown command line flag 'jsn'. Did you mean: json ?"}),
        ([], UsageError("no file"), {"exit_status": 2, "problems": ["no file"], "usage": "usage: kerasq-test FILE"}),
        ([], MemoryError(), {"exit_status": 1, "error": "there is not enough memory for this (allocation failed)"}),
    ],
)
@pytest.mark.parametrize("flag", ["--json", "-json", "--json=true"])
def test_errors_as_json(capsys, flag, arguments, raised, facts):
    def execute(options, names):
        raise raised

    command = Command("kerasq-test", "FILE", "What it does.\n", defines_json, execute)
    assert command.main(["kerasq-test", *arguments, flag]) == facts["exit_status"]
    text, errors = capsys.readouterr()
    assert text == ""
    assert json.loads(errors) == json.loads(errors) | {"command": "kerasq-test"} | facts


def test_problems_of_a_model_one_by_one(capsys):
    def execute(options, names):
        with naming("m.kq"):
            raise ModelError(["a is wrong", "b too"])

    assert Command("kerasq-test", "", "", defines_json, execute).main(["kerasq-test", "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["problems"] == ["a is wrong", "b too"]


def test_help_obeys_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    flag_lines = run(pytest.fail, "--help")[1].split("Flags:\n")[1].splitlines()
    assert max(map(len, flag_lines)) <= 50


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
