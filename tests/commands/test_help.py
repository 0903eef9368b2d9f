"""--help of every command: lines of the terminal's width, whatever the description is made of."""

import importlib

import pytest

from kerasq.__main__ import COMMANDS
from kerasq.commands.help import filled, filled_usage


@pytest.mark.parametrize("columns", [None, 40, 72, 80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_the_terminal(name, columns, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    command = importlib.import_module(COMMANDS[name]).COMMAND
    assert command.main([command.name, "--help"]) == 0
    text = capsys.readouterr().out
    longest = max(map(len, text.splitlines()))
    assert (columns or 80) - 15 < longest <= (columns or 80)
    words = " ".join(text.replace(" \\\n", " ").split())
    assert " ".join(command.doc.split()) in words, "the description is complete"


def test_paragraphs_are_filled_each_in_its_way(monkeypatch):
    monkeypatch.setenv("COLUMNS", "36")
    doc = """\
What it does, in a line that is too long for this.

    kerasq-test FILE --size 3 --color red --quick
    kerasq-test OTHER

    size       how large it is, which is
               told in two lines
    top score  the best
"""
    assert filled(doc).splitlines() == [
        "What it does, in a line that is too",
        "long for this.",
        "",
        "    kerasq-test FILE --size 3 \\",
        "        --color red --quick",
        "    kerasq-test OTHER",
        "",
        "    size       how large it is,",
        "               which is told in two",
        "               lines",
        "    top score  the best",
    ]


def test_usage_breaks_between_arguments(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    expected = ["usage: kerasq-test FILE", "                   [--size N [--of M]]", "                   ..."]
    assert filled_usage("usage: kerasq-test FILE [--size N [--of M]] ...").splitlines() == expected
