"""Damages .kq files and sees what happens: each is refused with a ModelError, or runs in bounds.

    python -m kerasq.conformance.fuzz --count 100000 --seed 1 [model.kq ...]

Without files the samples of kerasq.conformance.samples are damaged. The same seed gives the same files. If anything but a
ModelError escapes, the offending bytes are saved in the current folder and the exit status is 1.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kerasq.conformance import samples
from kerasq.format.errors import ModelError
from kerasq.format.model import Model
from kerasq.verification.files import dumps, loads

# A damaged file may honestly describe a much larger network than its seed; running that proves nothing and takes long.
MAX_WORK = 1 << 20

_WORDS = (0, 1, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF)
_STEPS = (-4, -2, -1, 1, 2, 4)


def word_mutants(content: bytes) -> Iterator[bytes]:
    """Copies of a file in each of which one 32-bit word is 0, 1, -1, the smallest or largest integer, or off by 1, 2 or 4."""
    for position in range(0, len(content) - 3, 4):
        word = int.from_bytes(content[position : position + 4], "little")
        for value in (*_WORDS, *(word + step & 0xFFFFFFFF for step in _STEPS)):
            if value != word:
                yield content[:position] + value.to_bytes(4, "little") + content[position + 4 :]


def mutants(contents: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` random damages of files, each of 1 to 3 steps: flips, cuts, splices within and between files, changed words.

    Args:
        contents: The undamaged files.
        count: How many to make.
        seed: The same seed gives the same files.
    """
    chance = random.Random(seed)
    for _ in range(count):
        content = bytearray(chance.choice(contents))
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            chance.choice(_MUTATIONS)(content, contents, chance)
        yield bytes(content)


def _flip_bits(content: bytearray, contents: Sequence[bytes], chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _set_byte(content: bytearray, contents: Sequence[bytes], chance: random.Random) -> None:
    content[chance.randrange(len(content))] = chance.choice((0, 1, 2, 3, 4, 8, 32, 64, 127, 128, 255))


def _set_word(content: bytearray, contents: Sequence[bytes], chance: random.Random) -> None:
    """Also unaligned, and of 16 bits: vtables and windows are made of those."""
    size = chance.choice((2, 4, 4))
    position = chance.randrange(0, len(content) - 3, chance.choice((1, size, size)))
    word = int.from_bytes(content[position : position + size], "little")
    value = chance.choice((*_WORDS, *(word + step for step in _STEPS), chance.randrange(len(content))))
    content[position : position + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def _cut(content: bytearray, contents: Sequence[bytes], chance: random.Random) -> None:
    del content[max(8, chance.randrange(len(content))) :]


def _delete(content: bytearray, contents: Sequence[bytes], chance: random.Random) -> None:
    start = chance.randrange(8, len(content) + 1)
    del content[start : start + 4 * chance.randrange(1, 17)]


def _splice(content: bytearray, contents: Sequence[bytes], chance: random.Random) -> None:
    """Overwrites or inserts a range of this or another file."""
    source = chance.choice((content, *contents))
    size = chance.choice((4, 8, 16, 24, chance.randrange(1, 128)))
    begin = chance.randrange(0, len(source), chance.choice((1, 4)))
    start = chance.randrange(0, len(content), chance.choice((1, 4)))
    piece = bytes(source[begin : begin + size])
    content[start : start + chance.choice((len(piece), len(piece), 0))] = piece


_MUTATIONS: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    _flip_bits,
    _set_byte,
    _set_word,
    _set_word,
    _cut,
    _delete,
    _splice,
)


def outcome(content: bytes) -> str:
    """What becomes of a file: "refused", "ran", or "too large" to be worth running.

    Raises:
        Exception: Anything that escapes here is a defect of kerasq.
    """
    try:
        model = loads(content)
    except ModelError:
        return "refused"
    if work(model) > MAX_WORK:
        return "too large"
    run(content)
    return "ran"


def work(model: Model) -> int:
    """A measure of what one run costs: multiply-accumulates, window taps and values written."""
    from kerasq import ops

    total = sum(math.prod(model.tensors[index].shape) for index in model.inputs)
    for operator in model.operators:
        taps = max(math.prod(operator.window), 1)
        total += ops.TABLE[operator.kind].macs(model, operator) + taps * math.prod(model.output(operator).shape)
    return total


def run(content: bytes) -> None:
    """One run of an accepted file on random input; every output must have the shape and type that the file says."""
    from kerasq.interpreter import Interpreter

    generator = np.random.default_rng(0)
    interpreter = Interpreter(model_content=content, engine="reference", max_bytes=None)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        dtype, shape = np.dtype(details["dtype"]), tuple(details["shape"])
        if dtype.kind == "f":
            values = generator.normal(scale=100, size=shape).astype(dtype)
        else:
            values = generator.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        interpreter.set_tensor(details["index"], values)
    with np.errstate(all="ignore"):
        interpreter.invoke()
    for details in interpreter.get_output_details():
        result = interpreter.get_tensor(details["index"])
        if result.shape != tuple(details["shape"]) or result.dtype != details["dtype"]:
            raise RuntimeError(f"an output of {details['dtype']}, {details['shape']} came as {result.dtype}, {result.shape}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kerasq.conformance.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="model.kq", help="files to damage (default: built-in samples)")
    parser.add_argument("--count", type=int, default=100_000, help="how many damaged files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    options = parser.parse_args(argv)
    contents = [path.read_bytes() for path in options.files] or [dumps(make()) for make in samples.SAMPLES.values()]
    counts: Counter[str] = Counter()
    for number, content in enumerate(mutants(contents, options.count, options.seed), start=1):
        try:
            counts[outcome(content)] += 1
        except Exception:
            path = Path(f"fuzz-{options.seed}-{number}.kq")
            path.write_bytes(content)
            counts["failed"] += 1
            print(f"\n{path}:\n{traceback.format_exc()}", file=sys.stderr)
        if (number % 100 == 0 and sys.stderr.isatty()) or number == options.count:
            state = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
            print(f"\r{number:,} of {options.count:,}, seed {options.seed}: {state}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return int(counts["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
