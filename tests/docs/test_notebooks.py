"""docs/notebooks: their cells run from the first to the last on few images, and they are stored without what running leaves.

Cells are run here in one namespace, as a kernel does: no test needs Jupyter. A notebook is plain Python for that, without magics;
its cell `parameters` says how much is trained, and what a cell ends with is shown, as a notebook would.
"""

from __future__ import annotations

import ast
import json
import pathlib
import re

import pytest

import kerasq

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHORT = {"TRAIN": 256, "TEST": 64, "EPOCHS": 1, "MORE": 1}


def cells_of(path: pathlib.Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def run_cell(source: str, names: dict) -> str | None:
    """Runs a cell; what it shows of its last expression, as HTML where that is there."""
    tree = ast.parse(source)
    *statements, last = tree.body
    if not isinstance(last, ast.Expr):
        exec(compile(tree, "cell", "exec"), names)
        return None
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return value._repr_html_() if hasattr(value, "_repr_html_") else None if value is None else repr(value)


def runs_to_the_end(path: pathlib.Path) -> tuple[dict, dict[str, str | None]]:
    """All names, and what every cell of code shows, by its id."""
    names: dict = {"__name__": "__main__"}
    shown = {}
    for cell in cells_of(path):
        if cell["cell_type"] == "code":
            shown[cell["id"]] = run_cell("".join(cell["source"]), names)
            if "parameters" in cell["metadata"].get("tags", ()):
                assert names.keys() & SHORT.keys(), "the sizes have other names"
                names |= {name: value for name, value in SHORT.items() if name in names}
    return names, shown


def test_float_to_chip(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, shown = runs_to_the_end(FOLDER / "float_to_chip.ipynb")
    for cell in ("conversion", "summary", "network", "interpreter", "footprint"):
        assert "<table>" in shown[cell], cell
    assert "the same class for" in capsys.readouterr().out
    assert kerasq.Interpreter(model_path="model.kq").predict(names["x_test"]).shape == (SHORT["TEST"], 10)
    assert (tmp_path / "firmware" / "CMakeLists.txt").is_file()
    assert (tmp_path / "model.tflite").read_bytes()[4:8] == b"TFL3"


def test_quantization_aware_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, shown = runs_to_the_end(FOLDER / "quantization_aware_training.ipynb")
    kernels = {layer.layer: layer.kernel for layer in kerasq.summary("model.kq").layers}
    assert kernels["conv2"].startswith("TERNARY") or kernels["conv2"].startswith("FIXED2")
    assert "<table>" in shown["quantized"]
    assert "at most one step away" in capsys.readouterr().out
    assert (names["distance"] < 1.5).all(), "the file computes what was trained"
    assert len(names["content"]) < len(names["in_eight_bits"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    """As Jupyter writes it, so that a change is a change of lines; running and saving it here must not be committed."""
    book = json.loads(path.read_text(encoding="utf-8"))
    assert path.read_text(encoding="utf-8") == json.dumps(book, indent=1, ensure_ascii=False) + "\n"
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in ids)
    for cell in book["cells"]:
        assert cell["cell_type"] in ("code", "markdown")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            ast.parse("".join(cell["source"]))  # plain Python: no magics


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    text = "".join("".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in link or (FOLDER / link).exists(), link


def test_the_notebooks_are_linked_from_the_pages():
    pages = "".join(page.read_text(encoding="utf-8") for page in (FOLDER.parent / "pages").glob("*.md"))
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert f"../notebooks/{path.name}" in pages
