"""BatchNorm, biases and Rescaling fold into the convolution or Dense beside them.

After it: y = (x·w)·m + b followed by y·s + o is y = (x·w)·(m·s) + (b·s + o), whatever the weights are; the scale stays
outside of w, in the multiplier, and is folded into w only when w's format is known (a SIGN kernel can't take it).

Before it: (x·s + o)·w = x·(s·w) + o·w. The offset moves into the bias only where every window is whole: a padding zero is
not o. A scalar s goes to the multiplier and leaves the weights as they are; a vector goes into the weights, but not into
binary ones, which would then take 8 bits each instead of 1, nor into those that were trained on a grid, which they would leave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from kerasq_convert.formats.kernels import binary_scale, grid_of, only_moves
from kerasq_convert.graph import (
    Affine,
    Convolution,
    Dense,
    Graph,
    Identity,
    Limits,
    Node,
    Pool,
    Scaled,
    WeightedNode,
    is_exclusive,
    merge_into_producer,
    replace,
    until_stable,
)
from kerasq_convert.passes.pairs import exclusive_pairs


def affine_before_pooling(graph: Graph) -> Graph:
    """An affine node after the pooling of a convolution's result moves before it, to become part of the convolution.

    An average of y·s + o is that of y, times s, plus o; a maximum is so where no s is negative.
    """
    return until_stable(graph, _swap_one)


def _swap_one(graph: Graph) -> Graph | None:
    producers, readers = graph.producers(), graph.consumers()
    for node, pool in _affine_pairs(graph):
        source = producers.get(pool.inputs[0])
        if (
            isinstance(pool, Pool)
            and (pool.average or np.all(node.scale >= 0))
            and isinstance(source, WeightedNode)
            and is_exclusive(graph, source.output, readers)
            and source.is_plain
        ):
            before = replace(node, inputs=pool.inputs, output=f"{node.output}/before", shape=source.shape)
            after = replace(pool, inputs=(before.output,), output=node.output, layers=_joined(pool, node))
            pair = {id(pool): (before, after), id(node): ()}
            graph = dataclasses.replace(
                graph, scaled={**graph.scaled, before.output: Scaled(source.output, node.scale, node.offset)}
            )
            return graph.with_nodes(kept for other in graph.nodes for kept in pair.get(id(other), (other,)))
    return None


def fold_affine_into_producers(graph: Graph) -> Graph:
    """An affine node that alone reads a convolution or Dense becomes part of it."""
    return until_stable(graph, _fold_one)


def _fold_one(graph: Graph) -> Graph | None:
    for node, producer in _affine_pairs(graph):
        if isinstance(producer, WeightedNode):
            merged = replace(producer.scaled(node.scale, node.offset), layers=_joined(producer, node))
            return merge_into_producer(graph, producer, merged, node)
    return None


def compose_affine(graph: Graph) -> Graph:
    """Two affine nodes in a row become one."""
    return until_stable(graph, _compose_one)


def _compose_one(graph: Graph) -> Graph | None:
    for node, first in _affine_pairs(graph):
        if isinstance(first, Affine):
            scale, offset = first.scale * node.scale, first.offset * node.scale + node.offset
            merged = replace(first, scale=scale, offset=offset, layers=_joined(first, node))
            return merge_into_producer(graph, first, merged, node)
    return None


def _affine_pairs(graph: Graph) -> Iterator[tuple[Affine, Node]]:
    """Each affine node with its producer, where that has no other reader, no clamp and no format."""
    for producer, node in exclusive_pairs(graph):
        if isinstance(node, Affine) and producer.is_plain:
            yield node, producer


def fold_affine_through_clamps(graph: Graph) -> Graph:
    """An affine node after the clamp of a convolution or Dense becomes part of that, where no reader could take it.

    A clamp to [a, b], then times s, plus o, is one to the range between a·s + o and b·s + o of y·s + o. So a hard sigmoid,
    `relu6(x + 3) / 6`, is one operator.
    """
    return until_stable(graph, _fold_one_through)


def _fold_one_through(graph: Graph) -> Graph | None:
    producers, readers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        clamp = producers.get(node.inputs[0])
        source = producers.get(clamp.inputs[0]) if isinstance(clamp, Identity) and clamp.format is None else None
        if not isinstance(node, Affine) or clamp is None or not isinstance(source, WeightedNode) or not source.is_plain:
            continue
        limits = _scaled_clamp(clamp.clamp, node)
        if limits is None or not all(is_exclusive(graph, value, readers) for value in (source.output, clamp.output)):
            continue
        before = replace(source.scaled(node.scale, node.offset), output=f"{node.output}/before")
        after = replace(clamp, inputs=(before.output,), output=node.output, layers=_joined(clamp, node), clamp=limits)
        places = {id(source): (before,), id(clamp): (after,), id(node): ()}
        scaled = {**graph.scaled, before.output: Scaled(source.output, node.scale, node.offset)}
        graph = dataclasses.replace(graph, scaled=scaled)
        return graph.with_nodes(kept for other in graph.nodes for kept in places.get(id(other), (other,)))
    return None


def _scaled_clamp(clamp: Limits, node: Affine) -> Limits | None:
    """The clamp after an affine node that does what `clamp` did before it; `None` where channels would differ."""
    if not np.any(node.offset) and np.all(node.scale > 0) and all(limit == 0 or np.isinf(limit) for limit in clamp):
        return clamp
    scale, offset = (np.unique(part) for part in (node.scale, node.offset))
    if scale.size > 1 or offset.size > 1 or scale[0] == 0:
        return None
    low, high = sorted(float(limit * scale[0] + offset[0]) for limit in clamp)
    return low, high


def fold_affine_forward(graph: Graph) -> Graph:
    """An affine node moves into the convolutions and Dense layers that read it, if all its readers can take it."""
    for node in graph.nodes:
        if not isinstance(node, Affine) or not node.is_plain or node.output in graph.outputs.values():
            continue
        readers = graph.consumers()[node.output]
        taken = {id(reader): _absorb(node, reader) for reader in readers}
        if readers and all(taken.values()):
            graph = graph.with_nodes(taken.get(id(other)) or other for other in graph.nodes if other is not node)
    return graph


def _joined(first: Node, second: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first.layers, *second.layers)))


def _is_trained(kernel: np.ndarray) -> bool:
    """Whether quantizers of the network made these weights what they are; not if they only move values."""
    return binary_scale(kernel) is not None or (grid_of(kernel) is not None and not only_moves(kernel))


def _absorb(affine: Affine, reader: Node) -> WeightedNode | None:
    """`reader` reading the affine node's input instead, or None if it can't."""
    axes: tuple[int, ...]
    is_uniform = bool(np.all(affine.scale == affine.scale.flat[0]))
    if not is_uniform and isinstance(reader, WeightedNode) and _is_trained(reader.kernel):
        return None
    if isinstance(reader, Convolution):
        if np.any(affine.offset) and any(reader.padding):
            return None
        per_group = reader.kernel.shape[-1]
        axes, channels = (1, 2, 3), per_group * reader.groups
    elif isinstance(reader, Dense):  # reads its input flattened, the channels over and over
        per_group = channels = reader.kernel.shape[-1]
        axes = (1,)
    else:
        return None
    groups = channels // per_group
    # Row g of these is what group g of the outputs reads.
    scale = np.resize(affine.scale, channels).reshape(groups, per_group)
    offset = np.resize(affine.offset, channels).reshape(groups, per_group)
    group_of_output = np.arange(len(reader.kernel)) // (len(reader.kernel) // groups)
    shape = (len(reader.kernel), *(1,) * (len(axes) - 1), per_group)
    added = np.sum(reader.kernel * offset[group_of_output].reshape(shape), axis=axes, dtype=np.float64)
    absorbed = replace(reader, inputs=affine.inputs, layers=_joined(affine, reader))
    multiplier = 1.0 if reader.multiplier is None else reader.multiplier
    if np.any(added):
        absorbed = replace(absorbed, bias=added * multiplier + (0.0 if reader.bias is None else reader.bias))
    if is_uniform:
        multiplier = np.broadcast_to(multiplier * affine.scale.flat[0], len(reader.kernel))
        return replace(absorbed, multiplier=None if np.all(multiplier == 1) else multiplier)
    return replace(absorbed, kernel=reader.kernel * scale[group_of_output].reshape(shape))
