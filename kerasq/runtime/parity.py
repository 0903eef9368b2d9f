"""Damages .kq files and compares what the runtime in C, built with sanitizers, and Python make of them.

    python -m kerasq.runtime.parity --count 100000 --seed 1 [model.kq ...]

Both must accept the same files, and compute the same integers from those that are accepted; AddressSanitizer and
UndefinedBehaviorSanitizer must find nothing on the way. Without files the samples of kerasq.format.samples are damaged. The
same seed gives the same files. A file over which the two disagree is saved in the current folder, and the exit status is 1.

Needs a C compiler with the sanitizers: gcc or clang; the variable CC names it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from kerasq.format import Model, ModelError, dumps, fuzz, loads, samples
from kerasq.format.packing import pack
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.progress import Progress
from kerasq.selftest import exact_tensors

RUNTIME = Path(__file__).parent
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


class MismatchError(Exception):
    """The runtime and Python disagree about a file, or a sanitizer has stopped the runtime."""


def build(folder: Path, flags: Sequence[str] = SANITIZERS) -> Path:
    """Compiles fuzz/kqfuzz.c and the portable runtime; returns the program.

    Raises:
        RuntimeError: There is no compiler, or it fails; the message has what it said.
    """
    program = folder / "kqfuzz"
    sources = [*RUNTIME.glob("fuzz/kqfuzz.c"), *RUNTIME.glob("fuzz/try_model.c"), *sorted(RUNTIME.glob("src/*.c"))]
    command = [*os.environ.get("CC", "cc").split(), "-std=c99", "-O1", *flags, f"-I{RUNTIME / 'include'}"]
    try:
        done = subprocess.run(
            [*command, "-o", str(program), *map(str, sources)], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise RuntimeError(f"{command[0]}, the C compiler, can't be run ({error}); the variable CC names another") from None
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ... fails:\n{done.stderr}")
    return program


class Runtime:
    """The program as a process that answers for one file after the other; a new one follows where a sanitizer has ended it."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def answer(self, content: bytes) -> list[str]:
        """The words of the line that kqfuzz.c says of a file.

        Raises:
            MismatchError: The program has ended; the message is what it left.
        """
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen([self._program], stdin=pipe, stdout=pipe, stderr=pipe)
        process = self._process
        with contextlib.suppress(BrokenPipeError):  # what it has to say then is read below
            _stream(process.stdin).write(len(content).to_bytes(4, "little") + content)
            _stream(process.stdin).flush()
        line = _stream(process.stdout).readline()
        if not line.endswith(b"\n"):
            self._process = None
            _, report = process.communicate()
            raise MismatchError(f"the runtime stops with status {process.returncode}:\n{report.decode(errors='replace')}")
        return line.decode().split()


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def compare(content: bytes, runtime: Runtime) -> str:
    """What both make of a file: "refused", "ran", or "too large" to be worth running.

    Raises:
        MismatchError: They disagree.
    """
    word, *details = runtime.answer(content)
    try:
        model = loads(content)
    except ModelError as error:
        if word != "refused":
            raise MismatchError(f"the runtime accepts what Python refuses: {error}") from None
        return "refused"
    if word == "refused":
        raise MismatchError(f"the runtime refuses what Python accepts: status, operator and tensor {', '.join(details)}")
    if word != "ran" or fuzz.work(model) > fuzz.MAX_WORK:
        return "too large"
    differing = [name for name, ours, theirs in _checksums(model, details) if ours != theirs]
    if differing:
        raise MismatchError(f"the runtime computes other integers: tensor {differing[0]!r} is the first to differ")
    return "ran"


def _checksums(model: Model, theirs: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Name, and CRC-32 of the reference engine's and of the runtime's result, of each tensor that is computed exactly."""
    exact, ours = exact_tensors(model), dict[int, int]()

    def observe(index: int, values: np.ndarray) -> None:
        ours[index] = zlib.crc32(pack(values, model.tensors[index].format)) if index in exact else 0

    with np.errstate(all="ignore"):
        ReferenceEngine(model).run(inputs(model), observe)
    for operator, checksum in zip(model.operators, theirs, strict=True):
        index = operator.outputs[0]
        if index in exact:
            yield model.tensors[index].name, ours[index], int(checksum)


def inputs(model: Model) -> list[np.ndarray]:
    """The bytes that try_model.c feeds: word i is a hash of i, counted through all inputs."""
    stored, word = [], 0
    for index in model.inputs:
        tensor = model.tensors[index]
        words = -(-tensor.nbytes // 4)
        hashes = np.arange(word + 1, word + words + 1, dtype=np.uint32) * np.uint32(0x9E3779B1)
        hashes = (hashes ^ hashes >> np.uint32(15)) * np.uint32(0x85EBCA77)
        hashes ^= hashes >> np.uint32(13)
        content = hashes.astype("<u4").tobytes()[: tensor.nbytes]
        dtype = tensor.format.dtype
        stored.append(np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(tensor.shape))
        word += words
    return stored


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kerasq.runtime.parity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="model.kq", help="files to damage (default: built-in samples)")
    parser.add_argument("--count", type=int, default=100_000, help="how many damaged files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="only write the undamaged files there: seeds of libFuzzer")
    options = parser.parse_args(argv)
    contents = [path.read_bytes() for path in options.files] or [dumps(make()) for make in samples.SAMPLES.values()]
    if options.seeds is not None:
        options.seeds.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (options.seeds / f"{number}.kq").write_bytes(content)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = build(Path(folder))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        with Runtime(program) as runtime:
            counts = _compare_all(contents, options.count, options.seed, runtime)
    state = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    print(f"{options.count:,} damaged files, seed {options.seed}: {state}", file=sys.stderr)
    return int(counts["failed"] > 0)


def _compare_all(contents: Sequence[bytes], count: int, seed: int, runtime: Runtime) -> Counter[str]:
    counts: Counter[str] = Counter()
    with Progress("compare", count, "files") as progress:
        for number, content in enumerate(fuzz.mutants(contents, count, seed), start=1):
            try:
                counts[compare(content, runtime)] += 1
            except Exception as error:  # whatever escapes from Python is a defect too, and its file is wanted
                path = Path(f"parity-{seed}-{number}.kq")
                path.write_bytes(content)
                counts["failed"] += 1
                print(f"\n{path}: {type(error).__name__}: {error}", file=sys.stderr)
            progress.advance()
    return counts


if __name__ == "__main__":
    sys.exit(main())
