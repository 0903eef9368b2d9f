"""Reshapes that nothing needs: Dense reads its input flattened, and a shape may already be right."""

from __future__ import annotations

from kerasq_convert.graph import Dense, Graph, Node, Reshape, replace


def fold_reshapes(graph: Graph) -> Graph:
    """Dense layers read the input of the reshape before them; a reshape to the same shape disappears."""
    producers = graph.producers()
    source: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(source.get(value, value) for value in node.inputs))
        if isinstance(node, Reshape):
            before = graph.inputs.get(node.inputs[0]) or producers[node.inputs[0]].shape
            if before == node.shape and node.output not in graph.outputs.values():
                source[node.output] = node.inputs[0]
                continue
        if isinstance(node, Dense):
            while isinstance(producer := producers.get(node.inputs[0]), Reshape):
                node = replace(
                    node, inputs=(source.get(producer.inputs[0], producer.inputs[0]),), layers=(*producer.layers, *node.layers)
                )
        nodes.append(node)
    read = {value for node in nodes for value in node.inputs} | set(graph.outputs.values())
    return graph.with_nodes(node for node in nodes if not isinstance(node, Reshape) or node.output in read)
