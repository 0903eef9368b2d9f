"""--completion: scripts by which shells complete the flags of every command, run in these shells where they are installed."""

import importlib
import shutil
import subprocess

import pytest

from kerasq.__main__ import COMMANDS

SHELLS = ("bash", "zsh", "fish")
CASES = {
    "--wei": {"--weight_bits"},
    "--criterion p": {"percentile"},
    "--criterion ": {"minmax", "percentile", "mse", "kl"},
    "--json --repl": {"--replan"},
}


@pytest.fixture
def script(capsys, tmp_path):
    """The path of a command's script for a shell."""

    def write(name, shell):
        command = importlib.import_module(COMMANDS[name]).COMMAND
        assert command.main([command.name, "--completion", shell]) == 0
        path = tmp_path / f"{name}.{shell}"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        return path

    return write


def needs(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_flag_is_in_the_script_of_every_shell(script, name, shell):
    text = script(name, shell).read_text(encoding="utf-8")
    for flag in ("quiet", "version", "help", "completion"):
        assert (f"-l {flag} " if shell == "fish" else f"--{flag}") in text


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_takes_the_script(script, name, shell):
    needs(shell)
    run(shell, "-n", str(script(name, shell)))


@pytest.mark.parametrize("typed", CASES)
def test_bash_completes(script, typed):
    needs("bash")
    words = ["kerasq-convert", *typed.split(" ")]
    array = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _kerasq_convert; echo ${{COMPREPLY[@]}}"
    assert set(run("bash", "-c", f"source {script('convert', 'bash')}; {ask}").split()) == CASES[typed]


@pytest.mark.parametrize("typed", CASES)
def test_fish_completes(script, typed):
    needs("fish")
    ask = f"complete -C 'kerasq-convert {typed}'"
    lines = run("fish", "--no-config", "-c", f"source {script('convert', 'fish')}; {ask}").splitlines()
    assert {line.split("\t")[0] for line in lines} == CASES[typed]


def test_zsh_defines_the_completion(script):
    needs("zsh")
    load = f"autoload -Uz compinit; compinit -u -D; source {script('convert', 'zsh')}; echo $_comps[kerasq-convert]"
    assert run("zsh", "-f", "-c", load).strip() == "_kerasq_convert"
