"""A program for a simulated processor that runs the test vectors of many networks."""

from __future__ import annotations

import pathlib
import re

import batches
from simulator import simulate

from kerasq.format import Model, dumps
from kerasq.selftest import with_selftest
from networks import random_inputs

MAIN = pathlib.Path(__file__).parent / "operators" / "main.c"


def packed(model: Model, seed: int = 0) -> bytes:
    """A network with a test vector of random inputs, as the program takes it."""
    return batches.packed(dumps(with_selftest(model, random_inputs(model, seed, examples=1))))


class Program:
    """The runtime, compiled once for a processor, and linked with batches of networks."""

    def __init__(self, folder: pathlib.Path, cpu: str, *options: str) -> None:
        self._cpu = cpu
        self._program = batches.Program(folder, cpu, MAIN, *options)

    def failures(self, networks: list[bytes]) -> list[int]:
        """Numbers of the networks that the program refuses, or computes otherwise than the reference."""
        found, first = [], 0
        for batch in batches.batches(networks):
            outcome = simulate(self._program.linked(batch), self._cpu)
            assert re.search(rf"^networks {len(batch)}$", outcome.text, re.MULTILINE), outcome.text
            found += [first + int(number) for number in re.findall(r"^failed (\d+)", outcome.text, re.MULTILINE)]
            first += len(batch)
        return found
