"""What each layer takes of flash and of a processor's time."""

from __future__ import annotations

import dataclasses

from kerasq.footprint import FootprintError, board_or_core
from kerasq.footprint.footprint import footprint
from kerasq.footprint.summary import summarize
from kerasq.format import loads
from kerasq.runtime import LibraryMissingError
from kerasq_convert.causes.trials import CORE
from kerasq_convert.memory.target import for_target


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One operator, by the name of its layer.

    Attributes:
        layer, kind, kernel, output: Its layer, what it computes, formats of its kernel and of its output.
        flash: Bytes of its constants.
        macs: Multiply-accumulates.
        instructions: Estimate; `None` where there is none.
        zero: The stored integer of its input that means 0.
    """

    layer: str
    kind: str
    kernel: str
    output: str
    flash: int
    macs: int
    instructions: int | None
    zero: int = 0


def layer_costs(content: bytes, core: str = CORE) -> list[LayerCost]:
    """What each operator of a .kq file takes on a core, in the order in which they run there.

    Args:
        content: Bytes of the file.
        core: A key of `kerasq.footprint.boards.CORES`.
    """
    counted: list[int | None]
    try:
        content = for_target(content, core)
        counted = [work.instructions for work in footprint(content, board_or_core(core)).operators]
    except (FootprintError, LibraryMissingError):  # it computes in float, or nothing can be asked
        counted = [None] * len(loads(content).operators)
    model = loads(content)
    layers = summarize(model, len(content)).layers
    return [
        LayerCost(layer.layer, layer.kind, layer.kernel, layer.output, layer.bytes, layer.macs, instructions, operator.zero)
        for layer, instructions, operator in zip(layers, counted, model.operators, strict=True)
    ]
