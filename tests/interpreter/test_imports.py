"""A test bench or a web service must be able to run a model without TensorFlow; and every package may be imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kerasq import format as file_format
from networks import random_resnet23

CODE = """
import sys
import {module}
{use}
heavy = sorted(name for name in ("tensorflow", "keras", "absl", "yaml", "scipy", "matplotlib") if name in sys.modules)
assert not heavy, heavy
"""

RUN = """
import numpy
interpreter = kerasq.Interpreter(sys.argv[1], engine={engine!r})
interpreter.predict(numpy.zeros((1, 16, 16, 3), numpy.uint8))
interpreter.allocate_tensors()
interpreter.invoke()
interpreter.get_tensor(5)
"""


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("kerasq", "kerasq.Interpreter"),
        ("kerasq", RUN.format(engine=None)),
        ("kerasq", RUN.format(engine="reference")),
        ("kerasq.runtime", "kerasq.runtime.available()"),
        ("kerasq.interpreter", ""),
        ("kerasq.ops", ""),
        ("kerasq.format", ""),
        ("kerasq.format.model", ""),
        ("kerasq.qformat", ""),
        ("kerasq.progress", ""),
    ],
)
def test_running_a_model_imports_numpy_and_flatbuffers_only(module, use, tmp_path):
    path = tmp_path / "model.kq"
    file_format.dump(random_resnet23(maps=8, size=16), path)
    command = [sys.executable, "-c", CODE.format(module=module, use=use), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
