"""The stage that makes of what was read the network that is quantized."""

from __future__ import annotations

from kerasq_convert.graph import Graph
from kerasq_convert.naming import Names
from kerasq_convert.network import Network
from kerasq_convert.passes import run_passes
from kerasq_convert.passes.equalize import equalize
from kerasq_convert.passes.fuse_additions import fuse_additions
from kerasq_convert.settings import Settings


def simplify(graph: Graph, settings: Settings | None = None, *, equalized: bool = False) -> Network:
    """The network that a graph is, in as few operators as it can be. Its function stays, up to float rounding.

    Args:
        graph: As the front end read it.
        settings: Additions become part of a convolution, except where these have a format of its own for its buffer.
        equalized: Whether neighbouring layers are to share the sizes of their channels.

    Raises:
        ConversionError: There is what can't be written as operators.
    """
    wanted = settings or Settings()
    graph, removed = run_passes(graph)
    names = Names(graph)
    fused = fuse_additions(graph, lambda term, total: wanted.tell_apart(names.buffer(term), names.buffer(total)))
    removed["fuse_additions"] = len(graph.nodes) - len(fused.nodes)
    return Network(equalize(fused) if equalized else fused, Names(fused, names), removed, equalized)
