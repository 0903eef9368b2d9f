"""Counts each instruction of a firmware on QEMU, by a plugin that the host's C compiler builds when it is needed."""

import dataclasses
import os
import pathlib
import re
import shutil

import numpy as np
from firmware import BuildError, call
from processors import Processor

SOURCE = pathlib.Path(__file__).parent / "plugin" / "counter.c"
MARK = "ticks"  # the function of firmware/ between whose calls is counted
_RECORD = np.dtype([(name, "u8") for name in ("address", "executed", "entered", "jumped", "accesses", "unaligned")])
_NEWEST = (8, 1)  # of the versions of QEMU that have version 1 of the interface of plugins
#     8104:	ldr.w	r2, [r3, #4]	@ 0x10
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t([a-z][a-z0-9.]*)(?:\t([^;@<\n]*))?", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """An instruction of a program.

    Attributes:
        address: Where it lies.
        name: `ldr.w`
        operands: `r2, [r3, #4]`
    """

    address: int
    name: str
    operands: str


class Counter:
    """The plugin for a program: how to call QEMU with it, and what it counted.

    Args:
        program: A firmware.
        processor: What it was built for.
        folder: For what is built and written; a plugin of an earlier program there is taken.

    Raises:
        BuildError: There is no C compiler, or QEMU is too new or can't load plugins.
    """

    def __init__(self, program: pathlib.Path, processor: Processor, folder: pathlib.Path) -> None:
        _check_version(processor.simulator[0])
        library = folder / "counter.so"
        if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
            compiler = shutil.which(os.environ.get("CC", "cc")) or "cc"
            call([compiler, "-O2", "-shared", "-fPIC", "-fvisibility=hidden", str(SOURCE), "-o", str(library)])
        symbols = call([f"{processor.tools}nm", str(program)])
        mark = re.search(rf"^([0-9a-f]+) T {MARK}$", symbols, re.MULTILINE)
        if mark is None:
            raise BuildError(f"{program} has no function {MARK}")
        self._counts = folder / "counts.bin"
        # Of an address of code on Arm, the lowest bit says that it is Thumb.
        self.arguments = ["-plugin", f"{library},out={self._counts},mark={int(mark[1], 16) & ~1:#x}"]
        self._listing = call([f"{processor.tools}objdump", "-d", "--no-show-raw-insn", str(program)])

    def instructions(self) -> list[Instruction]:
        """All of the program's, by address."""
        lines = _INSTRUCTION.findall(self._listing)
        return [Instruction(int(address, 16), name, operands.strip()) for address, name, operands in lines]

    def pairs(self) -> list[np.ndarray]:
        """What was counted between the first and the second call of `ticks`, the third and the fourth ...: records that have the
        fields address, executed, entered, jumped, accesses and unaligned (plugin/counter.c)."""
        records = np.fromfile(self._counts, _RECORD)
        ends = np.flatnonzero(records["address"] == 0)
        return [part[part["address"] != 0] for part in np.split(records, ends + 1)[: len(ends)]]


def _check_version(simulator: str) -> None:
    text = call([simulator, "--version"]).splitlines()[0]
    version = re.search(r"version (\d+)\.(\d+)", text)
    if version and tuple(map(int, version.groups())) > _NEWEST:
        newest = ".".join(map(str, _NEWEST))
        raise BuildError(f"instructions are counted by a plugin for QEMU up to {newest}; this is {text}")
