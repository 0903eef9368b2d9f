"""Whatever is computed from one value alone, element by element, is one function of it: one look-up in a table.

x · sigmoid(x), x · relu6(x + 3) / 6, 0.5 x (1 + erf(x / sqrt 2)): TensorFlow spells activations as several operations. Each value
here is followed back to the value that it is a function of; where that takes a curve or a product, the function is composed.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq_convert.errors import ConversionError
from kerasq_convert.graph import (
    UNLIMITED,
    Add,
    Affine,
    Curve,
    Extreme,
    Function,
    Graph,
    Identity,
    Multiply,
    Node,
    Pointwise,
    Shape,
)
from kerasq_convert.passes.prune import remove_dead_nodes


@dataclasses.dataclass(frozen=True)
class _Term:
    """A value as a function of another one, its origin."""

    origin: str
    function: Function
    curved: bool  # it takes a table


def compose_curves(graph: Graph) -> Graph:
    """Element-wise nodes whose inputs are functions of one value, as one `Curve` of that value.

    Raises:
        ConversionError: A node that only a table can compute has several values to read.
    """
    composed = _composed(graph)
    left = _left(composed)
    if left:
        problem = "it compares, selects or divides two activations; use Add, Multiply or Concatenate"
        raise ConversionError("the network can't be converted", [f"layer {node.layers[-1]!r}: {problem}" for node in left])
    return composed


def undecided(graph: Graph) -> list[Node]:
    """The nodes for which `compose_curves` would refuse a graph."""
    return _left(_composed(graph)) if _left(graph) else []


def _left(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node, Pointwise) and not isinstance(node, Extreme)]


def _composed(graph: Graph) -> Graph:
    shapes: dict[str, Shape] = dict(graph.inputs)
    terms: dict[str, _Term] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        shapes[node.output] = node.shape
        terms_read = [terms.get(value, _Term(value, lambda x: x, False)) for value in node.inputs]
        term = _term(node, terms_read) if _plain(node) or isinstance(node, Identity) else None
        if term is None or shapes[term.origin] != node.shape:
            nodes.append(node)
            continue
        terms[node.output] = term
        several = len(terms_read) > 1 or isinstance(node, Pointwise)
        composed = term.curved and (several or (terms_read[0].curved and not isinstance(node, Identity)))
        if not composed:
            nodes.append(node)
            continue
        nodes.append(
            Curve(output=node.output, inputs=(term.origin,), shape=node.shape, layers=node.layers, function=term.function)
        )
    return remove_dead_nodes(graph.with_nodes(nodes))


def _plain(node: Node) -> bool:
    return node.format is None and node.clamp == UNLIMITED


def _term(node: Node, terms: list[_Term]) -> _Term | None:
    """`node` as a function of the origin of all its inputs; None where it is not one."""
    if not terms or any(term.origin != terms[0].origin for term in terms):
        return None
    first, curved = terms[0], any(term.curved for term in terms)
    match node:
        case Curve(function=curve):
            return _Term(first.origin, lambda x: curve(first.function(x)), True)
        case Affine(scale=scale, offset=offset) if scale.size == offset.size == 1:
            s, o = float(scale.flat[0]), float(offset.flat[0])
            return _Term(first.origin, lambda x: first.function(x) * s + o, curved)
        case Identity(clamp=(low, high), format=None):
            return _Term(first.origin, lambda x: np.clip(first.function(x), low, high), curved)
        case Pointwise(function=pointwise):
            return _Term(first.origin, lambda x: pointwise(*(term.function(x) for term in terms)), True)
        case Add():
            return _Term(first.origin, lambda x: first.function(x) + terms[1].function(x), curved)
        case Multiply():
            return _Term(first.origin, lambda x: first.function(x) * terms[1].function(x), True)
        case _:
            return None
