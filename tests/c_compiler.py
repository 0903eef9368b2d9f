"""The C compiler of this machine, for tests that build a program from the sources as they are."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Sequence

import pytest

RUNTIME = pathlib.Path(__file__).parents[1] / "kerasq" / "runtime"
PORTABLE = sorted(  # what a firmware compiles
    path for folder in ("src", "src/arm") for path in (RUNTIME / folder).glob("*.c") if path.name != "kq_native.c"
)
NATIVE = [RUNTIME / "src" / "kq_native.c", *sorted((RUNTIME / "src" / "native").glob("*.c"))]  # what a desktop adds to that
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror", "-ffp-contract=off")


def compiler() -> list[str]:
    """The compiler as a command; skips the test where there is none."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        pytest.skip("there is no C compiler")
    return command


def compile_program(sources: Sequence[pathlib.Path], program: pathlib.Path, *options: str) -> pathlib.Path:
    """Builds a program; warnings are errors.

    Args:
        sources: C files.
        program: Where it goes.
        options: For the compiler: folders of headers, macros.
    """
    command = [*compiler(), *STRICT, "-O1", *options, *map(str, sources), "-o", str(program)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return program
