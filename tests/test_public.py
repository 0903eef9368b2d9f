"""The names that ARCHITECTURE.md calls public are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import kerasq

PAGE = Path(kerasq.__file__).with_name("ARCHITECTURE.md")
ROOT = PAGE.parents[1]


def public() -> dict[str, str]:
    section = PAGE.read_text("utf-8").split("## What is public\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^    (kerasq\S*) +(.+)$", section, re.MULTILINE))


@pytest.mark.parametrize(("module", "names"), public().items())
def test_public_names(module, names):
    found = importlib.import_module(module)
    wanted = found.__all__ if names == "all of __all__" else names.split()
    assert wanted
    for name in wanted:
        assert getattr(found, name) is not None


def test_the_page_lists_the_packages():
    packages = (
        "format",
        "layers",
        "quantizers",
        "callbacks",
        "metrics",
        "training",
        "models",
        "datasets",
        "ops",
        "interpreter",
        "runtime",
    )
    assert {"kerasq", "kerasq_convert", *(f"kerasq.{name}" for name in packages)} <= set(public())


@pytest.mark.skipif(not (ROOT / "BUILD").is_file(), reason="the tests run apart from the source tree")
def test_the_places_to_add_something_are_there():
    """Every file that a section "To add ..." names is in the tree, with some name where it has NAME or GROUP."""
    sections = re.findall(r"^## To add (.+)\n((?:(?!## ).*\n)*)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(sections) >= 4
    folders = (ROOT / folder for folder in ("kerasq", "converters", "tests", "examples"))
    files = "\n".join(path.relative_to(ROOT).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file())
    for title, text in sections:
        for place in re.findall(r"[\w/]+\.(?:py|c|h|fbs|md)\b", re.sub(r"/\s*\n\s*", "/", text)):
            pattern = re.sub("NAME|GROUP", lambda _: r"\w+", re.escape(place))
            assert re.search(rf"(^|/){pattern}$", files, re.MULTILINE), f"To add {title}: {place}"
