"""A test bench or a web service must be able to run a model without TensorFlow; and every package may be imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
import {module}
{use}
heavy = sorted(name for name in ("tensorflow", "keras", "absl", "yaml", "scipy", "matplotlib") if name in sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("kerasq", "kerasq.Interpreter"),
        ("kerasq.interpreter", ""),
        ("kerasq.ops", ""),
        ("kerasq.format", ""),
        ("kerasq.format.model", ""),
        ("kerasq.qformat", ""),
        ("kerasq.progress", ""),
    ],
)
def test_running_a_model_imports_numpy_and_flatbuffers_only(module, use):
    result = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module, use=use)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
