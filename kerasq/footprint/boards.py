"""Boards and microcontrollers by name: core, clock, flash and RAM, as their data sheets state them."""

from __future__ import annotations

import dataclasses
import difflib
import re

from kerasq.targets import TARGETS
from kerasq.text import shown

KIB = 1024


CORES = {name: target for name, target in TARGETS.items() if target.costs is not None}


@dataclasses.dataclass(frozen=True)
class Board:
    """A microcontroller, or a board with one; or a core of which nothing else is said.

    Attributes:
        name: What reports call it.
        core: A key of `CORES`.
        megahertz: Its highest clock.
        flash: Bytes where code and constants lie.
        ram: Bytes of memory that programs may use.
    """

    name: str
    core: str
    megahertz: int | None = None
    flash: int | None = None
    ram: int | None = None


def _board(name: str, core: str, megahertz: int, flash_kib: int, ram_kib: int) -> Board:
    return Board(name, core, megahertz, flash_kib * KIB, ram_kib * KIB)


# Where memory is in several banks, all that is meant for data. External flash is that of the maker's usual board or module.
_ALL = (
    _board("Arduino Nano 33 BLE", "cortex-m4", 64, 1024, 256),
    _board("BBC micro:bit v2", "cortex-m4", 64, 512, 128),
    _board("ESP32-C3", "rv32imc", 160, 4096, 400),
    _board("nRF52833", "cortex-m4", 64, 512, 128),
    _board("nRF52840", "cortex-m4", 64, 1024, 256),
    _board("nRF5340", "cortex-m33", 128, 1024, 512),
    _board("RP2040", "cortex-m0+", 133, 2048, 264),
    _board("RP2350", "cortex-m33", 150, 4096, 520),
    _board("SAMD21G18", "cortex-m0+", 48, 256, 32),
    _board("STM32F103C8", "cortex-m3", 72, 64, 20),
    _board("STM32F407VG", "cortex-m4", 168, 1024, 192),
    _board("STM32F746", "cortex-m7", 216, 1024, 320),
    _board("STM32G0B1", "cortex-m0+", 64, 512, 144),
    _board("STM32H743", "cortex-m7", 480, 2048, 1024),
    _board("STM32H7A3", "cortex-m7", 280, 2048, 1184),
    _board("STM32L4R5", "cortex-m4", 120, 2048, 640),
    _board("STM32U575", "cortex-m33", 160, 2048, 784),
    _board("Teensy 4.0", "cortex-m7", 600, 1984, 1024),
)


def _key(name: str) -> str:
    """A name without what people spell in different ways."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


BOARDS = {board.name: board for board in _ALL}
_BY_KEY = {
    **{_key(name.removeprefix("cortex-")): Board(name, name) for name in CORES},
    **{_key(name): Board(name, name) for name in CORES},
    **{_key(board.name): board for board in _ALL},
}


def board_or_core(name: str) -> Board:
    """The board, or core, of a name; case, spaces and dashes do not matter, nor does "cortex-".

    Raises:
        ValueError: There is none of this name.
    """
    board = _BY_KEY.get(_key(name))
    if board is None:
        near = dict.fromkeys(_BY_KEY[key].name for key in difflib.get_close_matches(_key(name), _BY_KEY, n=3))
        hint = f": did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"no board or core is called {shown(name)}{hint} Cores are {', '.join(CORES)}; boards are {', '.join(BOARDS)}. For "
            "any other board name its core"
        )
    return board
