"""Operands of operators: what an input is called, which formats it may have, and whether the output may lie over it."""

from __future__ import annotations

import dataclasses
import enum

from kerasq.ops.families import ACTIVATIONS


class Overlap(enum.StrEnum):
    """How an operator reads an operand while it writes its output in raster order: kerasq/verification/overlap.py derives from it
    where the output may lie over an operand that nobody needs afterwards."""

    NEVER = "NEVER"
    """In another order, or all of it for every output value: the output must lie elsewhere."""
    ELEMENT_WISE = "ELEMENT_WISE"
    """The value of the same place before the output value is written, where both have as many values; else `NEVER`."""
    WINDOW = "WINDOW"
    """All channels of the pixels under a window; channel by channel where there are as many groups as channels on both sides."""
    WINDOW_OF_CHANNEL = "WINDOW_OF_CHANNEL"
    """The pixels under a window, of the output's own channel."""
    GROUP = "GROUP"
    """All values of a group of channels of the pixels under a window before the first of them is written: as `ELEMENT_WISE` where
    these follow each other, as there's one group or one pixel; else `NEVER`."""


@dataclasses.dataclass(frozen=True)
class Operand:
    """One input of an operator.

    Attributes:
        name: What the input is called in code, messages and reports; unique in its row.
        families: Formats it may have, without their fractional bits.
        constant: Whether it is a constant; otherwise it is an activation.
        optional: Whether it may be `ABSENT`.
        trailing: Whether the inputs may end before it; there it is never `ABSENT`.
        or_function: Whether it may be `ABSENT` in memory, where the operator holds a function in its place.
        per_channel: Whether it is a vector with one value for each output channel, which the accumulator proof reads for every
            operator that uses it.
        paired: Whether its rows may lie in pairs (`Layout.PAIRS`).
        overlap: How it is read while the output is written; `NEVER` of a constant.
        since: Version of the file format that it came with.
        in_place_since: Version of the file format since which the output may lie exactly in its place, where `overlap` allows it.
    """

    name: str
    families: tuple[str, ...] = ACTIVATIONS
    constant: bool = False
    optional: bool = False
    trailing: bool = False
    or_function: bool = False
    per_channel: bool = False
    paired: bool = False
    overlap: Overlap = Overlap.NEVER
    since: int = 1
    in_place_since: int = 2
