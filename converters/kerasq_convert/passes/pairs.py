"""Pairs of nodes that may become one: a node, and the only one that reads it."""

from __future__ import annotations

from collections.abc import Iterator

from kerasq_convert.graph import Graph, Node, is_exclusive


def exclusive_pairs(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """Every node that alone reads what computes its first input, behind the node that does."""
    producers, readers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        producer = producers.get(node.inputs[0])
        if producer is not None and is_exclusive(graph, producer.output, readers):
            yield producer, node
