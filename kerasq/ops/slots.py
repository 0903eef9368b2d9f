"""Inputs of operators: what each is called and which formats it may have."""

from __future__ import annotations

import dataclasses

# Formats that an activation may have, and those of the constants of a weighted operator.
ACTIVATIONS = ("FLOAT32", "FIXED8", "FIXED16", "UFIXED8", "UFIXED16")
KERNELS = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "SIGN")
VECTORS = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "FIXED32")


@dataclasses.dataclass(frozen=True)
class Slot:
    """One input of an operator.

    Attributes:
        name: What the input is called in messages.
        families: Formats it may have, without their fractional bits.
        constant: Whether it is a constant; otherwise it is an activation.
        optional: Whether it may be `ABSENT`.
        trailing: Whether the inputs may end before it; there it is never `ABSENT`.
    """

    name: str
    families: tuple[str, ...] = ACTIVATIONS
    constant: bool = False
    optional: bool = False
    trailing: bool = False
