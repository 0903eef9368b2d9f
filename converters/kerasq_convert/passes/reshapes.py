"""Reshapes that nothing needs: two in a row are one, one to the shape that is there is none, Dense reads its input flattened.

A sequence is an image of height 1, and a Dense on its last axis a convolution: the front end puts a reshape before and one
after each. What computes element by element is the same before a reshape as after it; moved before, it meets the convolution
that it can become part of, and the reshapes meet each other and vanish.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq_convert.graph import Add, Affine, Curve, Dense, Graph, Identity, Multiply, Node, Reshape, Scaled, Select, replace
from kerasq_convert.passes.prune import remove_dead_nodes


def sink_reshapes(graph: Graph) -> Graph:
    """Reshapes after the element-wise nodes that read them, each reading what no reshape computes."""
    shapes = dict(graph.inputs)
    reshaped: dict[str, str] = {}  # the value that a reshape reads
    same: dict[str, str] = {}
    nodes: list[Node] = []
    shown = set(graph.outputs.values())
    scaled = dict(graph.scaled)
    for node in graph.nodes:
        node = replace(node, inputs=tuple(same.get(value, value) for value in node.inputs))
        shapes[node.output] = node.shape
        if not isinstance(node, Reshape):
            moved = _moved_before(node, reshaped, shapes)
            if moved is None:
                nodes.append(node)
                continue
            nodes.append(moved)
            scaled[moved.output] = Scaled(node.output)
            shapes[moved.output] = moved.shape
            node = Reshape(output=node.output, inputs=(moved.output,), shape=node.shape, layers=node.layers)
        source = reshaped.get(node.inputs[0], node.inputs[0])
        if shapes[source] == node.shape and node.output not in shown:
            same[node.output] = source
            continue
        reshaped[node.output] = source
        nodes.append(replace(node, inputs=(source,)))
    return remove_dead_nodes(dataclasses.replace(graph, nodes=tuple(nodes), scaled=scaled))


def _moved_before(node: Node, reshaped: dict[str, str], shapes: dict[str, tuple[int, ...]]) -> Node | None:
    """An element-wise node reading what the reshapes of all its inputs read, if they have one shape; else None."""
    is_moved = isinstance(node, Add | Affine | Curve | Identity | Multiply | Select)
    if not is_moved or any(value not in reshaped for value in node.inputs):
        return None
    sources = tuple(reshaped[value] for value in node.inputs)
    shape = shapes[sources[0]]
    if any(shapes[source] != shape for source in sources):
        return None
    if isinstance(node, Select):
        if shape[-1] != shapes[node.inputs[0]][-1]:
            return None
        shape = (*shape[:-1], node.shape[-1])
    moved = replace(node, inputs=sources, shape=shape, output=f"{node.output}/before")
    if not isinstance(moved, Affine):
        return moved
    scale, offset = (for_channels(vector, shape[-1]) for vector in (moved.scale, moved.offset))
    return None if scale is None or offset is None else replace(moved, scale=scale, offset=offset)


def for_channels(vector: np.ndarray, channels: int) -> np.ndarray | None:
    """A scalar or one value per channel for another number of channels, of which each old one is a whole part."""
    if np.all(vector == vector.flat[0]):
        return vector.flat[0].reshape(())
    return np.tile(vector, channels // vector.size) if channels % vector.size == 0 else None


def flatten_into_dense(graph: Graph) -> Graph:
    """Dense layers read the input of the reshape before them."""
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Dense) and isinstance(producer := producers.get(node.inputs[0]), Reshape):
            node = replace(node, inputs=producer.inputs, layers=(*producer.layers, *node.layers))
        nodes.append(node)
    return remove_dead_nodes(graph.with_nodes(nodes))
