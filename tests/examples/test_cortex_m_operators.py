"""The kernels on a simulated Cortex-M: hundreds of random networks of one operator, each with the reference's checksums."""

from __future__ import annotations

import pathlib
import shutil
import sys

import pytest

import kerasq.runtime
from overlapped import distances, overlapped
from practical_operators import KINDS, practical_model

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples" / "cortex_m"))

TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
pytestmark = [
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {' and '.join(TOOLS)}"),
    pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which computes the checksums"),
]
COUNT = 60  # of each kind


def models():
    """Every other one with its output over an input, as near as may be."""
    for kind in KINDS:
        for seed in range(COUNT):
            model = practical_model(kind, seed)
            if seed % 2:
                for index, distance in distances(model).items():
                    model = overlapped(model, index, distance)
                    break
            yield f"practical_model({kind!r}, {seed})", model


@pytest.mark.parametrize(("cpu", "options"), [("m4", ()), ("m4", ("-DKQ_NO_ASSEMBLY",)), ("m4", ("-Os",)), ("m7", ())])
def test_random_operators(cpu, options, tmp_path):
    from examples.operator_firmware import Program, packed

    labels, networks = zip(*((label, packed(model)) for label, model in models()), strict=True)
    assert [labels[number] for number in Program(tmp_path, cpu, *options).failures(list(networks))] == []
    assert len(networks) >= 300
