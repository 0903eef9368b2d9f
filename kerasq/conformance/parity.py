"""Damages .kq files and compares what the runtime in C, built with sanitizers, and Python make of them.

    python -m kerasq.conformance.parity --count 100000 --seed 1 [model.kq ...]

Both must accept the same files, and compute the same integers from those that are accepted; AddressSanitizer and
UndefinedBehaviorSanitizer must find nothing on the way. Without files the samples of kerasq.conformance.samples are damaged. The
same seed gives the same files. A file over which the two disagree is saved in the current folder, and the exit status is 1.

The runtime runs each file with every tier of kernels (portable, AVX2, AVX-512), which must compute the same integers.
sanitized.py says what is needed. tests/mutants.py does the same with random networks, two thousand files a second.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kerasq.conformance import fuzz, samples
from kerasq.conformance.sanitized import MismatchError, Runtime, build
from kerasq.format import Model, ModelError, dumps, loads
from kerasq.format.packing import pack
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.progress import Progress
from kerasq.selftest import exact_tensors

BATCH = 500  # files that the runtime is given at once


def compare(content: bytes, runtime: Runtime) -> str:
    """What both make of a file: "refused", "ran", or "too large" to be worth running.

    Raises:
        MismatchError: They disagree.
    """
    return judge(content, runtime.answer(content))


def judge(content: bytes, answer: Sequence[str]) -> str:
    """`compare` with the runtime's answer for the file."""
    word, *details = answer
    refuse_difference(answer)
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


def refuse_difference(answer: Sequence[str]) -> None:
    """Raises MismatchError where tiers of the runtime differ."""
    if answer[0] == "differs":
        raise MismatchError(
            f"kernels of tier {answer[1]} refuse the file, compute other integers or write over an output: operator {answer[2]}"
        )


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
    parser = argparse.ArgumentParser(prog="python -m kerasq.conformance.parity", description=(__doc__ or "").splitlines()[0])
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
            files = fuzz.mutants(contents, options.count, options.seed)
            counts = tally(files, options.count, runtime, f"parity-{options.seed}")
    print(f"{options.count:,} damaged files, seed {options.seed}: {text(counts)}", file=sys.stderr)
    return int(counts["failed"] > 0)


def text(counts: Counter[str]) -> str:
    """What `tally` counted, for people."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))


def tally(files: Iterable[bytes], count: int, runtime: Runtime, name: str, share: int = 1) -> Counter[str]:
    """How many files came to which outcome: those of `compare`, or "failed". A file that failed is saved in the current folder.

    Args:
        files: Contents.
        count: Their number, for the progress bar.
        runtime: Answers for them.
        name: Of files that are saved, before their number.
        share: Each file whose number it divides is compared with what Python makes of it; of the others only tiers are compared.
    """
    counts: Counter[str] = Counter()
    with Progress("compare", count, "files") as progress:
        for number, (content, answer) in enumerate(_answers(files, runtime), start=1):
            try:
                if isinstance(answer, MismatchError):
                    raise answer
                refuse_difference(answer)
                if number % share == 0:
                    outcome = judge(content, answer)
                    counts["ran in the reference engine, too"] += outcome == "ran"
                else:
                    outcome = "too large" if answer[0] == "too" else answer[0]
                counts[outcome] += 1
            except Exception as error:  # whatever escapes from Python is a defect too, and its file is wanted
                path = Path(f"{name}-{number}.kq")
                path.write_bytes(content)
                counts["failed"] += 1
                print(f"\n{path}: {type(error).__name__}: {error}", file=sys.stderr)
            progress.advance()
    return counts


def _answers(files: Iterable[bytes], runtime: Runtime) -> Iterator[tuple[bytes, list[str] | MismatchError]]:
    """Each file with the runtime's answer, which works on the next ones meanwhile."""
    rest = iter(files)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        batch = list(itertools.islice(rest, BATCH))
        waiting = pool.submit(runtime.answers, batch)
        while batch:
            following, answers = list(itertools.islice(rest, BATCH)), waiting.result()
            waiting = pool.submit(runtime.answers, following)
            yield from zip(batch, answers, strict=True)
            batch = following


if __name__ == "__main__":
    sys.exit(main())
