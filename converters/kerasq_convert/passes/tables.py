"""Tables of rows (embeddings): what is computed from a row alone is computed in the table, and numbers are stored once.

Whatever follows a look-up element by element, from constants, is a function of each row: the table holds what it gives.
"""

from __future__ import annotations

import numpy as np

from kerasq.qformat import QFormat
from kerasq_convert.formats.kernels import grid_of
from kerasq_convert.graph import (
    Affine,
    ArgMax,
    Curve,
    Gather,
    Graph,
    Identity,
    Node,
    Reshape,
    merge_into_producer,
    replace,
    until_stable,
)
from kerasq_convert.passes.pairs import exclusive_pairs
from kerasq_convert.passes.prune import remove_dead_nodes


def compute_in_tables(graph: Graph) -> Graph:
    """An affine node, a curve or a clamp that alone reads a look-up becomes part of its table."""
    return until_stable(graph, _compute_one)


def _compute_one(graph: Graph) -> Graph | None:
    for gather, node in exclusive_pairs(graph):
        if not isinstance(gather, Gather) or not gather.is_plain:
            continue
        kernel = _computed(gather.kernel, node)
        if kernel is not None:
            layers = tuple(dict.fromkeys((*gather.layers, *node.layers)))
            return merge_into_producer(graph, gather, replace(gather, kernel=kernel, layers=layers), node)
    return None


def _computed(kernel: np.ndarray, node: Node) -> np.ndarray | None:
    """What a node makes of every row; None where it is no function of it alone, or would take rows from a training's grid."""
    if node.format is not None:
        return None
    with np.errstate(all="ignore"):
        match node:
            case Affine(scale=scale, offset=offset) if grid_of(kernel) is None:
                computed = kernel * scale + offset
            case Curve(function=function):
                computed = np.asarray(function(kernel))
            case Identity():
                computed = kernel
            case _:
                return None
    return np.clip(computed, *node.clamp).astype(np.float32)


def share_numbers(graph: Graph) -> Graph:
    """Look-ups by the same numbers read them in one format, that of the largest table; those by an argmax read what it gives."""
    producers, readers = graph.producers(), graph.consumers()
    by_source: dict[str, Identity] = {}
    same: dict[str, str] = {}
    widest: dict[str, QFormat] = {}
    for node in graph.nodes:
        if not isinstance(node, Identity) or not readers[node.output] or node.output in graph.outputs.values():
            continue
        if node.format is None or not all(isinstance(reader, Gather) for reader in readers[node.output]):
            continue
        (source,) = node.inputs
        if _is_place(producers.get(source), producers):
            same[node.output] = source
            continue
        first = by_source.setdefault(source, node)
        same[node.output] = first.output
        widest[first.output] = max(widest.get(first.output, node.format), node.format, key=lambda format_: format_.bits)
    nodes = (replace(node, inputs=tuple(same.get(value, value) for value in node.inputs)) for node in graph.nodes)
    changed = (replace(node, format=widest[node.output]) if node.output in widest else node for node in nodes)
    return remove_dead_nodes(graph.with_nodes(changed))


def _is_place(node: Node | None, producers: dict[str, Node]) -> bool:
    """Whether a value is what an argmax gives, in whatever shape."""
    while isinstance(node, Reshape):
        node = producers.get(node.inputs[0])
    return isinstance(node, ArgMax)
