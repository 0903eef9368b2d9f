"""What an argmax reads: a softmax before it changes no order, and rounds."""

from __future__ import annotations

from kerasq_convert.graph import Affine, ArgMax, Graph, Node, Softmax, is_exclusive, replace
from kerasq_convert.passes.prune import remove_dead_nodes


def argmax_of_scores(graph: Graph) -> Graph:
    """An argmax of probabilities, or of negated ones, reads what their softmax reads; no softmax is left that nothing else needs.

    Probabilities have the order of their scores; stored, two that differ little are one more often than these.
    """
    producers, readers = graph.producers(), graph.consumers()

    def rewritten(node: Node) -> Node:
        source = producers.get(node.inputs[0])
        is_read_in_order = isinstance(node, ArgMax) or (
            isinstance(node, Affine)
            and node.scale.size == node.offset.size == 1
            and is_exclusive(graph, node.output, readers)
            and isinstance(readers[node.output][0], ArgMax)
        )
        if not is_read_in_order or not isinstance(source, Softmax) or not source.is_plain:
            return node
        return replace(node, inputs=source.inputs)

    return remove_dead_nodes(graph.with_nodes(map(rewritten, graph.nodes)))
