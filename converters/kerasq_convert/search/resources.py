"""What a network takes as it is written: without what can't change, with or without names, on a board."""

from __future__ import annotations

import dataclasses

from kerasq.footprint import Board, FootprintError, board_or_core, footprint
from kerasq.format import Model, dumps
from kerasq.format.names import stripped
from kerasq_convert.errors import ConversionError
from kerasq_convert.memory.target import for_target
from kerasq_convert.options import Goals, Options
from kerasq_convert.pruning.prune import prune


@dataclasses.dataclass(frozen=True)
class Written:
    """A network as its file has it.

    Attributes:
        model: The network.
        content: The file.
        instructions: Of an inference on the board of `Goals.target`; `None` where there is none.
    """

    model: Model
    content: bytes
    instructions: int | None

    @property
    def sizes(self) -> dict[str, int]:
        """What `Goals` limit, by the name of the goal."""
        sizes = {"max_model_bytes": len(self.content), "max_arena_bytes": self.model.arena_bytes}
        return sizes if self.instructions is None else sizes | {"max_instructions": self.instructions}


def written(model: Model, options: Options) -> Written:
    """A finished network as it is written.

    Args:
        model: The network, planned.
        options: `prune`, `strip`, and `goals.target`.

    Raises:
        ConversionError: There is no estimate of its instructions.
    """
    smaller = prune(model) if options.prune else model
    content = dumps(stripped(smaller) if options.strip else smaller)
    board = board_of(options.goals)
    return Written(smaller, content, None if board is None else _instructions(content, board))


def board_of(goals: Goals) -> Board | None:
    """Where instructions are limited."""
    return None if goals.max_instructions is None or goals.target is None else board_or_core(goals.target)


def _instructions(content: bytes, board: Board) -> int:
    try:
        fit = footprint(for_target(content, board.core), board)
    except FootprintError as error:
        raise ConversionError("max_instructions", [str(error)]) from error
    if fit.instructions is None:
        missing = next(work for work in fit.operators if work.instructions is None)
        raise ConversionError("max_instructions", [f"of {missing.kernel}, for {missing.output}, there is no estimate"])
    return fit.instructions
