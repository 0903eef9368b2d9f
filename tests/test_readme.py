"""The README's example runs as it stands, on fewer images; on all of them, where KERASQ_README is set (.ci/run), it learns."""

import functools
import os
import pathlib
import re
import shlex

import numpy as np
import pytest

from kerasq.commands import evaluate, inspect
from kerasq.datasets import shapes
from kerasq_convert import command
from six_lines import assert_six_lines_ship

README = pathlib.Path(__file__).parents[1] / "README.md"
MAINS = {"kerasq-convert": command.main, "kerasq-inspect": inspect.main, "kerasq-eval": evaluate.main}


def run_example(capsys):
    """Executes code and commands in their order; returns the names that the code has set."""
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    commands = [shlex.split(line) for line in text.splitlines() if re.match(r" {4}kerasq-", line)]
    assert len(blocks) == 3
    assert {arguments[0] for arguments in commands} == set(MAINS)
    names: dict = {}
    exec(blocks[0], names)
    for arguments in commands:
        assert MAINS[arguments[0]](arguments) == 0, capsys.readouterr().err
    exec(blocks[1], names)
    assert "model.kq" in capsys.readouterr().out
    exec(blocks[2], names)
    assert pathlib.Path("quantized.kq").stat().st_size < 2 * pathlib.Path("model.kq").stat().st_size
    assert_six_lines_ship(blocks[2], names, "quantized.kq", names["x_test"][:50].astype("float32"))
    return names


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shapes, "load_data", functools.partial(shapes.load_data, train=300, test=100))
    assert run_example(capsys)["scores"].shape == (100, 10)


@pytest.mark.skipif("KERASQ_README" not in os.environ, reason="KERASQ_README is not set: training takes a minute or two")
def test_the_example_learns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run_example(capsys)
    assert np.mean(names["scores"].argmax(axis=1) == names["y_test"]) >= 0.9


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")))
def test_links_lead_somewhere(link):
    assert (README.parent / link).exists()
