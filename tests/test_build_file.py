"""The BUILD file names every file once, and every dependency."""

import collections
import graphlib
import pathlib
import re
import shutil
import subprocess
import tomllib

import pytest

import kerasq
from build_file import glob, imported_files, load, source_files

ROOT = pathlib.Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "BUILD").is_file(), reason="the tests run apart from the source tree")


@pytest.fixture(scope="module")
def targets():
    return load(ROOT)[0]


@pytest.fixture(scope="module")
def owners(targets):
    owners = collections.defaultdict(set)
    for target in targets:
        for path in [*target.files, *target.outs]:
            owners[path].add(target.name)
    return owners


def test_every_file_is_in_exactly_one_target(owners):
    files = source_files(ROOT)
    assert len(files) > 50
    assert {path: len(owners[path]) for path in files if len(owners[path]) != 1} == {}


def test_names_are_those_of_files_and_of_targets(targets, owners):
    names = [target.name for target in targets]
    assert len(set(names)) == len(names)
    generated = {path for target in targets for path in target.outs}
    assert [path for path in owners if path not in generated and not (ROOT / path).is_file()] == []
    labels = {label for target in targets for label in [*target.deps, *target.srcs, *target.data] if label.startswith(":")}
    assert labels <= {f":{name}" for name in names}


def test_no_target_depends_on_itself(targets):
    order = [*graphlib.TopologicalSorter({f":{target.name}": target.deps for target in targets}).static_order()]
    assert order.index(":core") < order.index(":kerasq") < order.index(":testing")


def test_targets_name_what_they_import_and_nothing_else(targets, owners):
    """Programs and tests name the library that holds all."""
    everything = {f":{target.name}" for target in targets if target.rule == "py_library"}
    wrong = {}
    for target in targets:
        if not target.rule.startswith("py_"):
            continue
        paths = [path for path in target.srcs if path.endswith(".py") and (ROOT / path).is_file()]
        needed = {f":{owner}" for path in paths for file in imported_files(ROOT, path, kerasq._NAMES) for owner in owners[file]}
        named = everything if {":kerasq", ":testing"} & set(target.deps) else set(target.deps)
        missing = needed - named - {f":{target.name}"}
        unused = named - needed if named != everything and target.name != "kerasq" else set()
        if missing or unused:
            wrong[target.name] = {"missing": missing, "unused": unused}
    assert wrong == {}


def test_c_targets_hold_the_headers_that_they_include(targets):
    by_label = {f":{target.name}": target for target in targets}
    programs = [target for target in targets if target.rule.startswith("cc_")]
    assert len(programs) > 4
    for target in programs:
        visible = {pathlib.PurePosixPath(path).name for path in owned_files(by_label, target, [*target.deps])}
        for path in owned_files(by_label, target):
            for header in re.findall(r'^ *# *include "(?:.*/)?(.+)"$', (ROOT / path).read_text(), re.MULTILINE):
                assert header in visible, (target.name, path, header)


def owned_files(by_label, target, deps=()) -> list[str]:
    """Files of a target with those of file groups that it names, and of `deps` and theirs."""
    labels = [label for label in [*target.srcs, *target.hdrs] if label.startswith(":")]
    below = [path for label in labels for path in owned_files(by_label, by_label[label])]
    return target.files + below + [path for dep in deps for path in owned_files(by_label, by_label[dep], by_label[dep].deps)]


def test_one_library_holds_all(targets):
    (everything,) = [target for target in targets if target.name == "kerasq"]
    libraries = {f":{target.name}" for target in targets if target.rule == "py_library"}
    assert set(everything.deps) == libraries - {":kerasq", ":testing", ":benchmarks", ":cifar10", ":cortex_m"}


def test_commands_are_the_console_scripts():
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    assert {name: f"{module}:run" for name, module in load(ROOT)[1]["COMMANDS"].items()} == scripts


@pytest.mark.parametrize(
    ("include", "exclude", "paths"),
    [
        (["a/*.py"], [], ["a/b.py"]),
        (["a/**/*.py"], [], ["a/b.py", "a/c/d.py"]),
        (["a/**"], ["**/*.py"], ["a/e.txt"]),
        (["a/**"], ["a/c/**", "a/e.*"], ["a/b.py"]),
    ],
)
def test_glob(include, exclude, paths):
    assert glob(["a/b.py", "a/c/d.py", "a/e.txt"], include, exclude) == paths


def test_bazel_reads_the_same_targets(targets, tmp_path):
    bazel = shutil.which("bazel")
    if bazel is None:
        pytest.skip("bazel is not installed")
    command = [bazel, "--batch", f"--output_user_root={tmp_path}", "query", "--noshow_progress", "//..."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(f"//:{target.name}" for target in targets)
