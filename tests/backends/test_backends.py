"""Every backend of Keras that is installed, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("on_any_backend.py")
ON_THE_HOST = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # what is compiled here runs for a few steps only
}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_trains_saves_loads_and_continues(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install '.[backends]'")
    environment = os.environ | ON_THE_HOST | {"KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("done\n")
