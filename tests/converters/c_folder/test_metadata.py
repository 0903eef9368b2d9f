"""What build systems read of a folder, against what their schemas and documentation ask.

* Arduino: the library specification, and the strict schema that arduino-lint checks library.properties by.
* PlatformIO: the schema of library.json in platformio-core.
* ESP-IDF: the reference of idf_component.yml.
* Zephyr: the schema of module.yml in scripts/zephyr_module.py, and the language of Kconfig.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

import kerasq.runtime
from kerasq_convert.c_folder.texts import TEMPLATES

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which names the kernels")
SEMVER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"


def test_arduino(folder):
    lines = (folder / "library.properties").read_text(encoding="ascii").splitlines()
    values = dict(line.split("=", 1) for line in lines)
    needed = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    optional = {"depends", "dot_a_linkage", "includes", "precompiled", "ldflags"}
    assert len(values) == len(lines)
    assert needed <= values.keys() <= needed | optional
    assert all(values.values())
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]{0,15}", values["name"])
    assert not re.search("arduino|library", values["name"], re.IGNORECASE)
    assert re.fullmatch(SEMVER, values["version"])
    assert "arduino" not in (values["author"] + values["maintainer"]).lower()
    categories = "Display|Communication|Signal Input/Output|Sensors|Device Control|Timing|Data Storage|Data Processing|Other"
    assert re.fullmatch(categories, values["category"])
    assert re.match(r"[a-z][a-z0-9+.-]*:\S+$", values["url"])
    assert values["dot_a_linkage"] in ("true", "false")
    assert not values["sentence"].startswith(values["paragraph"])
    for name in values["includes"].split(","):
        assert (folder / "src" / name).is_file()
    sketches = list((folder / "examples").rglob("*.ino"))
    assert sketches
    assert all(sketch.parent.name == sketch.stem for sketch in sketches)  # else the IDE does not open it
    assert not list((folder / "src").rglob("*.ino"))


def test_platformio(folder):
    values = json.loads((folder / "library.json").read_text())
    needed, optional = (
        {"name", "version", "description", "keywords"},
        {"homepage", "repository", "authors", "license", "frameworks"},
    )
    optional |= {"platforms", "headers", "examples", "dependencies", "export", "scripts", "build"}
    assert needed <= values.keys() <= needed | optional
    assert re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,48}[a-zA-Z0-9])?", values["name"])
    assert re.fullmatch(SEMVER, values["version"])
    assert 0 < len(values["description"]) <= 255
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", keyword) for keyword in values["keywords"])
    assert all(author["name"] for author in values["authors"])
    assert values["license"] == "Apache-2.0"
    assert (folder / "src" / values["headers"]).is_file()
    build = {"flags", "unflags", "includeDir", "srcDir", "srcFilter", "extraScript", "libArchive", "libLDFMode"}
    assert values["build"].keys() <= build
    assert all((folder / values["build"][part]).is_dir() for part in ("srcDir", "includeDir"))
    for example in values["examples"]:
        assert example.keys() == {"name", "base", "files"}
        assert all((folder / example["base"] / file).is_file() for file in example["files"])


def test_esp_idf(folder):
    values = yaml.safe_load((folder / "idf_component.yml").read_text())
    known = {"version", "maintainers", "description", "license", "tags", "url", "repository", "documentation", "issues"}
    known |= {"discussion", "files", "examples", "dependencies", "targets", "commit_sha", "repository_info"}
    assert values.keys() <= known
    assert re.fullmatch(SEMVER, values["version"])
    assert isinstance(values["description"], str)
    assert values["license"] == "Apache-2.0"
    assert set(values["dependencies"]) == {"idf"}
    assert re.fullmatch(r">=\d+\.\d+", values["dependencies"]["idf"])


def test_zephyr(folder):
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert module.keys() <= {"name", "build", "tests", "samples", "boards", "blobs"}
    assert isinstance(module["name"], str)
    assert module["build"].keys() <= {"cmake", "kconfig", "cmake-ext", "kconfig-ext", "depends", "settings"}
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    kconfig = (folder / module["build"]["kconfig"]).read_text()
    symbols = re.findall(r"^config ([A-Z0-9_]+)$", kconfig, re.MULTILINE)
    assert len(symbols) == len(set(symbols)) == 2
    for line in filter(None, kconfig.splitlines()):
        assert re.match(r'config [A-Z0-9_]+$|\tbool ".+"$|\thelp$|\t  \S|\tdepends on [A-Z0-9_]+$', line), line
    used = re.findall(r"CONFIG_([A-Z0-9_]+)", (folder / "zephyr" / "CMakeLists.txt").read_text())
    assert set(used) == set(symbols)


def test_the_licence_is_the_projects():
    assert (TEMPLATES / "LICENSE").read_bytes() == (pathlib.Path(__file__).parents[3] / "LICENSE").read_bytes()
