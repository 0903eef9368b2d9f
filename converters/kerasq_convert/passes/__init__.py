"""The rewrites between front end and formats: pure functions from `Graph` to `Graph`, in the order of `PASSES`.

Each leaves the network's function unchanged, up to float rounding, and removes something that the device need not do.
"""

from __future__ import annotations

from collections.abc import Callable

from kerasq_convert.graph import Graph
from kerasq_convert.passes.fold_affine import compose_affine, fold_affine_forward, fold_affine_into_producers
from kerasq_convert.passes.fuse import fuse_clamps_and_formats
from kerasq_convert.passes.lower_affine import lower_affine
from kerasq_convert.passes.prune import remove_dead_nodes
from kerasq_convert.passes.reshapes import fold_reshapes

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    remove_dead_nodes,
    fold_affine_into_producers,  # BatchNorm and biases after a convolution
    compose_affine,
    fold_affine_forward,  # Rescaling and BatchNorm before one
    fold_reshapes,
    lower_affine,
    fuse_clamps_and_formats,
)


def run_passes(graph: Graph) -> tuple[Graph, dict[str, int]]:
    """All passes in order, and by how many nodes each made the graph smaller (negative: larger)."""
    removed = {}
    for rewrite in PASSES:
        before = len(graph.nodes)
        graph = rewrite(graph)
        removed[rewrite.__name__] = before - len(graph.nodes)
    return graph, removed


__all__ = ["PASSES", "run_passes"]
