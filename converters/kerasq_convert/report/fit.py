"""What a network takes on a board, made for it as `kerasq-convert --emit_c --target` makes it."""

from __future__ import annotations

from kerasq.footprint import Board, Footprint, board_or_core, footprint
from kerasq_convert.memory.target import for_target


def fit_on(content: bytes, board: Board | str, flash: int | None = None, ram: int | None = None) -> Footprint:
    """The footprint of a .kq file.

    Args:
        content: Its bytes.
        board: Its name, or that of a core; or a `kerasq.footprint.Board`.
        flash, ram: Bytes that there are; the board's unless given.

    Raises:
        ValueError: There is no such board.
        FootprintError: The network computes in float.
        kerasq.format.ModelError: The file is refused.
        kerasq.runtime.LibraryMissingError: The native library, which knows what kernels there are, is not installed.
    """
    board = board_or_core(board) if isinstance(board, str) else board
    return footprint(for_target(content, board.core), board, flash, ram)
