"""Processors that a network can be made for, by name: which of the runtime's kernels they have."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """A processor, or a family of them.

    Attributes:
        name: As users write it.
        isa: Kernels of the runtime (`kerasq.runtime`): `"portable"`, or `"dsp"` for the DSP extension of Armv7E-M and Armv8-M.
    """

    name: str
    isa: str = "portable"


PORTABLE = "portable"  # any processor, the default
_DSP = ("cortex-m4", "cortex-m7", "cortex-m33")
_OTHERS = (PORTABLE, "cortex-m0", "cortex-m3", "rv32imc")
TARGETS = {target.name: target for target in (*map(Target, _OTHERS), *(Target(name, "dsp") for name in _DSP))}
