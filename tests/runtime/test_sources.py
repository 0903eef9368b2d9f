"""The C sources themselves: no warning from any compiler at hand, for any processor; nothing that a firmware can't have."""

import re
import shutil
import subprocess

import pytest

from c_compiler import NATIVE, PORTABLE, RUNTIME, STRICT

X86 = [*sorted(RUNTIME.glob("src/packed/*.c")), *sorted(RUNTIME.glob("src/x86/*.c"))]
X86_OPTIONS = ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni")
COMPILERS = {
    "gcc": ("gcc",),
    "clang": ("clang",),
    "gcc, 32 bits": ("gcc", "-m32"),
    "clang, 32 bits": ("clang", "-m32"),
    "Cortex-M4": ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
}


def compiled(command, sources, folder, *options):
    """The messages of a compiler for some sources; skips where it can't compile at all."""
    probe = folder / "probe.c"
    probe.write_text("#include <stdint.h>\n#include <string.h>\nint32_t zero(void);\nint32_t zero(void) { return 0; }\n")
    if shutil.which(command[0]) is None or subprocess.run([*command, *options, "-c", probe], cwd=folder, check=False).returncode:
        pytest.skip(f"{' '.join(command)} is not installed")
    include = f"-I{RUNTIME / 'include'}"
    done = subprocess.run(
        [*command, *STRICT, "-Os", include, *options, "-c", *sources], cwd=folder, capture_output=True, text=True
    )
    return done.stderr + ("" if done.returncode == 0 else f"exit status {done.returncode}")


@pytest.mark.parametrize("name", COMPILERS)
def test_portable_sources_compile_without_a_warning(tmp_path, name):
    assert len(PORTABLE) > 20
    assert compiled(COMPILERS[name], PORTABLE, tmp_path) == ""


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_x86_sources_compile_without_a_warning(tmp_path, name):
    assert len(X86) > 20
    assert compiled(COMPILERS[name], [*X86, *NATIVE], tmp_path, *X86_OPTIONS, "-DKQ_HAVE_AVX2=1", "-DKQ_HAVE_THREADS=1") == ""


def test_nothing_is_needed_from_outside_but_memory_functions(tmp_path):
    """No heap, no libm, no file: undefined symbols of the library are those that every compiler takes for granted."""
    assert compiled(("gcc",), PORTABLE, tmp_path) == ""
    objects = sorted(tmp_path.glob("*.o"))
    objects.remove(tmp_path / "probe.o")
    names = subprocess.run(["nm", *objects], capture_output=True, text=True, check=True).stdout
    undefined = set(re.findall(r"^ +U (\w+)$", names, re.MULTILINE))
    defined = set(re.findall(r"^[0-9a-f]+ [TRD] (\w+)$", names, re.MULTILINE))
    assert undefined - defined <= {"memcpy", "memmove", "memset", "memcmp", "_GLOBAL_OFFSET_TABLE_"}


def test_no_variable_of_the_library_can_change(tmp_path):
    """No .data or .bss: threads share nothing, and a firmware has no memory to initialize."""
    assert compiled(("gcc",), PORTABLE, tmp_path, "-fno-pic") == ""
    sizes = subprocess.run(
        ["size", "--format=sysv", *sorted(tmp_path.glob("kq_*.o"))], capture_output=True, text=True, check=True
    )
    found = {int(size) for size in re.findall(r"^\.(?:data|bss) +(\d+)", sizes.stdout, re.MULTILINE)}
    assert found == {0}


def test_the_public_header_is_short():
    assert len((RUNTIME / "include" / "kerasq.h").read_text().splitlines()) <= 200
