"""Two distributions from one tree: `kerasq`, and `kerasq-runtime`, which runs files without TensorFlow.

KERASQ_LIGHT names the Python of an environment where `pip install ./kerasq/runtime/light` was all (.ci/run makes one).
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tomllib

import numpy as np
import pytest

import kerasq

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "cifar10" / "models" / "mobilenet.kq"
LIGHT = os.environ.get("KERASQ_LIGHT")
MOST_BYTES = 15 << 20  # beside NumPy

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="the tests run apart from the source tree")
needs_light = pytest.mark.skipif(LIGHT is None, reason="KERASQ_LIGHT names no environment of kerasq-runtime")


@pytest.fixture(scope="module")
def projects():
    paths = (ROOT / "pyproject.toml", ROOT / "kerasq" / "runtime" / "light" / "pyproject.toml")
    return [tomllib.loads(path.read_text())["project"] for path in paths]


def test_the_light_one_is_a_part_of_the_complete_one(projects):
    complete, light = projects
    for key in ("version", "requires-python", "license"):
        assert light[key] == complete[key]
    assert complete["version"] == kerasq.__version__
    assert set(light["dependencies"]) < set(complete["dependencies"])
    assert light["scripts"].items() < complete["scripts"].items()
    assert not any("kerasq_convert" in entry for entry in light["scripts"].values())
    assert light["name"] not in " ".join(complete["dependencies"])


def run_without(code: str, *missing: str, light: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    """Runs code where modules are missing and, with `light`, a folder for it, kerasq-runtime is installed."""
    if light is not None:
        (light / "kerasq_runtime").mkdir()
        (light / "kerasq_runtime" / "__init__.py").touch()
    paths = [str(light)] if light else []
    hidden = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); sys.path[:0] = {paths!r}\n"
    return subprocess.run([sys.executable, "-c", hidden + code], capture_output=True, text=True, timeout=60, check=False)


REPLACE = "pip uninstall -y kerasq-runtime && pip install kerasq"


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("import kerasq; kerasq.convert", "kerasq.convert"),
        ("import kerasq; kerasq.BinaryWeightConv2D", "kerasq.BinaryWeightConv2D"),
        ("import kerasq.layers", "Training"),
        ("import kerasq; kerasq.callbacks", "Training"),
    ],
)
def test_what_the_light_one_has_not_names_the_command_that_brings_it(code, named, tmp_path):
    result = run_without(code, "keras", "tensorflow", "kerasq_convert", light=tmp_path)
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1
    assert last.startswith(f"kerasq.complete.IncompleteError: {named}")
    assert last.endswith(REPLACE)


def test_a_missing_tensorflow_is_named():
    result = run_without("import kerasq.layers", "keras")
    assert result.stderr.splitlines()[-1].endswith(
        "Training needs keras, which is not installed. It comes with: pip install keras"
    )


def test_commands_say_it_in_one_line(tmp_path):
    code = "from kerasq.__main__ import main\nraise SystemExit(main(['kerasq', {!r}, 'model']))"
    result = run_without(code.format("convert"), "kerasq_convert", light=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "kerasq-convert" in line
    assert line.endswith(REPLACE)


def test_both_in_one_environment_are_refused(tmp_path):
    result = run_without("import kerasq", light=tmp_path)
    assert result.returncode == 1
    assert "both installed" in result.stderr
    assert result.stderr.rstrip().endswith("pip uninstall -y kerasq kerasq-runtime && pip install kerasq")


def light_command(*arguments: str) -> subprocess.CompletedProcess:
    assert LIGHT is not None
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [LIGHT, "-P", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=pathlib.Path(LIGHT).parent, env=environment
    )


@needs_light
def test_an_installed_light_one_gives_the_same_integers(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)).astype(np.uint8)
    source, target = tmp_path / "images.npy", tmp_path / "scores.npy"
    np.save(source, images)
    result = light_command("-m", "kerasq", "run", str(MODEL), str(source), "--raw", "--output", str(target))
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(target), kerasq.Interpreter(model_path=MODEL).predict(images, raw=True))
    for command in ("inspect", "bench"):
        result = light_command("-m", "kerasq", command, str(MODEL), "--json")
        assert result.returncode == 0, result.stderr
        assert isinstance(json.loads(result.stdout), dict)


@needs_light
def test_an_installed_light_one_is_light():
    code = (
        "import importlib.metadata as m, importlib.util as u, json, kerasq\n"
        "packages = {d.name.lower(): sum(f.locate().stat().st_size for f in d.files or () if f.locate().is_file())"
        " for d in m.distributions()}\n"
        "print(json.dumps([packages, u.find_spec('tensorflow') is None, kerasq.runtime.available()]))"
    )
    result = light_command("-c", code)
    assert result.returncode == 0, result.stderr
    packages, without_tensorflow, native = json.loads(result.stdout)
    assert without_tensorflow
    assert native
    needed = {name: size for name, size in packages.items() if name not in ("numpy", "pip", "setuptools")}
    assert set(needed) == {"kerasq-runtime", "absl-py", "flatbuffers"}
    assert sum(needed.values()) <= MOST_BYTES
    assert light_command("-c", "import kerasq; kerasq.convert").stderr.rstrip().endswith(REPLACE)
