"""docs/ and what it links to: every block of code runs, every text shown was printed, every link leads somewhere.

A page's blocks run in their order, in an empty folder, on fewer images. Python runs as it stands, lines indented by four spaces
are commands. A comment before a fenced block says what else it is:

    <!-- file: NAME -->   it is written to this file, for the commands that follow
    <!-- fragment -->     it is not run: at most one of five, and never commands
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

import kerasq
from kerasq.commands import bench, evaluate, inspect, run
from kerasq.datasets import shapes
from kerasq_convert import command
from six_lines import assert_six_lines_ship

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
NAMES = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]
LINKED = [*PAGES, *(ROOT / "kerasq").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>fragment|file: (?P<file>\S+)) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    r"|^\n(?P<commands>(?: {4}\S[^\n]*\n)+)",
    re.MULTILINE | re.DOTALL,
)
MAINS = {
    "kerasq-bench": bench.main,
    "kerasq-convert": command.main,
    "kerasq-eval": evaluate.main,
    "kerasq-inspect": inspect.main,
    "kerasq-run": run.main,
}
TOOLS = ("cmake", "ctest")
# Commands that install, or take minutes: where they run.
IN_CI = {
    'pip install ".[plot]" && python examples/quickstart.py': "examples/quickstart.py --fast",
    'pip install ".[test,plot]"': '--quiet ".[test,plot]"',
    'pip install ".[test,plot]" && pytest': '--quiet ".[test,plot]"',
    "pytest": '"$bin/pytest" "${others[@]}"',
    'pip install ".[docs]"': '"kerasq[docs]"',
    "mkdocs build -f docs/mkdocs.yml": 'mkdocs" build --quiet --strict -f docs/mkdocs.yml',
    "pip install ./kerasq/runtime/light": "./kerasq/runtime/light",
    "python examples/cortex_m/run.py": "examples/cortex_m/run.py",
    "python -m kerasq.format.regenerate --check": "kerasq.format.regenerate --check",
    "ruff check && ruff format --check && mypy": 'check "ruff format"',
    ".ci/run": "set -uo pipefail",
}


@dataclasses.dataclass(frozen=True)
class Block:
    """One block of a page."""

    language: str  # "commands" for lines to type
    text: str
    mark: str = ""
    file: str = ""


def blocks_of(page: pathlib.Path) -> Iterator[Block]:
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["commands"]:
            yield Block("commands", re.sub(r"^ {4}", "", match["commands"].replace("\\\n", " "), flags=re.MULTILINE))
        else:
            yield Block(match["language"], match["text"], match["mark"] or "", match["file"] or "")


def run_line(line: str) -> None:
    """One line of a page's commands: in this process where it is a command of kerasq."""
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] in MAINS:
        assert MAINS[words[0]](words) == 0, line
    elif words[0] in TOOLS:
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        subprocess.run(line, shell=True, check=True, capture_output=True, timeout=300)
    else:
        ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
        assert IN_CI[re.sub(r" +#.*", "", line).strip()] in ci, line


def assert_printed(shown: str, printed: str) -> None:
    """Every line of a block of output was printed; "..." stands for others."""
    lines = {" ".join(line.split()) for line in printed.splitlines()}
    for line in shown.splitlines():
        if line.strip() not in ("", "..."):
            assert " ".join(line.split()) in lines, f"no command printed {line!r}"


def guide(names: dict) -> None:
    kernels = {layer.layer: layer.kernel for layer in kerasq.summary("trained.kq").layers}
    assert kernels["conv3_pointwise"].startswith("FIXED4")
    assert kernels["conv3_depthwise"].startswith("FIXED8")
    assert pathlib.Path("trained.kq").stat().st_size < 0.7 * pathlib.Path("converted.kq").stat().st_size
    assert 0 <= names["history"]["flip_ratio"][-1] < 1
    page = blocks_of(ROOT / "docs" / "pages" / "from-float-to-chip.md")
    (block,) = [block for block in page if "trained.kq" in block.text and "quantize_model" in block.text]
    assert_six_lines_ship(block.text, names, "trained.kq", names["x_test"].astype("float32"))
    assert kerasq.Interpreter(model_path="trained.kq").predict(names["x_test"]).shape == (10, 10)


AFTERWARDS = {"pages/from-float-to-chip.md": guide}


@pytest.mark.parametrize("name", [name for name, page in zip(NAMES, PAGES, strict=True) if any(blocks_of(page))])
def test_the_page_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shapes, "load_data", functools.partial(shapes.load_data, train=256, test=10))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict = {"__name__": "__main__"}
    printed = ""
    for block in blocks_of(ROOT / "docs" / name):
        if block.mark == "fragment":
            assert block.language != "commands"
        elif block.file:
            pathlib.Path(block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(block.text, names)
        elif block.language == "commands":
            for line in block.text.splitlines():
                run_line(line)
        else:
            assert block.language == "text", f"{name}: what is a block of {block.language!r}?"
            assert_printed(block.text, printed + capsys.readouterr().out)
            continue
        printed = printed[-100_000:] + capsys.readouterr().out
    AFTERWARDS.get(name, lambda _: None)(names)


def test_commands_of_the_readme_run():
    """tests/test_readme.py runs its code and the commands of kerasq; all others run in .ci/run."""
    for block in blocks_of(ROOT / "README.md"):
        for line in block.text.splitlines() if block.language == "commands" else ():
            if shlex.split(line)[0] not in MAINS:
                run_line(line)


def test_most_blocks_run():
    blocks = [block for page in [*PAGES, ROOT / "README.md"] for block in blocks_of(page)]
    assert 5 * sum(block.mark == "fragment" for block in blocks) <= len(blocks)


def anchors_of(page: pathlib.Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target = page.parent / link if link else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{page.name} links to {link}#{anchor}"


def test_every_page_is_in_the_navigation():
    text = (ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs" / "pages").glob("*.md"):
        assert re.search(rf"^ +- {re.escape(page.name)}$", text, re.MULTILINE), page.name


def test_generated_pages_are_up_to_date():
    assert runpy.run_path(str(ROOT / "docs" / "generate.py"))["main"](["--check"]) == 0
