"""Sums of kernels: `x·w + y·u + b`, of which a step of a recurrent layer is made.

What follows such a sum affinely goes into the kernels, for (x·w + y·u)·s + o is x·(w·s) + o + y·(u·s). And where a layer computes
sums of two Dense kernels over and over, its kernels become 1x1 convolutions of one pixel, which take what is added to them as
their addend (kerasq_convert.passes.fuse_additions): one rounding and one operator fewer at every step.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping

import numpy as np

from kerasq_convert.graph import (
    Add,
    Affine,
    Convolution,
    Dense,
    Graph,
    Node,
    Reshape,
    WeightedNode,
    is_exclusive,
    merge_into_producer,
    replace,
    until_stable,
)
from kerasq_convert.passes.pairs import exclusive_pairs
from kerasq_convert.passes.prune import remove_dead_nodes


def fold_constant_terms(graph: Graph) -> Graph:
    """A sum with what is multiplied by zero, as the state before the first step of a recurrent layer is, is the other term.

    What the constant term follows from is then needed no more.
    """
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Add):
            for term, other in (node.inputs, node.inputs[::-1]):
                source = producers.get(term)
                if isinstance(source, Affine) and source.is_plain and not np.any(source.scale):
                    fields = {name: getattr(node, name) for name in ("output", "shape", "layers", "clamp", "format")}
                    node = Affine(**fields, inputs=(other,), scale=np.array(1.0), offset=source.offset)
                    break
        nodes.append(node)
    return remove_dead_nodes(graph.with_nodes(nodes))


def fold_affine_into_sums(graph: Graph) -> Graph:
    """An affine node that alone reads a sum of kernels becomes part of the kernels, its offset of the first."""
    return until_stable(graph, _fold_one)


def _fold_one(graph: Graph) -> Graph | None:
    producers, readers = graph.producers(), graph.consumers()
    for total, node in exclusive_pairs(graph):
        if not isinstance(node, Affine) or not isinstance(total, Add) or not total.is_plain:
            continue
        terms = [term for value in total.inputs if (term := _kernel(graph, value, producers, readers)) is not None]
        if len(terms) < len(total.inputs) and not (terms and np.all(node.scale == 1)):
            continue
        scaled = {id(term): term.scaled(node.scale, node.offset * (term is terms[0])) for term in terms}
        folded = graph.with_nodes(scaled.get(id(other), other) for other in graph.nodes)
        return merge_into_producer(folded, total, replace(total, layers=(*total.layers, *node.layers)), node)
    return None


def dense_sums_as_convolutions(graph: Graph) -> Graph:
    """The Dense kernels of layers that add two of them more than once, as convolutions of one pixel."""
    producers, readers = graph.producers(), graph.consumers()
    sums = collections.Counter[str]()
    for node in graph.nodes:
        if isinstance(node, Add):
            terms = [_kernel(graph, value, producers, readers) for value in node.inputs]
            layers = {term.layer for term in terms if isinstance(term, Dense)}
            sums.update(layers if len(layers) == 1 and all(isinstance(term, Dense) for term in terms) else ())
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _as_convolution(node) if isinstance(node, Dense) and sums[node.layer] > 1 else [node]
    return graph.with_nodes(nodes)


def _as_convolution(node: Dense) -> list[Node]:
    outputs, inputs = node.kernel.shape
    fields = {name: getattr(node, name) for name in ("layers", "clamp", "format", "layer", "multiplier", "bias", "rounded")}
    before = Reshape(output=f"{node.output}/pixel", inputs=node.inputs, shape=(1, 1, 1, inputs), layers=node.layers)
    inner = Convolution(
        output=f"{node.output}/before",
        inputs=(before.output,),
        shape=(1, 1, 1, outputs),
        kernel=node.kernel.reshape(outputs, 1, 1, inputs),
        **fields,
    )
    return [before, inner, Reshape(output=node.output, inputs=(inner.output,), shape=node.shape, layers=node.layers)]


def _kernel(graph: Graph, value: str, producers: Mapping[str, Node], readers: dict[str, list[Node]]) -> WeightedNode | None:
    """The node with a kernel that computes a value for one reader, and neither clamps nor rounds it."""
    producer = producers.get(value)
    if not isinstance(producer, WeightedNode) or len(producer.inputs) > 1 or not producer.is_plain:
        return None
    return producer if is_exclusive(graph, value, readers) else None
