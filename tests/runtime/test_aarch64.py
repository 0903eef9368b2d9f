"""The kernels for AArch64, cross-compiled with sanitizers and run by qemu-aarch64: every operator's integers are those of the
portable kernels, and for a tenth of the networks those of the reference engine, on a processor with SDOT and on one without.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import mutants
from c_compiler import RUNTIME, STRICT
from kerasq.conformance import parity, sanitized
from kerasq.format import dumps
from kerasq.format.model import ABSENT, Model
from kerasq.qformat import QFormat
from limits_of_floats import models
from networks import NetworkBuilder
from practical_operators import KINDS, PADDED, models_with_zeros, practical_model

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
pytestmark = pytest.mark.skipif(
    not (shutil.which(COMPILER) and shutil.which(EMULATOR)), reason=f"{COMPILER} or {EMULATOR} is not installed"
)
TIERS = {"max": ("neon", "dotprod"), "cortex-a53": ("neon",)}
OTHERS = {"kq_depthwise_conv_2d_neon", "kq_max_pool_2d_neon"}
OWN = {tier: {f"kq_conv_2d_{tier}", f"kq_dense_{tier}", *OTHERS} for tier in ("neon", "dotprod")}
COUNT = int(os.environ.get("KERASQ_RANDOM_GRAPHS", "300")) // 25
SEED = 20261127
SHARE = 10


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aarch64")
    try:
        return sanitized.build(folder, compiler=[COMPILER])
    except RuntimeError:
        return sanitized.build(folder, flags=(), compiler=[COMPILER])  # a compiler without the sanitizers' libraries


def script_for(processor: str, program: Path) -> Path:
    """The program as this machine calls it."""
    libc = subprocess.run([COMPILER, "-print-file-name=libc.so.6"], capture_output=True, text=True, check=True).stdout.strip()
    command = [EMULATOR, "-L", str(Path(libc).resolve().parents[1]), "-cpu", processor, str(program)]
    script = program.with_name(f"{program.name}-{processor}")
    # A process that is watched already can't look for leaks; the tests on this machine's processor do.
    script.write_text(f'#!/bin/sh\nASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 exec {shlex.join(command)} "$@"\n')
    script.chmod(0o700)
    return script


@pytest.fixture(params=TIERS)
def emulated(request, program):
    """A processor's name, and the program on it."""
    return request.param, script_for(request.param, program)


def answered(script: Path, models: list[Model]) -> collections.Counter[tuple[str, str]]:
    """Raises MismatchError where two tiers, or a tier and the reference engine, differ; how often each kernel ran."""
    contents = [dumps(model) for model in models]
    with sanitized.Runtime(script) as runtime:
        answers = runtime.answers(contents)
    for number, (content, answer) in enumerate(zip(contents, answers, strict=True)):
        if isinstance(answer, sanitized.MismatchError):
            raise answer
        parity.refuse_difference(answer)
        assert answer[0] in ("ran", "too")  # too large
        if number % SHARE == 0:
            parity.judge(content, answer)
    assert sum(answer[0] == "ran" for answer in answers) > 0.9 * len(answers)
    return runtime.kernels


def test_the_integers_of_portable_kernels_and_of_the_reference(emulated):
    processor, script = emulated
    practical = [practical_model(kind, seed) for kind in KINDS for seed in range(COUNT)]
    kernels = answered(script, [*practical, *itertools.islice(mutants.networks(SEED), 10 * COUNT)])
    assert {tier for tier, _ in kernels} == {"portable", *TIERS[processor], "dsp"}
    for tier in TIERS[processor]:
        assert min(kernels[tier, name] for name in OWN[tier]) >= COUNT // 4


def test_inputs_whose_zero_is_not_0(emulated):
    processor, script = emulated
    kernels = answered(script, [model for kind in PADDED for model in itertools.islice(models_with_zeros(kind), COUNT)])
    for tier in TIERS[processor]:
        assert min(kernels[tier, name] for name in (f"kq_conv_2d_{tier}", "kq_depthwise_conv_2d_neon")) >= COUNT


def extreme_network(kind: str, source: str, weights: str, least: bool) -> Model:
    """All inputs are the least of their type, or the largest, and all weights of a channel, too: no sum in 16 bits is larger."""
    net = NetworkBuilder()
    inputs, form = QFormat.parse(f"{source}_3"), QFormat.parse(weights)
    x = net.activation("x", (1, 1, 1, 1100), inputs)
    table = net.constant("table", np.full(256, inputs.min_int if least else inputs.max_int), inputs)
    x = net.apply("LOOKUP", (x, table), inputs)
    ends = np.array([-1, 1, 1] if form.is_sign else [form.min_int, form.max_int, form.min_int + 1])
    stored = np.repeat(ends[np.arange(18) % 3], 1100).reshape((18, 1100) if kind == "DENSE" else (18, 1, 1, 1100))
    kernel = net.constant("kernel", stored, form)
    return net.build((0,), (net.apply(kind, (x, kernel, ABSENT, ABSENT), "FIXED16_-7"),))


