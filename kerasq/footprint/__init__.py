"""Whether a network fits a microcontroller: what it takes of flash and memory, and how many instructions.

Sizes are what a linker keeps of the runtime; instructions and cycles are estimates by tables of examples/cortex_m/fit.py.
"""

from kerasq.footprint.boards import BOARDS, Board, board_or_core
from kerasq.footprint.footprint import Footprint, FootprintError, Work, footprint

__all__ = ["BOARDS", "Board", "Footprint", "FootprintError", "Work", "board_or_core", "footprint"]
