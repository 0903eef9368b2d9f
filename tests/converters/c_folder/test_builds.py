"""Folders of --c_runtime are built as their READMEs say, with what there is here; what was built computes what it should."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import kerasq.runtime
from converters.c_folder.folders import expected, first, pattern

ROOT = pathlib.Path(__file__).parents[3]
PROGRAMS = pathlib.Path(__file__).parent / "programs"
STRICT = ("-Wall", "-Wextra", "-pedantic", "-Werror")
sys.path.append(str(ROOT / "examples" / "cortex_m"))

pytestmark = [
    pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which names the kernels"),
    pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake"),
]


def need(*tools: str) -> None:
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")


def call(*command: object, **options: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=600, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def cmake(source: pathlib.Path, build: pathlib.Path, **values: object) -> None:
    """Configures and builds."""
    call("cmake", "-S", source, "-B", build, *(f"-D{name}={value}" for name, value in values.items()))
    call("cmake", "--build", build, "-j2")


@pytest.fixture(scope="module")
def host(folder_of_two):
    """Where the folder is built for this machine."""
    build = folder_of_two.parent / "host"
    cmake(folder_of_two, build, CMAKE_C_FLAGS=" ".join(STRICT))
    return build


def outputs(text: str, name: str) -> list[int]:
    line = re.search(rf"^{name}, stored values of output 0: (.+)$", text, re.MULTILINE)
    return [int(value) for value in line[1].split()]


def test_the_example_on_a_host(host, tmp_path):
    call("ctest", "--test-dir", host)
    pattern(first()).tofile(tmp_path / "one.bin")
    text = call(host / "kerasq_example", tmp_path / "one.bin")
    assert outputs(text, "one") == expected(first())
    assert "one: self-test passed" in text
    assert "two: the model carries no test vector" in text
    assert outputs(text, "two") == [0] * 8
    short = subprocess.run([host / "kerasq_example", PROGRAMS / "none.bin"], capture_output=True, text=True, check=False)
    assert short.returncode == 1
    assert "no such file" in short.stderr


@pytest.mark.parametrize(("compiler", "cxx"), [("gcc", "g++"), ("clang", "clang++")])
def test_no_warning(folder, compiler, cxx):
    need(compiler, cxx)
    program = ["-fsyntax-only", f"-I{folder / 'src'}", folder / "main.c"]
    for standard in ("c99", "c11"):
        call(compiler, f"-std={standard}", *STRICT, "-Wconversion", *program, *sorted((folder / "src").glob("*.c")))
    call(cxx, "-std=c++17", *STRICT, "-x", "c++", *program, *(folder / "src" / f"{name}.c" for name in ("one", "two")))


def test_the_sketch_of_arduino(folder, host, tmp_path):
    need("g++")
    (tmp_path / "main.cpp").write_text('#include "Arduino.h"\n#include "selftest.ino"\nint main() { setup(); loop(); }\n')
    include = [f"-I{path}" for path in (PROGRAMS, folder / "examples" / "selftest", folder / "src")]
    call("g++", "-std=c++17", *STRICT, *include, tmp_path / "main.cpp", host / "libkerasq.a", "-o", tmp_path / "sketch")
    lines = call(tmp_path / "sketch").splitlines()
    assert lines[0] == "one: self-test passed, an inference takes 0 us"
    assert lines[1].startswith("two: the model carries no test vector")


def test_the_sketch_says_what_fails(folder, host, tmp_path):
    need("g++")
    (tmp_path / "main.cpp").write_text("""
#include "Arduino.h"
#include "kerasq_networks.h"
static kq_status failing(const kq_network *, void *, kq_error *error) { return error->operator_index = 4, KQ_TEST_FAILED; }
#define kq_selftest failing
#include "selftest.ino"
int main() { setup(); loop(); }
""")
    include = [f"-I{path}" for path in (PROGRAMS, folder / "examples" / "selftest", folder / "src")]
    call("g++", "-std=c++17", *include, tmp_path / "main.cpp", host / "libkerasq.a", "-o", tmp_path / "sketch")
    assert re.match(r"one: an operator computes something else .+, operator 4\n", call(tmp_path / "sketch"))


@pytest.mark.parametrize(("cpu", "definitions"), [("m4", {}), ("m4", {"KERASQ_PORTABLE": "ON"}), ("m0", {}), ("rv32", {})])
def test_a_firmware_in_cxx(folder, cpu, definitions, tmp_path):
    from firmware import SOURCES, linking, program_sources
    from processors import PROCESSORS
    from simulator import simulate

    processor = PROCESSORS[cpu]
    compilers = {f"CMAKE_{language}_COMPILER": f"{processor.tools}{name}" for language, name in (("C", "gcc"), ("CXX", "g++"))}
    need(*compilers.values(), processor.simulator[0])
    options = " ".join([*processor.options, processor.library, "-Os", *STRICT, f"-I{SOURCES}"])
    cmake(
        PROGRAMS / "firmware",
        tmp_path,
        FOLDER=folder,
        SOURCES=";".join(str(path) for path in program_sources(processor) if path.name != "main.c"),
        CMAKE_SYSTEM_NAME="Generic",
        CMAKE_TRY_COMPILE_TARGET_TYPE="STATIC_LIBRARY",
        CMAKE_C_FLAGS=options,
        CMAKE_CXX_FLAGS=f"{options} -fno-exceptions -fno-rtti",
        CMAKE_EXE_LINKER_FLAGS=" ".join(linking(processor)),
        **compilers,
        **definitions,
    )
    assert not (tmp_path / "kerasq" / "kerasq_example").exists()
    scores = f"output {' '.join(map(str, expected(first())))}"
    outcome = simulate(tmp_path / "firmware", cpu)
    assert outcome.text.splitlines() == ["all is well", "all is well", scores, "selftest all is well", scores]
    symbols = call(f"{processor.tools}nm", tmp_path / "firmware")
    assert ("_dsp\n" in symbols) is (processor.dsp and not definitions)
    assert "kq_dot_s16" not in symbols  # only what is used is linked


def test_esp_idf(folder, tmp_path):
    cmake(PROGRAMS / "esp_idf", tmp_path, FOLDER=folder)
    assert "one: self-test passed" in call(tmp_path / "example")


@pytest.mark.parametrize("portable", [False, True])
def test_zephyr(folder, portable, tmp_path):
    cmake(
        PROGRAMS / "zephyr", tmp_path, FOLDER=folder, CONFIG_KERASQ="y", **({"CONFIG_KERASQ_PORTABLE": "y"} if portable else {})
    )
    assert "one: self-test passed" in call(tmp_path / "example")
    flags = "".join(path.read_text() for path in tmp_path.rglob("flags.make"))
    assert ("-DKQ_PORTABLE" in flags) is portable


def test_zephyr_without_it(folder, tmp_path):
    cmake(PROGRAMS / "zephyr", tmp_path, FOLDER=folder)
    assert not (tmp_path / "example").exists()