def test_no_sum_in_16_bits_overflows(emulated):
    _, script = emulated
    cases = itertools.product(("CONV_2D", "DENSE"), ("FIXED8", "UFIXED8"), ("FIXED8_0", "FIXED4_0", "SIGN"), (True, False))
    answered(script, [extreme_network(*case) for case in cases])


ROUNDING = """#include <stdint.h>
#include <stdlib.h>
static uint64_t mode(void) { uint64_t bits; __asm__ volatile("mrs %0, fpcr" : "=r"(bits)); return bits; }
__attribute__((constructor)) static void begin(void) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 22)); }
__attribute__((destructor)) static void end(void) { if (mode() != (uint64_t)1 << 22) abort(); }
"""


def linked(name: str, source: Path, program: Path, without: str = "") -> Path:
    """Another program of the same runtime, with one more source and without an object."""
    objects = [path for path in sorted((program.parent / "objects").glob("*.o")) if path.stem != without]
    flags = sanitized.SANITIZERS if b"__asan_init" in program.read_bytes() else ()
    command = [COMPILER, *flags, "-pthread", f"-I{RUNTIME / 'include'}", "-o", program.with_name(name), source, *objects]
    subprocess.run(command, check=True)
    return program.with_name(name)


def test_examples_of_dense_layers_together(program, tmp_path):
    paths = [tmp_path / f"{seed}.kq" for seed in range(COUNT)]
    for seed, path in enumerate(paths):
        path.write_bytes(dumps(practical_model("dense", seed)))
    together = linked("together", Path(__file__).with_name("together.c"), program, without="kqfuzz")
    for tier in TIERS["max"]:
        subprocess.run([script_for("max", together), tier, *paths], check=True)


def test_any_rounding_mode_and_the_limits_of_float32(program):
    """A program that rounds upwards: kernels change no integer by that, and leave the mode as it was."""
    source = program.with_name("rounding.c")
    source.write_text(ROUNDING)
    rounding = linked("kqfuzz-rounding", source, program)
    contents = [dumps(model) for model in models(120)]
    files = b"".join(len(content).to_bytes(4, "little") + content for content in contents)
    done = subprocess.run([script_for("max", rounding)], input=files, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    told = collections.Counter(line.rpartition(" ")[0].partition(" ")[0] for line in done.stdout.decode().splitlines())
    assert told["ran"] == len(contents)
    ran = re.search(rb"kernel dotprod kq_conv_2d_dotprod (\d+)", done.stdout)
    assert ran is not None
    assert int(ran[1]) > 60


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("ninja")), reason="cmake or ninja is not installed")
def test_the_library_has_the_kernels_that_are_tested(program, tmp_path):
    """CMakeLists.txt compiles the same sources, each for its instructions."""
    system = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", f"-DCMAKE_C_COMPILER={COMPILER}"]
    command = ["cmake", "-G", "Ninja", "-S", RUNTIME, "-B", tmp_path, *system, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    subprocess.run(command, check=True, capture_output=True)
    compiled = {Path(entry["file"]): entry["command"] for entry in json.loads((tmp_path / "compile_commands.json").read_text())}
    ours = {path: flags for path, flags in compiled.items() if path.is_relative_to(RUNTIME / "src")}
    tested = {path.stem for path in (program.parent / "objects").glob("*.o")} - {"kqfuzz", "try_model"}
    assert {path.stem for path in ours} == tested
    assert {path.stem for path, flags in ours.items() if "-march=armv8.2-a+dotprod" in flags} == {"kq_gemm_dotprod"}
    assert {"-DKQ_HAVE_NEON=1", "-DKQ_HAVE_DOTPROD=1"} <= set(ours[RUNTIME / "src" / "kq_native.c"].split())


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_sources_compile_without_a_warning(tmp_path, name):
    command = [COMPILER] if name == "gcc" else ["clang", "--target=aarch64-linux-gnu"]
    if shutil.which(command[0]) is None:
        pytest.skip("clang is not installed")
    sources = [RUNTIME / "src" / "kq_native.c", *sorted(RUNTIME.glob("src/packed/*.c")), *sorted(RUNTIME.glob("src/neon/*.c"))]
    assert len(sources) > 10
    flags = [*STRICT, "-Os", "-march=armv8.2-a+dotprod", "-DKQ_HAVE_NEON=1", "-DKQ_HAVE_DOTPROD=1", f"-I{RUNTIME / 'include'}"]
    done = subprocess.run([*command, *flags, "-c", *sources], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
