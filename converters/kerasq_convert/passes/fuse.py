"""Activations and quantizers become part of the node before them.

A ReLU is a clamp of its producer's output. A quantizer is a rounding to its format; clamp and rounding are both monotone,
so a clamp whose limits lie on the grid gives the same before and after. (A limit off the grid would not: ReLU6 in a format
with steps of 4 saturates at 6 before and at 4 or 8 after; such a pair stays apart.)
"""

from __future__ import annotations

import math

from kerasq.qformat import QFormat
from kerasq_convert.graph import Graph, Identity, Limits, Node, merge_into_producer, replace, until_stable
from kerasq_convert.passes.pairs import exclusive_pairs


def fuse_clamps_and_formats(graph: Graph) -> Graph:
    """Every `Identity` node merges into its producer, where that has no other reader and no conflicting format."""
    return _without_empty_identities(until_stable(graph, _fuse_one))


def _fuse_one(graph: Graph) -> Graph | None:
    for producer, node in exclusive_pairs(graph):
        merged = _merged(producer, node) if isinstance(node, Identity) else None
        if merged is not None:
            return merge_into_producer(graph, producer, merged, node)
    return None


def _merged(producer: Node, node: Identity) -> Node | None:
    if producer.format is not None and node.format is not None and producer.format != node.format:
        return None
    format_ = producer.format or node.format
    if node.format is None and producer.format is not None and not _on_grid(node.clamp, producer.format):
        return None
    low, high = max(producer.clamp[0], node.clamp[0]), min(producer.clamp[1], node.clamp[1])
    # clip(clip(x, a, b), c, d) is one clip only where the intervals meet.
    if low > high:
        return None
    layers = tuple(dict.fromkeys((*producer.layers, *node.layers)))
    return replace(producer, clamp=(low, high), format=format_, layers=layers)


def _on_grid(limits: Limits, format_: QFormat) -> bool:
    """Whether each finite limit is a value of the grid."""
    return all(math.isinf(limit) or (limit / format_.step).is_integer() for limit in limits)


def _without_empty_identities(graph: Graph) -> Graph:
    """Identities that neither clamp nor quantize disappear, unless they show an input of the network as its output."""
    source: dict[str, str] = {}
    nodes: list[Node] = []
    shown = set(graph.outputs.values())
    for node in graph.nodes:
        node = replace(node, inputs=tuple(source.get(value, value) for value in node.inputs))
        if isinstance(node, Identity) and node.is_plain and node.output not in shown:
            source[node.output] = node.inputs[0]
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)
