"""A program for a simulated processor that runs the test vectors of many networks."""

from __future__ import annotations

import pathlib
import re
import subprocess
from collections.abc import Iterable, Iterator

import numpy as np
from firmware import SOURCES, compiler, linking, program_sources
from processors import PROCESSORS
from simulator import simulate

from kerasq.format import Model, dumps
from kerasq.selftest import with_selftest
from kerasq_convert.c_source import runtime_source
from networks import random_stored

MAIN = pathlib.Path(__file__).parent / "operators" / "main.c"
BATCH_BYTES = 3 << 20  # what fits the board's 4 MB


def packed(model: Model, seed: int = 0) -> bytes:
    """A network with a test vector of random inputs, as the program takes it."""
    rng = np.random.default_rng(seed)
    inputs = [random_stored(rng, tensor.format, tensor.shape) for tensor in map(model.tensors.__getitem__, model.inputs)]
    content = dumps(with_selftest(model, inputs))
    return len(content).to_bytes(8, "little") + content + bytes(-len(content) % 8)


def batches(networks: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for network in networks:
        if batch and sum(map(len, batch)) + len(network) > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(network)
    if batch:
        yield batch


class Program:
    """The runtime, compiled once for a processor, and linked with batches of networks."""

    def __init__(self, folder: pathlib.Path, cpu: str, *options: str) -> None:
        self._folder, self._cpu = folder, cpu
        processor = PROCESSORS[cpu]
        for name, content in runtime_source().items():
            (folder / name).write_bytes(content)
        self._compile = [*compiler(processor, "2"), "-std=gnu11", f"-I{folder}", f"-I{SOURCES}", *options]
        self._linking = linking(processor)
        sources = [*folder.glob("kq_*.c"), *(path for path in program_sources(processor) if path.name != "main.c")]
        subprocess.run([*self._compile, "-c", *sources], cwd=folder, check=True)
        self._objects = sorted(folder.glob("*.o"))

    def failures(self, networks: list[bytes]) -> list[int]:
        """Numbers of the networks that the program refuses, or computes otherwise than the reference."""
        found, first = [], 0
        for batch in batches(networks):
            (self._folder / "networks.bin").write_bytes(b"".join(batch))
            path = self._folder / "operators.elf"
            command = [*self._compile, *self._linking, MAIN, *self._objects, "-o", path]
            subprocess.run(command, cwd=self._folder, check=True)
            outcome = simulate(path, self._cpu)
            assert re.search(rf"^networks {len(batch)}$", outcome.text, re.MULTILINE), outcome.text
            found += [first + int(number) for number in re.findall(r"^failed (\d+)", outcome.text, re.MULTILINE)]
            first += len(batch)
        return found
