"""Runs a firmware on QEMU's model of a board and reads what it reports."""

import dataclasses
import pathlib
import subprocess
from collections.abc import Sequence

from firmware import BuildError, check_installed
from processors import PROCESSORS, Processor

TIMEOUT = 600


@dataclasses.dataclass(frozen=True)
class Image:
    """What the firmware made of an image: stored scores, and instructions that it took."""

    scores: list[int]
    best: int
    instructions: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a firmware reported.

    Attributes:
        facts: Numbers by name: arena, state, stack, ...
        images: In the order of the firmware.
        operators: Instructions of each operator, for the first image.
        status: The program's exit status.
        text: All that it printed.
    """

    facts: dict[str, int]
    images: list[Image]
    operators: list[int]
    status: int
    text: str


def simulate(program: pathlib.Path, cpu: str, arguments: Sequence[str] = ()) -> Outcome:
    """Run a firmware to its end.

    Args:
        cpu: A name of `PROCESSORS`.
        arguments: More of them for the simulator.

    Raises:
        BuildError: The simulator is missing, or the firmware does not end.
    """
    processor = PROCESSORS[cpu]
    check_installed(processor.simulator[0])
    command = [*processor.simulator, "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-icount", "shift=0", "-semihosting-config", "enable=on,target=native", *arguments, "-kernel", str(program)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"the firmware did not end within {TIMEOUT} s: {error.stdout}") from error
    text = result.stdout + result.stderr
    return Outcome(*_parsed(text.splitlines(), processor), result.returncode, text)


def _parsed(lines: list[str], processor: Processor) -> tuple[dict[str, int], list[Image], list[int]]:
    facts: dict[str, int] = {}
    images: list[Image] = []
    operators: list[int] = []
    scores: list[int] = []
    for line in lines:
        *name, value = line.split() or [""]
        if name[:1] == ["scores"]:
            scores = [int(word) for word in line.split()[1:]]
        elif name == ["ticks"]:
            images.append(Image(scores, facts.pop("class"), processor.instructions(int(value))))
        elif name == ["operator", "ticks"]:
            operators.append(processor.instructions(int(value)))
        elif name and value.lstrip("-").isdigit():
            facts[" ".join(name)] = int(value)
    return facts, images, operators
