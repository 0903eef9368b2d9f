"""examples/cortex_m/cycles.py: cycles of short programs, reckoned by hand from the processors' manuals."""

from __future__ import annotations

import shutil
import subprocess

import pytest

TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm", "cc")
pytestmark = pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {' and '.join(TOOLS)}")

PROGRAM = """
.syntax unified
.thumb
.section .vectors, "a"
.word 0x20010000, reset + 1
.text
.global ticks, reset
.thumb_func
ticks: bx lr
.thumb_func
reset:
  ldr r4, =0x20000100
  movs r5, #4
  movs r6, #0
  movs r3, #0
  bl ticks
{}
  bl ticks
  ldr r1, =0x20026
  movs r0, #0x18
  bkpt 0xab
  b .
.pool
"""
SCRIPT = "SECTIONS { .text 0 : { *(.vectors) *(.text*) } }"
AROUND = {"m0": 2 + 3, "m3": 3 + 3, "m4": 3 + 3}  # the first call returns, the second is made

# Cycles on an M0+, M3 and M4; None where the processor has not the instructions. r4 is an address, r5 4, r6 and r3 0.
CASES = {
    "none": ("", 0, 0, 0),
    "arithmetic": ("adds r0, r5, #1; subs r0, r0, r5; lsls r0, r0, #2", 3, 3, 3),
    "one load": ("ldr r0, [r4]; adds r0, #1", 3, 3, 3),
    "loads behind loads": ("ldr r0, [r4]; ldr r1, [r4, #4]; ldrb r2, [r4, r5]; adds r0, #1", 7, 5, 5),
    "a load whose address was loaded": ("str r4, [r4]; ldr r0, [r4]; ldr r1, [r0]", 6, 5, 5),
    "stores": ("str r0, [r4]; str r0, [r4, r5]", 4, 3, 3),
    "a store behind a load": ("ldr r0, [r4]; str r0, [r4, r5]", 4, 3, 3),
    "lists of registers": ("push {r0-r3, r7}; pop {r0-r3, r7}; stmia r4!, {r0-r1}", 6 + 6 + 3, 6 + 6 + 3, 6 + 6 + 3),
    "double words": ("strd r0, r1, [r4]; ldrd r0, r1, [r4, #8]", None, 6, 6),
    "unaligned": ("ldr r0, [r4, #2]; adds r1, #1; ldr r0, [r4, #1]; adds r1, #1; ldrh r0, [r4, #1]", None, 12, 12),
    "a loop of four turns": ("1: subs r5, #1; bne 1b", 4 + 3 * 2 + 1, 4 + 3 * 3 + 1, 4 + 3 * 3 + 1),
    "a call": ("bl 1f; b 2f; 1: bx lr; 2:", 3 + 2 + 2, 9, 9),
    "a return from the stack": ("bl 1f; b 2f; 1: push {lr}; pop {pc}; 2:", 3 + 2 + 2 + 4, 3 + 3 + 2 + 4, 3 + 3 + 2 + 4),
    "compared with zero": ("cbz r6, 1f; 1: cbnz r6, 2f; 2:", None, 1 + 1, 1 + 1),
    "a skipped load": ("cmp r6, #0; ite ne; ldrne r0, [r4]; ldreq r1, [r4]", None, 1 + 1 + 1 + 2, 1 + 1 + 1 + 2),
    "products": ("muls r0, r5; mla r0, r5, r6, r0; smull r0, r1, r5, r6; smlal r0, r1, r5, r6", None, 1 + 2 + 5 + 7, 4),
    "pairs of products": ("smlad r0, r5, r6, r0; smuad r1, r5, r6; smlalbb r0, r1, r5, r6", None, None, 3),
    "a division": ("udiv r0, r4, r5", None, 12, 12),
    "a table of branches": ("tbb [pc, r6]; 1: .byte (2f - 1b) / 2, 0; 2:", None, 4, 4),
}


@pytest.mark.parametrize("cpu", AROUND)
def test_cycles_are_those_of_the_manual(cpu, tmp_path):
    from counting import Counter
    from cycles import MANUALS, Cycles
    from processors import PROCESSORS
    from simulator import simulate

    (tmp_path / "link.ld").write_text(SCRIPT)
    column = 1 + list(AROUND).index(cpu)
    wanted = {name: case[column] for name, case in CASES.items() if case[column] is not None}
    counted = {}
    for name in wanted:
        source, program = tmp_path / "program.s", tmp_path / "program.elf"
        source.write_text(PROGRAM.format(CASES[name][0]))
        command = ["arm-none-eabi-gcc", f"-mcpu=cortex-{cpu}", "-nostdlib", "-T", tmp_path / "link.ld", source, "-o", program]
        subprocess.run(command, check=True, capture_output=True)
        counter = Counter(program, PROCESSORS[cpu], tmp_path)
        simulate(program, cpu, counter.arguments)
        (records,) = counter.pairs()
        counted[name] = sum(Cycles(MANUALS[cpu], counter.instructions()).of(records).values()) - AROUND[cpu]
    assert counted == wanted
