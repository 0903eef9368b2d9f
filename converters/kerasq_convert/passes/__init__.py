"""The rewrites between front end and formats: pure functions from `Graph` to `Graph`, in the order of `PASSES`.

Each leaves the network's function unchanged, up to float rounding, and removes something that the device need not do.
"""

from __future__ import annotations

from collections.abc import Callable

from kerasq_convert.graph import Graph
from kerasq_convert.passes.axes import at_least_two_axes, check_axes
from kerasq_convert.passes.batches import steps_out_of_batches
from kerasq_convert.passes.curves import compose_curves
from kerasq_convert.passes.extremes import lower_extremes
from kerasq_convert.passes.factor_kernels import factor_kernels
from kerasq_convert.passes.fold_affine import (
    affine_before_pooling,
    compose_affine,
    fold_affine_forward,
    fold_affine_into_producers,
    fold_affine_through_clamps,
)
from kerasq_convert.passes.frames import fold_padding, lower_frames
from kerasq_convert.passes.fuse import fuse_clamps_and_formats
from kerasq_convert.passes.labels import argmax_of_scores
from kerasq_convert.passes.lower_affine import lower_affine
from kerasq_convert.passes.prune import remove_dead_nodes
from kerasq_convert.passes.reshapes import flatten_into_dense, sink_reshapes
from kerasq_convert.passes.selections import fold_selections, lower_selections
from kerasq_convert.passes.sink_transposes import absorb_reshapes, cancel_transposes, sink_transposes
from kerasq_convert.passes.sums import dense_sums_as_convolutions, fold_affine_into_sums, fold_constant_terms
from kerasq_convert.passes.tables import compute_in_tables, share_numbers

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    steps_out_of_batches,
    at_least_two_axes,
    remove_dead_nodes,
    argmax_of_scores,
    share_numbers,
    fold_constant_terms,
    compose_curves,
    lower_extremes,  # those that are no curve
    cancel_transposes,
    sink_reshapes,
    sink_transposes,
    cancel_transposes,
    sink_reshapes,  # those between them
    fold_padding,
    fold_selections,
    factor_kernels,  # before a BatchNorm could be folded into one
    fold_affine_into_producers,  # BatchNorm and biases after a convolution
    compose_affine,
    compute_in_tables,
    affine_before_pooling,
    fold_affine_into_producers,  # those after its pooling
    fold_affine_into_sums,
    flatten_into_dense,
    fold_affine_forward,  # Rescaling and BatchNorm before one
    fold_affine_through_clamps,  # those that are left after an activation
    fold_padding,  # around an affine node that was folded
    fold_selections,  # beside a Dense layer, or what was folded
    lower_affine,
    lower_selections,
    lower_frames,
    dense_sums_as_convolutions,
    sink_reshapes,  # those around a lowered node
    absorb_reshapes,
    fuse_clamps_and_formats,
)


def run_passes(graph: Graph) -> tuple[Graph, dict[str, int]]:
    """All passes in order, and by how many nodes each made the graph smaller (negative: larger).

    Raises:
        ConversionError: What is left can't be written as operators.
    """
    removed: dict[str, int] = {}
    as_read = graph
    for rewrite in PASSES:
        before = len(graph.nodes)
        graph = rewrite(graph)
        removed[rewrite.__name__] = removed.get(rewrite.__name__, 0) + before - len(graph.nodes)
    check_axes(as_read, graph)
    return graph, removed


__all__ = ["PASSES", "run_passes"]
