"""Processors that a network can be made for, by name: the kernels that they have, and what is known of their speed."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """A processor, or a family of them.

    Attributes:
        name: As users write it.
        isa: Kernels of the runtime (`kerasq.runtime`): `"portable"`, or `"dsp"` for the DSP extension of Armv7E-M and Armv8-M.
        costs: Name of its table of sizes and instructions (kerasq.footprint). An M7 or M33 executes what an M4 does.
        cycles: Whether its manual states what instructions take, so that the table has cycles, too.
    """

    name: str
    isa: str = "portable"
    costs: str | None = None
    cycles: bool = False


PORTABLE = "portable"  # any processor, the default
TARGETS = {
    target.name: target
    for target in (
        Target(PORTABLE),
        Target("cortex-m0", costs="m0"),
        Target("cortex-m0+", costs="m0", cycles=True),
        Target("cortex-m3", costs="m3", cycles=True),
        Target("cortex-m4", "dsp", "m4", cycles=True),
        Target("cortex-m7", "dsp", "m4"),
        Target("cortex-m33", "dsp", "m4"),
        Target("rv32imc", costs="rv32"),
    )
}
