"""python -m kerasq."""

import json
import pathlib
import subprocess
import sys
import tomllib

import pytest

import kerasq
from kerasq.__main__ import COMMANDS, main
from kerasq.conformance.samples import SAMPLES
from kerasq.format import dump

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(capsys, arguments):
    assert main(["kerasq", *arguments]) == 0
    text = capsys.readouterr().out
    assert "  convert  from a trained network to one .kq file, or to C." in text
    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_they_are_the_console_scripts():
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    assert {f"kerasq-{name}": f"{module}:run" for name, module in COMMANDS.items()} == scripts


@pytest.mark.parametrize("name", [*COMMANDS, "kerasq-run"])
def test_every_command_tells_its_version(capsys, name):
    assert main(["kerasq", name, "--version"]) == 0
    assert capsys.readouterr().out == f"kerasq-{name.removeprefix('kerasq-')} {kerasq.__version__}\n"


def test_version(capsys):
    assert main(["kerasq", "--version"]) == 0
    assert capsys.readouterr().out == f"kerasq {kerasq.__version__}\n"


@pytest.mark.parametrize(
    ("name", "words"), [("convrt", "did you mean convert?"), ("xyz", "one of convert, run"), ("--json", "one of")]
)
def test_no_such_command(capsys, name, words):
    assert main(["kerasq", name]) == 2
    out, errors = capsys.readouterr()
    assert (out, words in errors) == ("", True)
    assert main(["kerasq", name, "--json"]) == 2
    out, errors = capsys.readouterr()
    facts = json.loads(errors)
    assert (out, facts["command"], facts["exit_status"], words in facts["error"]) == ("", "python -m kerasq", 2, True)


def test_as_a_program(tmp_path):
    dump(SAMPLES["binary"](), tmp_path / "net.kq")
    command = [sys.executable, "-m", "kerasq"]
    done = subprocess.run([*command, "inspect", "net.kq"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("net.kq: ")
    done = subprocess.run([*command, "inspect", "none.kq"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "kerasq-inspect: none.kq: No such file or directory\n")
