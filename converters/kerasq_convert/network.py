"""What the stages of a conversion hand on: the network as a graph, with the names of its tensors and what was done to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import kerasq
from kerasq.format.model import FILLED, OFFSET
from kerasq_convert.graph import Graph
from kerasq_convert.naming import Names

PRUNED = "pruned"  # metadata of a file that has fewer channels or operators than its network
EQUALIZED = "equalized"  # metadata of a file whose network is the float one up to sizes of channels


@dataclasses.dataclass(frozen=True)
class Network:
    """A network between the front end and emission.

    Attributes:
        graph: Its nodes.
        names: The names of its tensors.
        removed: By how many nodes each pass made the graph smaller.
        is_equalized: Whether channels were rescaled, so that tensors have other sizes than the model's.
        filled: Exponents of the factors by which activations were scaled, where they were.
        offset: The offsets with which activations are stored then, where they are.
    """

    graph: Graph
    names: Names
    removed: Mapping[str, int]
    is_equalized: bool = False
    filled: tuple[int, ...] | None = None
    offset: tuple[float, ...] | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """What its file says of how it came about."""
        equalized = {EQUALIZED: "yes"} if self.is_equalized else {}
        filled = {} if self.filled is None else {FILLED: ",".join(map(str, self.filled))}
        offset = {} if self.offset is None else {OFFSET: ",".join(map(repr, self.offset))}
        return {"producer": f"kerasq {kerasq.__version__}"} | equalized | filled | offset
