"""The names that ARCHITECTURE.md calls public are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import kerasq

PAGE = Path(kerasq.__file__).with_name("ARCHITECTURE.md")


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
    packages = ("format", "layers", "quantizers", "callbacks", "models", "datasets", "ops", "interpreter", "runtime")
    assert {"kerasq", "kerasq_convert", *(f"kerasq.{name}" for name in packages)} <= set(public())
