"""What a file has room for: values of two to four axes, the batch included.

A value of the batch alone gets an axis of length 1. More than four axes are in order within the network, where a layer that
reshapes is followed by another: what is left of them when nothing else is to be done is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from kerasq.format.schema import MAX_RANK
from kerasq_convert.errors import ConversionError
from kerasq_convert.graph import Graph, Node, Shape, replace


def at_least_two_axes(graph: Graph) -> Graph:
    """`graph` with shapes (1, 1) in the place of (1,)."""
    inputs = {name: _widened(shape) for name, shape in graph.inputs.items()}
    nodes = tuple(replace(node, shape=_widened(node.shape)) for node in graph.nodes)
    return dataclasses.replace(graph, inputs=inputs, nodes=nodes)


def _widened(shape: Shape) -> Shape:
    return (1, 1) if len(shape) == 1 else shape


def check_axes(before: Graph, after: Graph) -> None:
    """Refuses a network that would need more axes than a file has.

    Args:
        before: The network as it was read, whose layers are named.
        after: What is left of it.

    Raises:
        ConversionError: A value of `after` has more than four axes; all such layers of `before` are listed.
    """
    problems = [f"input {name!r} has {_described(shape)}" for name, shape in before.inputs.items() if len(shape) > MAX_RANK]
    if any(len(node.shape) > MAX_RANK for node in after.nodes):
        problems += [f"layer {layer!r} gives {_described(shape)}" for layer, shape in _many_axes(before.nodes).items()]
    remedy = "put two of them together with Reshape, or in what the network is given"
    if problems:
        raise ConversionError("the network can't be converted", [f"{problem}; {remedy}" for problem in problems])


def _many_axes(nodes: Iterable[Node]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for node in nodes:
        if len(node.shape) > MAX_RANK:
            shapes.setdefault(node.layers[-1], node.shape)
    return shapes


def _described(shape: Shape) -> str:
    return f"{len(shape)} axes, {('batch', *shape[1:])}, where a file has room for {MAX_RANK}".replace("'", "")
