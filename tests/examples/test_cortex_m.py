"""examples/cortex_m: both ResNet23 on simulated processors, the reference engine's scores, within the stated memory."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import kerasq.runtime
from kerasq.format import dumps
from kerasq.selftest import random_example, with_selftest
from networks import random_resnet23

ROOT = pathlib.Path(__file__).parents[2]
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")

MOST_ARENA = {"resnet23": 102_400, "resnet23_binary": 104_448}
MOST_INSTRUCTIONS = {"resnet23": 44_000_000, "resnet23_binary": 28_000_000}

pytestmark = [
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {' and '.join(TOOLS)}"),
    pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which names the kernels"),
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the same kerasq as here
    environment.pop("KERASQ_DATA_DIR", None)  # generated images do, and are there at once
    command = [sys.executable, str(ROOT / "examples" / "cortex_m" / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)


def sizes(text: str, name: str) -> tuple[int, ...]:
    """Code, constants, state and arena of a network, from the table."""
    row = re.search(rf"^{name} +\S+ +(.+)$", text, re.MULTILINE)
    return tuple(int(number.replace(",", "")) for number in row[1].split()[:4])


@pytest.mark.parametrize("cpu", ["m4", "m7", "m33"])
def test_scores_code_and_memory(cpu):
    result = run("--cpu", cpu, "--images", "1")  # its exit status is 0 only if scores, code, variables and arena are right
    assert result.returncode == 0, result.stderr
    for name in ("resnet23", "resnet23_binary"):
        code, _, state, arena = sizes(result.stdout, name)
        assert code <= 16 * 1024
        assert state <= 8 * 1024
        assert arena <= MOST_ARENA[name]
        line = re.search(rf"^{name}, image 0: class \d, ([\d,]+) instructions", result.stdout, re.MULTILINE)
        assert int(line[1].replace(",", "")) <= MOST_INSTRUCTIONS[name]
    assert ("cycles: no model" in result.stdout) is (cpu != "m4")


@pytest.mark.parametrize(("cpu", "most_code"), [("m0", 16 * 1024), ("m3", 16 * 1024), ("rv32", 18 * 1024)])
def test_processors_without_the_dsp_extension(cpu, most_code):
    tools = ("riscv64-unknown-elf-gcc", "qemu-system-riscv32") if cpu == "rv32" else ()
    if any(shutil.which(tool) is None for tool in tools):
        pytest.skip(f"needs {' and '.join(tools)}")
    result = run("--cpu", cpu, "--images", "1", "--model", str(ROOT / "examples" / "cifar10" / "models" / "mobilenet.kq"))
    assert result.returncode == 0, result.stderr
    code, _, state, arena = sizes(result.stdout, "mobilenet")
    assert code <= most_code
    assert state <= 8 * 1024
    assert arena == 8_208


def test_a_network_that_computes_in_float_is_refused():
    result = run("--model", str(ROOT / "examples" / "cifar10" / "models" / "resnet23_parameters.kq"))
    assert result.returncode == 1
    assert "without FLOAT32" in result.stderr


@pytest.mark.parametrize(("cpu", "portable", "own"), [("m3", False, False), ("m4", False, True), ("m4", True, False)])
def test_only_the_kernels_of_the_processor_are_linked(cpu, portable, own, tmp_path):
    from firmware import build

    model = random_resnet23(maps=16, size=8)
    example = bytes(model.tensors[model.inputs[0]].nbytes)
    firmware = build(with_selftest(model, random_example(model, 0)), cpu, [example], tmp_path, portable=portable)
    symbols = subprocess.run(["arm-none-eabi-nm", str(firmware.path)], capture_output=True, text=True, check=True).stdout
    linked = {
        name
        for name in re.findall(r" (kq_(?:conv_2d|dense|max_pool|average_pool)_\w+)$", symbols, re.MULTILINE)
        if not name.endswith("_rules")
    }
    assert {name.endswith("_dsp") for name in linked} == {own}
    assert (" kq_dot_" in symbols) is not own


def test_cycles_of_images_and_operators_are_modelled(tmp_path):
    path = tmp_path / "small.kq"
    path.write_bytes(dumps(random_resnet23(maps=16, size=8)))
    result = run("--model", str(path), "--images", "2", "--per_operator")
    assert result.returncode == 0, result.stderr
    *_, instructions, cycles, per_mac = re.search(r"^small +Cortex-M4 .*$", result.stdout, re.MULTILINE)[0].split()
    instructions, cycles = (int(number.replace(",", "")) for number in (instructions, cycles))
    assert 1.1 * instructions < cycles < 2.5 * instructions
    assert "technical reference manual" in result.stdout
    by_kind = result.stdout[result.stdout.index("cycles by kind") : result.stdout.index("bytes of the runtime")]
    kinds = [int(number.replace(",", "")) for line in by_kind.splitlines()[2:] for number in line.split()[3:]]
    assert sum(kinds) == pytest.approx(cycles, rel=0.05)  # of the operators of the first image
    macs = sum(operator.macs for operator in kerasq.runtime.Network(path.read_bytes()).operators())
    assert float(per_mac) == pytest.approx(cycles / macs, abs=0.01)
