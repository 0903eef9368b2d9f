"""What the stages of a conversion hand on: the network as a graph, with the names of its tensors and what was done to it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import kerasq
from kerasq.format.model import FILLED, OFFSET, Model
from kerasq_convert.graph import Graph
from kerasq_convert.naming import Names

PRUNED = "pruned"  # metadata of a file that has fewer channels or operators than its network
ZEROS = "zeros"  # metadata of a float network in memory: the values that mean 0, by tensor, where they are stored with offsets
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
        offset = {} if self.offset is None else {OFFSET: ",".join(repr(number).removesuffix(".0") for number in self.offset)}
        return {"producer": f"kerasq {kerasq.__version__}"} | equalized | filled | offset

    @property
    def zeros(self) -> dict[str, str]:
        """What the metadata of its float network say more: `zeros_of` reads them."""
        zeros = {self.names.buffer(value): offset for value, offset in self.graph.offsets.items()}
        return {ZEROS: json.dumps(zeros)} if zeros else {}


def zeros_of(reference: Model) -> dict[str, float]:
    """The values that mean 0, by name of the tensor, of a float network in memory: of those that are stored with an offset."""
    return json.loads(reference.metadata.get(ZEROS, "{}"))
