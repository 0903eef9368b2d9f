"""What a network takes on a board."""

from __future__ import annotations

import dataclasses
from typing import Any

from kerasq.footprint.boards import CORES, Board
from kerasq.footprint.costs import costs_of
from kerasq.footprint.features import features, fitted_name
from kerasq.format import loads
from kerasq.runtime import Network


class FootprintError(ValueError):
    """Nothing can be said of this network; the text says why."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What an operator takes.

    Attributes:
        output: Name of the tensor that it writes.
        kernel: What computes it.
        macs: Multiply-accumulates, absent taps included.
        instructions, cycles: Estimates; `None` for a kernel, or a core, of which there is none.
    """

    output: str
    kernel: str
    macs: int
    instructions: int | None
    cycles: int | None


@dataclasses.dataclass(frozen=True)
class Footprint:
    """What a network takes on a board, in bytes and instructions, the runtime compiled with -O2.

    Attributes:
        board: Where it is to run.
        network, code, constants: In flash: the .kq file, the runtime with the kernels that it uses, tables and texts of these.
        arena, state, stack: In RAM: activations and what kernels keep meanwhile, the resolved network, the most stack.
        operators: In their order.
        flash_limit, ram_limit: What there is; `None` where nobody says.
    """

    board: Board
    network: int
    code: int
    constants: int
    arena: int
    state: int
    stack: int
    operators: list[Work]
    flash_limit: int | None
    ram_limit: int | None

    @property
    def flash(self) -> int:
        return self.network + self.code + self.constants

    @property
    def ram(self) -> int:
        return self.arena + self.state + self.stack

    @property
    def instructions(self) -> int | None:
        """Of an inference; `None` where an operator has no estimate."""
        return _sum([work.instructions for work in self.operators])

    @property
    def cycles(self) -> int | None:
        """The same by the model of the core's cycles."""
        return _sum([work.cycles for work in self.operators])

    @property
    def milliseconds(self) -> float | None:
        """Of an inference at the board's clock, by the model of cycles."""
        if self.cycles is None or self.board.megahertz is None:
            return None
        return self.cycles / self.board.megahertz / 1000

    @property
    def problems(self) -> list[str]:
        """Why it does not fit."""
        return [
            f"{what} takes {size:,} bytes, {size - limit:,} more than the {limit:,} that there are"
            for what, size, limit in (("flash", self.flash, self.flash_limit), ("RAM", self.ram, self.ram_limit))
            if limit is not None and size > limit
        ]

    @property
    def fits(self) -> bool | None:
        """`None` where no limit is known."""
        return None if self.flash_limit is None and self.ram_limit is None else not self.problems

    def _repr_html_(self) -> str:
        from kerasq.footprint.report import fit_html  # which is about this class

        return fit_html(self)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "target": self.board.name,
            "core": self.board.core,
            "megahertz": self.board.megahertz,
            "flash": {
                "network": self.network,
                "code": self.code,
                "constants": self.constants,
                "total": self.flash,
                "limit": self.flash_limit,
            },
            "ram": {"arena": self.arena, "state": self.state, "stack": self.stack, "total": self.ram, "limit": self.ram_limit},
            "instructions": self.instructions,
            "cycles": self.cycles,
            "milliseconds": self.milliseconds,
            "operators": [dataclasses.asdict(work) for work in self.operators],
            "fits": self.fits,
            "problems": self.problems,
        }


def footprint(content: bytes, board: Board, flash: int | None = None, ram: int | None = None) -> Footprint:
    """What a network takes.

    Args:
        content: Bytes of a .kq file in fixed point throughout, with the memory plan of the board
            (kerasq_convert.memory.target.for_target).
        board: From `board_or_core`.
        flash, ram: Bytes that there are; the board's unless given.

    Raises:
        FootprintError: The network computes in float.
        kerasq.format.ModelError: The file is refused.
        kerasq.runtime.LibraryMissingError: The native library, which chooses the kernels, is not installed.
    """
    core = CORES[board.core]
    assert core.costs is not None
    costs, model, network = costs_of(core.costs), loads(content), Network(content, core.isa)
    operators: list[Work] = []
    for operator, info in zip(model.operators, network.operators(), strict=True):
        output = model.output(operator).name
        if not costs.has_code_of(info.kernel):
            raise FootprintError(
                f"operator {len(operators)} ({output}) is computed by {info.kernel}, of which no sizes are known: convert the "
                "network with a representative dataset, so that it computes in fixed point"
            )
        counts, fitted = features(model, operator), fitted_name(info.kernel, operator)
        instructions = costs.estimate(fitted, "instructions", counts)
        cycles = costs.estimate(fitted, "cycles", counts) if core.cycles else None
        operators.append(Work(output, info.kernel, info.macs, instructions, cycles))
    code, constants = costs.flash(work.kernel for work in operators)
    return Footprint(
        board=board,
        network=len(content),
        code=code,
        constants=constants,
        arena=network.arena_bytes,
        state=costs.state_bytes(len(model.tensors), len(model.operators)),
        stack=max(costs.stack.values()),
        operators=operators,
        flash_limit=board.flash if flash is None else flash,
        ram_limit=board.ram if ram is None else ram,
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
