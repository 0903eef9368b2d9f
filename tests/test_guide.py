"""docs/: every block of Python runs as it stands, in the order of the page, on fewer images."""

import functools
import pathlib
import re

import pytest

import kerasq
from kerasq.commands import inspect
from kerasq.datasets import shapes

ROOT = pathlib.Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "from-float-to-chip.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shapes, "load_data", functools.partial(shapes.load_data, train=256, test=10))
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)
    assert "conv2_depthwise" in capsys.readouterr().out  # the summary
    lines = [line for line in blocks[2].splitlines() if line]
    assert len(lines) <= 6  # float to quantization-aware to .kq
    kernels = {layer.layer: layer.kernel for layer in kerasq.summary("trained.kq").layers}
    assert kernels["conv3_pointwise"].startswith("FIXED4")
    assert kernels["conv3_depthwise"].startswith("FIXED8")
    assert pathlib.Path("trained.kq").stat().st_size < 0.7 * pathlib.Path("converted.kq").stat().st_size
    assert 0 <= names["history"]["flip_ratio"][-1] < 1
    assert kerasq.Interpreter(model_path="trained.kq").predict(names["x_test"]).shape == (10, 10)
    assert inspect.main(["kerasq-inspect", "trained.kq", "--target", "stm32l4r5"]) == 0


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_links_lead_somewhere(link):
    assert (GUIDE.parent / link).exists()
