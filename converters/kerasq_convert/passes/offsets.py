"""Activations stored with an offset that nobody sees, so that they are nowhere negative.

What a swish, hard swish or GELU gives reaches 10 on one side and -0.3 on the other: a signed format hardly uses half of its
levels. y + c is unsigned, and costs nothing on the device wherever c can be put into what computes y, a table or a bias, and
taken out of what reads it: the table of another function, or the bias of a convolution or Dense layer, as

    (x + c)·w + b - c·sum(w) = x·w + b

where padding counts as c, the *zero* of the operator (NUMERICS.md section 3). A product subtracts its zero. What only passes
values on (pooling, a ReLU, moved values) hands an offset through; a sum has those of its terms together, parts of a concatenation
the same one. Inputs and outputs of the network have none, nor what a quantizer of the network rounds, nor whatever is not named
here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq_convert.graph import (
    UNLIMITED,
    Add,
    Concat,
    Convolution,
    Curve,
    Function,
    Graph,
    Identity,
    Multiply,
    Node,
    Opaque,
    Pool,
    WeightedNode,
    moves_values,
    replace,
)
from kerasq_convert.network import Network
from kerasq_convert.passes.free import Form, Free

Chosen = Mapping[int, float]  # the offset of each class


class Offsets(Free):
    """What offsets the values of a graph may have: that of a value is the sum of some classes (free.py).

    Attributes:
        forms: Of every value.
    """

    def __init__(self, graph: Graph):
        super().__init__()
        self.forms: dict[str, Form] = dict.fromkeys(graph.inputs, ())
        self.walk(graph)

    def look_at(self, node: Node) -> None:
        self.forms[node.output] = self._form_of(node)

    def forms_of(self, value: str) -> list[Form]:
        return [self.form_of(value)]

    def form_of(self, value: str) -> Form:
        """The form of a value, in terms of the classes that are left."""
        return self.form(self.forms[value])

    def of(self, value: str, chosen: Chosen) -> float:
        """The offset of a value."""
        return float(sum(chosen.get(number, 0.0) for number in self.form_of(value)))

    def _form_of(self, node: Node) -> Form:
        if _passes(node):
            return self.forms[node.inputs[0]]
        match node:
            case WeightedNode() if not moves_values(node):
                return self.new()
            case Curve():
                return self.new()
            case Add() if node.format is None:
                return tuple(number for value in node.inputs for number in self.forms[value])
            case Concat() if node.format is None and not isinstance(node, Opaque):
                self.join_values(node.inputs)
                return self.forms[node.inputs[0]]
            case Multiply():
                self.fix_value(node.inputs[1])
                return ()
        for value in node.inputs:
            self.fix_value(value)
        return ()


def _passes(node: Node) -> bool:
    """Whether a node passes its input's values on, but for a clamp; a frame would be of zeros."""
    if node.format is not None or (isinstance(node, Convolution) and any(node.padding)):
        return False
    return moves_values(node) or isinstance(node, Pool | Identity)


def with_offsets(graph: Graph, offsets: Offsets, chosen: Chosen) -> Graph:
    """`graph` with its values stored with offsets."""

    def shifted(node: Node) -> Node:
        sources, result = [offsets.of(value, chosen) for value in node.inputs], offsets.of(node.output, chosen)
        if result and node.clamp != UNLIMITED:
            node = replace(node, clamp=(node.clamp[0] + result, node.clamp[1] + result))
        if not any(sources) and not result:
            return node
        match node:
            case WeightedNode() if not moves_values(node):
                added = result - sum(sources[1:])
                return replace(node, zero=sources[0], offset=result, bias=_sum(node, added) if added else node.bias)
            case Curve():
                return replace(node, function=shifted_function(node.function, sources[0], result))
            case Multiply():
                return replace(node, zero=sources[0])
        return node

    values = {value: offsets.of(value, chosen) for value in offsets.forms}
    shifted_values = {value: offset for value, offset in values.items() if offset}
    return dataclasses.replace(graph, nodes=tuple(map(shifted, graph.nodes)), offsets=shifted_values)


def _sum(node: WeightedNode, added: float) -> np.ndarray:
    return np.broadcast_to((0.0 if node.bias is None else node.bias) + added, len(node.kernel))


def shifted_function(function: Function, source: float, result: float) -> Function:
    """The function of a value that is stored with an offset `source`, its own values with `result`."""
    return lambda values: function(values - source) + result


def told_offsets(offsets: Offsets, text: str, source: str, where: str) -> dict[int, float]:
    """The offset of every class, as a file's metadata or settings tell them: numbers with commas between them.

    Raises:
        ConversionError: They are not this network's.
    """
    return offsets.told(f"offsets in {where}", text, source, float, lambda offset: 0 <= offset < float("inf"))


def as_offset(network: Network, numbers: str) -> Network:
    """The network with the offsets that the metadata of a file made of it tell, its activations scaled already.

    Raises:
        ConversionError: They are not this network's.
    """
    offsets = Offsets(network.graph)
    return offset_with(network, offsets, told_offsets(offsets, numbers, "the float network", "the file's metadata"))


def offset_with(network: Network, offsets: Offsets, chosen: Chosen) -> Network:
    """The network with offsets."""
    numbers = tuple(chosen[number] for number in offsets.roots())
    return dataclasses.replace(network, graph=with_offsets(network.graph, offsets, chosen), offset=numbers)
