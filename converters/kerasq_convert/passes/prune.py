"""Nodes that no output needs."""

from __future__ import annotations

from kerasq_convert.graph import Graph


def remove_dead_nodes(graph: Graph) -> Graph:
    """`graph` without the nodes that no output depends on."""
    needed = set(graph.outputs.values())
    kept = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return graph.with_nodes(reversed(kept))
