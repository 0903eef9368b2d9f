"""What computes element by element is the same before a transposition as after it; before, it meets the convolution.

A transposed convolution is a convolution, a transposition where it has strides along both axes, and a crop where its blocks reach
beyond its output: its bias, BatchNorm and activation belong to the convolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kerasq.format.schema import MAX_RANK
from kerasq_convert.graph import (
    Add,
    Affine,
    ArgMax,
    Crop,
    Curve,
    Gather,
    Graph,
    Identity,
    Multiply,
    Node,
    Reshape,
    Scaled,
    Shape,
    Transpose,
    is_exclusive,
    replace,
    until_stable,
)
from kerasq_convert.passes.prune import remove_dead_nodes
from kerasq_convert.passes.reshapes import for_channels


def sink_transposes(graph: Graph) -> Graph:
    """Element-wise nodes before the transposition, or the crop of one, whose result only they read."""
    return until_stable(graph, _sink_one)


def cancel_transposes(graph: Graph) -> Graph:
    """`graph` without transpositions that undo each other, with nothing but reshapes between them."""
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        source = producers.get(node.inputs[0])
        while isinstance(source, Reshape):
            source = producers.get(source.inputs[0])
        if (
            isinstance(node, Transpose)
            and isinstance(source, Transpose)
            and (node.sizes, node.together) == (source.sizes[::-1], source.together)
        ):
            node = Reshape(output=node.output, inputs=source.inputs, shape=node.shape, layers=node.layers)
            producers[node.output] = node
        nodes.append(node)
    return remove_dead_nodes(graph.with_nodes(nodes))


def _sink_one(graph: Graph) -> Graph | None:
    producers, readers = graph.producers(), graph.consumers()
    shapes = dict(graph.inputs) | {node.output: node.shape for node in graph.nodes}
    for node in graph.nodes:
        if isinstance(node, Add | Multiply):
            together = _before_both(node, [producers.get(value) for value in node.inputs], shapes)
            if together is not None:
                graph = dataclasses.replace(graph, scaled={**graph.scaled, together[0].output: Scaled(node.output)})
                return graph.with_nodes(kept for other in graph.nodes for kept in (together if other is node else (other,)))
        if not isinstance(node, Affine | Identity | Curve):
            continue
        moved = producers.get(node.inputs[0])
        if not isinstance(moved, Transpose | Crop) or not is_exclusive(graph, moved.output, readers):
            continue
        source = producers.get(moved.inputs[0])
        if isinstance(moved, Crop):
            before = _before_crop(node, moved, producers)
        else:
            before = None if source is None or isinstance(source, Reshape) else _before(node, moved, source.shape)
        if before is not None:
            layers = (*moved.layers, *node.layers) if isinstance(moved, Crop) else moved.layers  # what is cut is what they return
            after = replace(moved, inputs=(before.output,), output=node.output, layers=tuple(dict.fromkeys(layers)))
            graph = dataclasses.replace(graph, scaled={**graph.scaled, before.output: Scaled(node.output)})
            pair = {id(moved): (before, after), id(node): ()}
            return graph.with_nodes(kept for other in graph.nodes for kept in pair.get(id(other), (other,)))
    return None


def _before_both(node: Node, sources: list[Node | None], shapes: dict[str, Shape]) -> tuple[Node, Node] | None:
    """A sum or product of two values that were transposed alike, and its transposition."""
    first, *rest = sources
    if not isinstance(first, Transpose):
        return None
    shape = shapes[first.inputs[0]]
    for other in rest:
        alike = isinstance(other, Transpose) and (other.sizes, other.together) == (first.sizes, first.together)
        if other is None or not alike or shapes[other.inputs[0]] != shape:
            return None
    inputs = tuple(source.inputs[0] for source in sources if source is not None)
    before = replace(node, inputs=inputs, output=f"{node.output}/before", shape=shape)
    return before, replace(first, inputs=(before.output,), output=node.output, shape=node.shape)


def absorb_reshapes(graph: Graph) -> Graph:
    """A transposition reads its values in whatever shape they have, and writes the shape that a reshape behind it would give.

    So does a look-up with its numbers and its rows, and an argmax writes what it gives in any shape. Where several reshapes
    read what has more axes than a file has room for, it has the shape of the first of them.
    """
    readers = graph.consumers()
    shown = set(graph.outputs.values())
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        source = nodes.get(node.inputs[0]) if node.inputs else None
        if isinstance(node, Transpose | Gather) and isinstance(source, Reshape):
            node = replace(node, inputs=source.inputs)
        elif (
            isinstance(node, Reshape)
            and isinstance(source, Transpose | Gather | ArgMax)
            and is_exclusive(graph, source.output, readers)
        ):
            before = nodes.pop(source.output)
            node = replace(before, output=node.output, shape=node.shape)
        if isinstance(node, Transpose | Gather | ArgMax) and len(node.shape) > MAX_RANK and node.output not in shown:
            reshapes = [reader for reader in readers[node.output] if isinstance(reader, Reshape)]
            if reshapes and len(reshapes) == len(readers[node.output]):
                node = replace(node, shape=reshapes[0].shape)
        nodes[node.output] = node
    return remove_dead_nodes(graph.with_nodes(nodes.values()))


def _before_crop(node: Node, crop: Crop, producers: Mapping[str, Node]) -> Node | None:
    """A node that computes what is cut off, too, where that is little: the rest of a block of pixels."""
    source = cut = producers.get(crop.inputs[0])
    while isinstance(source, Affine | Identity | Curve):  # those that went before it
        source = producers.get(source.inputs[0])
    if cut is None or not isinstance(source, Transpose | Reshape):
        return None
    return replace(node, inputs=crop.inputs, output=f"{node.output}/before", shape=cut.shape)


def _before(node: Node, moved: Transpose, shape: tuple[int, ...]) -> Node | None:
    before = replace(node, inputs=moved.inputs, output=f"{node.output}/before", shape=shape)
    if not isinstance(before, Affine):
        return before
    channels = moved.shape[-1]
    if max(before.scale.size, before.offset.size) > 1 and (moved.together % channels or shape[-1] % channels):
        return None  # channels are torn apart
    scale, offset = (for_channels(vector, shape[-1]) for vector in (before.scale, before.offset))
    return None if scale is None or offset is None else replace(before, scale=scale, offset=offset)
