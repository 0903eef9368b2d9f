"""native/kqfuzz.c: the runtime with the kernels of every tier, built with sanitizers, as a process that answers for files.

Needs a C compiler with AddressSanitizer and UndefinedBehaviorSanitizer: gcc or clang; the variable CC names it. The AVX-512
kernels are compiled against SIMDe where this processor lacks the instructions and SIMDe (libsimde-dev) is installed. A compiler
for AArch64 builds the kernels for NEON: tests/runtime/test_aarch64.py runs them in an emulator.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

NATIVE = Path(__file__).with_name("native")
RUNTIME = Path(__file__).parents[1] / "runtime"
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_AVX2 = ("-DKQ_HAVE_AVX2=1", "-mavx2", "-mfma")
_AVX512 = ("-DKQ_HAVE_AVX512=1", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni")
_SIMDE = ("-DKQ_HAVE_AVX512=1", "-DKQ_SIMDE=1")
_NEON = ("-DKQ_HAVE_NEON=1", "-DKQ_HAVE_DOTPROD=1")
_DOTPROD = "-march=armv8.2-a+dotprod"  # of the files for SDOT alone: all else runs on any AArch64
_JOBS = 4  # compilers at once


class MismatchError(Exception):
    """The runtime and Python disagree about a file, or a sanitizer has stopped the runtime."""


def build(folder: Path, flags: Sequence[str] = SANITIZERS, *, simde: bool = False, compiler: Sequence[str] | None = None) -> Path:
    """Compiles native/kqfuzz.c and the runtime with all the tiers that can run here; returns the program.

    Args:
        folder: Where it goes.
        flags: For the compiler: the sanitizers.
        simde: The AVX-512 kernels against SIMDe even where the processor has the instructions.
        compiler: The compiler as a command; None for the one that CC names.

    Raises:
        RuntimeError: There is no compiler, or it fails; the message has what it said.
    """
    compiler = compiler or os.environ.get("CC", "cc").split()
    threads = ("-pthread", "-DKQ_HAVE_THREADS=1")
    command = [*compiler, "-std=c99", "-O1", "-ffp-contract=off", *threads, *flags, f"-I{RUNTIME / 'include'}"]
    tiers = _tier_flags(compiler, simde)
    sources = [
        NATIVE / "kqfuzz.c",
        NATIVE / "try_model.c",
        *sorted(RUNTIME.glob("src/*.c")),
        *sorted(RUNTIME.glob("src/arm/*.c")),
        *sorted(RUNTIME.glob("src/native/*.c")),
    ]
    if tiers:
        sources += sorted(RUNTIME.glob("src/packed/*.c"))
    if tiers == _NEON:
        sources += sorted(RUNTIME.glob("src/neon/*.c"))
    elif tiers:
        left_out = "_avx512.c" if tiers == _AVX2 else "?"
        sources += [path for path in sorted(RUNTIME.glob("src/x86/*.c")) if not path.name.endswith(left_out)]
    of_dotprod = [path for path in sources if path.name.endswith("_dotprod.c")]
    others = [path for path in sources if path not in of_dotprod]
    parts = [others[i::_JOBS] for i in range(_JOBS)] + ([[_DOTPROD, *of_dotprod]] if of_dotprod else [])
    objects = folder / "objects"
    objects.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(_JOBS) as pool:
        list(pool.map(lambda part: _compile([*command, *tiers, "-c", *part], objects), parts))
    program = folder / "kqfuzz"
    _compile([*command, "-o", program, *sorted(objects.glob("*.o"))], folder)
    return program


def _compile(command: Sequence[str | Path], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise RuntimeError(f"{command[0]}, the C compiler, can't be run ({error}); the variable CC names another") from None
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ... fails:\n{done.stderr}")


def _tier_flags(compiler: Sequence[str], simde: bool) -> tuple[str, ...]:
    """Flags for the vector kernels that the compiler's processor can run."""

    def preprocess(*arguments: str) -> str:
        command = [*compiler, *arguments, "-E", "-x", "c", os.devnull]
        with contextlib.suppress(OSError):
            return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
        return ""

    if "__aarch64__ " in preprocess("-dM"):
        return _NEON
    macros = preprocess("-march=native", "-dM")
    if not all(f"__{name}__ " in macros for name in ("x86_64", "AVX2", "FMA")):
        return ()
    names = [flag.removeprefix("-m").upper() for flag in _AVX512[1:]]
    if not simde and all(f"__{name}__ " in macros for name in names):
        return (*_AVX2, *_AVX512)
    return (*_AVX2, *_SIMDE) if preprocess("-include", "simde/x86/avx512.h") else _AVX2


class Runtime:
    """The program as a process that answers for one file after the other; a new one follows where a sanitizer has ended it.

    Attributes:
        kernels: How often each kernel ran, by tier and name, in the processes that have come to their end in good order: complete
            once the context is left.
    """

    def __init__(self, program: Path) -> None:
        self.kernels: Counter[tuple[str, str]] = Counter()
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            rest, _ = self._process.communicate()
            self._process = None
            for line in rest.decode().splitlines():
                _, tier, name, times = line.split()
                self.kernels[tier, name] += int(times)

    def answer(self, content: bytes) -> list[str]:
        """The words of the line that kqfuzz.c says of a file.

        Raises:
            MismatchError: The program has ended; the message is what it left.
        """
        (words,) = self.answers([content])
        if isinstance(words, MismatchError):
            raise words
        return words

    def answers(self, contents: Sequence[bytes]) -> list[list[str] | MismatchError]:
        """The same for many files at once, which takes less time; a file that ends the program has an error for an answer."""
        answers: list[list[str] | MismatchError] = []
        while len(answers) < len(contents):
            answers += self._until_it_ends(contents[len(answers) :])
        return answers

    def _until_it_ends(self, contents: Sequence[bytes]) -> Iterable[list[str] | MismatchError]:
        if self._process is None:
            pipe = subprocess.PIPE
            # What was freed is watched for a while; with the 256 MB that are usual nothing more would be found.
            options = {"ASAN_OPTIONS": "quarantine_size_mb=16", **os.environ}
            self._process = subprocess.Popen([self._program], stdin=pipe, stdout=pipe, stderr=pipe, env=options)
        process, output = self._process, _stream(self._process.stdout)
        writer = threading.Thread(target=_send, args=(_stream(process.stdin), contents))
        writer.start()
        answers: list[list[str] | MismatchError] = []
        while len(answers) < len(contents):
            line = output.readline()
            if not line.endswith(b"\n"):
                self._process = None
                writer.join()  # it has stopped at the broken pipe
                _, report = process.communicate()
                told = report.decode(errors="replace").partition("Shadow bytes around")[0].rstrip()
                text = f"the runtime stops with status {process.returncode}:\n{told}"
                return [*answers, MismatchError(text)]
            answers.append(line.decode().split())
        writer.join()
        return answers


def _send(stream: IO[bytes], contents: Iterable[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        for content in contents:
            stream.write(len(content).to_bytes(4, "little") + content)
        stream.flush()


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
