"""The larger or smaller of values, element by element: they lie side by side, and pooling takes one of each."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from kerasq_convert.graph import (
    Affine,
    Concat,
    Extreme,
    Graph,
    Node,
    Pool,
    Reshape,
    Scaled,
    Shape,
    is_exclusive,
    replace,
    until_stable,
)
from kerasq_convert.operators import MAX_JOINED


def lower_extremes(graph: Graph) -> Graph:
    """Every `Extreme` as a CONCAT of what it reads, channels beside channels, and a maximum over these.

    CONCAT brings all of them to one format, and rounding is monotone: the result is that of rounding the largest. The smallest
    is what is largest when all are negated, negated.
    """
    graph = until_stable(graph, _join_one)
    scaled = dict(graph.scaled)
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _lowered(node, scaled) if isinstance(node, Extreme) else [node]
    return dataclasses.replace(graph, nodes=tuple(nodes), scaled=scaled)


def _join_one(graph: Graph) -> Graph | None:
    """The largest of a largest and others is that of all of them."""
    producers, readers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        for value in node.inputs if isinstance(node, Extreme) else ():
            first = producers.get(value)
            alike = isinstance(first, Extreme) and isinstance(node, Extreme) and first.largest == node.largest
            if not alike or first is None or not is_exclusive(graph, value, readers):
                continue
            inputs = (*first.inputs, *(other for other in node.inputs if other != value))
            if len(inputs) <= MAX_JOINED:
                joined = replace(node, inputs=inputs, layers=tuple(dict.fromkeys((*first.layers, *node.layers))))
                return graph.with_nodes(joined if other is node else other for other in graph.nodes if other is not first)
    return None


def _lowered(node: Extreme, scaled: dict[str, Scaled]) -> list[Node]:
    name, shape, layers, count = node.output, node.shape, node.layers, len(node.inputs)
    *before, channels = shape
    rows, columns = (before[1], before[2]) if len(shape) == 4 else (1, math.prod(before))
    values = node.inputs if node.largest else tuple(f"{name}/negated{number}" for number in range(count))
    nodes: list[Node] = [] if node.largest else [_negated(*pair, shape, layers) for pair in zip(node.inputs, values, strict=True)]
    pooled = name if node.largest else f"{name}/largest"
    side_by_side = (*before, channels * count)
    image, result = (1, rows, columns * count, channels), (1, rows, columns, channels)
    window = (1, count)
    nodes += [
        Concat(output=f"{name}/joined", inputs=values, shape=side_by_side, layers=layers),
        Reshape(output=f"{name}/pairs", inputs=(f"{name}/joined",), shape=image, layers=layers),
        Pool(
            output=f"{name}/pooled",
            inputs=(f"{name}/pairs",),
            shape=result,
            layers=layers,
            average=False,
            window=window,
            strides=window,
        ),
        Reshape(output=pooled, inputs=(f"{name}/pooled",), shape=shape, layers=layers),
    ]
    if not node.largest:
        nodes.append(_negated(pooled, name, shape, layers))
        scaled[pooled] = Scaled(name, np.array(-1.0))
        scaled |= {negated: Scaled(value, np.array(-1.0)) for value, negated in zip(node.inputs, values, strict=True)}
    return nodes


def _negated(value: str, output: str, shape: Shape, layers: tuple[str, ...]) -> Affine:
    return Affine(output=output, inputs=(value,), shape=shape, layers=layers, scale=np.array(-1.0), offset=np.array(0.0))
