"""What computes element by element is the same before a transposition as after it; before, it meets the convolution.

A transposed convolution is a convolution and a transposition: its bias, BatchNorm and activation belong to the convolution.
"""

from __future__ import annotations

from kerasq_convert.graph import Affine, Curve, Graph, Identity, Node, Reshape, Transpose, is_exclusive, replace, until_stable
from kerasq_convert.passes.prune import remove_dead_nodes
from kerasq_convert.passes.reshapes import for_channels


def sink_transposes(graph: Graph) -> Graph:
    """Element-wise nodes before the transposition whose result only they read."""
    return until_stable(graph, _sink_one)


def _sink_one(graph: Graph) -> Graph | None:
    producers, readers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        if not isinstance(node, Affine | Identity | Curve):
            continue
        moved = producers.get(node.inputs[0])
        if not isinstance(moved, Transpose) or not is_exclusive(graph, moved.output, readers):
            continue
        source = producers.get(moved.inputs[0])
        before = None if source is None or isinstance(source, Reshape) else _before(node, moved, source.shape)
        if before is not None:
            after = replace(moved, inputs=(before.output,), output=node.output)
            pair = {id(moved): (before, after), id(node): ()}
            return graph.with_nodes(kept for other in graph.nodes for kept in pair.get(id(other), (other,)))
    return None


def absorb_reshapes(graph: Graph) -> Graph:
    """A transposition reads its values in whatever shape they have, and writes the shape that a reshape behind it would give."""
    readers = graph.consumers()
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        source = nodes.get(node.inputs[0]) if node.inputs else None
        if isinstance(node, Transpose) and isinstance(source, Reshape):
            node = replace(node, inputs=source.inputs)
        elif isinstance(node, Reshape) and isinstance(source, Transpose) and is_exclusive(graph, source.output, readers):
            before = nodes.pop(source.output)
            node = replace(before, output=node.output, shape=node.shape)
        nodes[node.output] = node
    return remove_dead_nodes(graph.with_nodes(nodes.values()))


def _before(node: Node, moved: Transpose, shape: tuple[int, ...]) -> Node | None:
    before = replace(node, inputs=moved.inputs, output=f"{node.output}/before", shape=shape)
    if not isinstance(before, Affine):
        return before
    channels = moved.shape[-1]
    if max(before.scale.size, before.offset.size) > 1 and (moved.together % channels or shape[-1] % channels):
        return None  # channels are torn apart
    scale, offset = (for_channels(vector, shape[-1]) for vector in (before.scale, before.offset))
    return None if scale is None or offset is None else replace(before, scale=scale, offset=offset)
