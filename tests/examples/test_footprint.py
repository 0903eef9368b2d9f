"""kerasq.footprint beside the simulated processors: instructions, cycles, code, state and stack of whole networks."""

from __future__ import annotations

import pathlib
import shutil

import pytest

import kerasq.runtime
from kerasq.conformance.samples import SAMPLES
from kerasq.footprint import board_or_core, footprint
from kerasq.format import dumps, load, loads
from kerasq.selftest import random_example, with_selftest
from kerasq_convert.c_source import for_target

ROOT = pathlib.Path(__file__).parents[2]
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "cc")
CORES = {"m4": "cortex-m4", "m3": "cortex-m3"}
NEAR = 0.10  # of instructions and cycles of a network

pytestmark = [
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {' and '.join(TOOLS)}"),
    pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which names the kernels"),
]


@pytest.fixture(scope="module")
def networks(converted_standins):
    shipped = {
        name: load(ROOT / "examples/cifar10/models" / f"{name}.kq")
        for name in ("resnet23", "resnet23_binary", "resnet23_ternary", "mobilenet")
    }
    standins = {name: loads(content) for name, content in converted_standins.items()}
    return {**standins, **shipped, "normalized": SAMPLES["normalized"]()}


@pytest.mark.parametrize("cpu", CORES)
def test_estimates_are_near_what_the_processor_executes(cpu, networks, tmp_path):
    from fit import measured_operators

    files = {name: for_target(dumps(model), CORES[cpu]) for name, model in networks.items()}
    planned = {name: loads(content) for name, content in files.items()}
    counts, stack = measured_operators([*planned.values()], cpu, tmp_path)
    far, first = {}, 0
    for name, model in planned.items():
        fit = footprint(files[name], board_or_core(CORES[cpu]))
        own = counts[first : first + len(model.operators)].sum(axis=0)
        first += len(model.operators)
        for what, estimate, executed in zip(("instructions", "cycles"), (fit.instructions, fit.cycles), own, strict=True):
            if abs(estimate / executed - 1) > NEAR:
                far[name, what] = (estimate, int(executed))
        assert fit.stack >= max(stack.values()) - 64
    assert far == {}


@pytest.mark.parametrize("name", ["resnet23_binary", "kws"])
def test_sizes_are_those_of_a_firmware(name, networks, tmp_path):
    from firmware import build

    content = for_target(dumps(networks[name]), "cortex-m4")
    model, fit = loads(content), footprint(content, board_or_core("cortex-m4"))
    example = bytes(model.tensors[model.inputs[0]].nbytes)
    firmware = build(with_selftest(model, random_example(model, 0)), "m4", [example], tmp_path, optimize="2")
    assert fit.code == pytest.approx(firmware.code, rel=0.03)
    assert fit.constants == pytest.approx(firmware.constants, rel=0.1)
    assert fit.network == len(dumps(model))
