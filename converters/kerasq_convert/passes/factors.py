"""Activations scaled by factors that nobody sees: what a network may store in place of its values.

y · f, for any f > 0, is as good a thing to store as y wherever the factor can be put into what computes it and taken out of what
reads it: the kernel or multiplier of a convolution or Dense layer on either side, the table of a function. What only passes
factors on (a ReLU, pooling, moved values) hands them through; a product has the product of two factors, a concatenation those of
its parts, and where two values are added both must have the same one, as must all that one layer reads, or gives, in several
places. On the device factors cost nothing: kernels, biases and tables have other values. Inputs and outputs of the network keep
factor 1, as do formats that a quantizer of the network demands, kernels without a multiplier that were trained on a grid, and
whatever is not named here.

Classes (free.py) are factors: that of a channel of a value is the product of some of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from kerasq_convert.formats.kernels import binary_scale, grid_of
from kerasq_convert.graph import (
    Add,
    Concat,
    Convolution,
    Curve,
    Dense,
    Frame,
    Gather,
    Graph,
    Identity,
    Limits,
    Multiply,
    Node,
    Pool,
    Reshape,
    WeightedNode,
    moves_values,
    replace,
)
from kerasq_convert.network import Network
from kerasq_convert.passes.equalize import inputs_scaled
from kerasq_convert.passes.free import Form, Free

LARGEST = 512  # of an exponent: 64 octaves
STEPS = 8  # to an octave, in which factors are told: at most a 16th of one from any factor, 0.4 dB of 6

Parts = tuple[tuple[int, Form], ...]  # of a value: numbers of channels, side by side, with their forms


class Classes(Free):
    """What factors the values of a graph may have.

    Attributes:
        parts: Of every value.
    """

    def __init__(self, graph: Graph):
        super().__init__()
        self.parts: dict[str, Parts] = {}
        for value, shape in graph.inputs.items():
            self.parts[value] = ((shape[-1], ()),)
        self.walk(graph)

    def look_at(self, node: Node) -> None:
        self.parts[node.output] = self._parts_of(node)

    def forms_of(self, value: str) -> list[Form]:
        return self.forms(value)

    def forms(self, value: str) -> list[Form]:
        return [self.form(form) for _, form in self.parts[value]]

    def exponents(self, value: str, chosen: Mapping[int, int]) -> np.ndarray:
        """Of each channel."""
        counts, forms = zip(*self.parts[value], strict=True)
        return np.repeat([sum(chosen[number] for number in self.form(form)) for form in forms], counts)

    def _parts_of(self, node: Node) -> Parts:
        channels = node.shape[-1]
        if moves_values(node) or isinstance(node, Pool | Identity):
            return self._passed(node)
        if isinstance(node, WeightedNode) and self._takes(node):
            self.join_values(node.inputs[1:])  # what is added
            return ((channels, self.parts[node.inputs[1]][0][1] if len(node.inputs) > 1 else self.new()),)
        match node:
            case Curve():
                self.join_values(node.inputs)
                return ((channels, self.new()),)
            case Gather() if grid_of(node.kernel) is None:
                self.fix_value(node.inputs[0])
                return ((channels, self.new()),)
            case Add():
                self.join_values(node.inputs)
                return ((channels, self.parts[node.inputs[0]][0][1]),)
            case Multiply():
                for value in node.inputs:
                    self.join_values([value])
                return ((channels, tuple(number for value in node.inputs for number in self.parts[value][0][1])),)
            case Concat():
                if not _is_homogeneous(node.clamp):
                    self.join_values(node.inputs)
                return tuple(part for value in node.inputs for part in self.parts[value])
        for value in node.inputs:
            self.fix_value(value)
        return ((channels, ()),)

    def _passed(self, node: Node) -> Parts:
        """Those of the input of a node that passes values on."""
        (value,) = node.inputs
        parts = self.parts[value]
        keeps_channels = (
            isinstance(node, Pool | Identity | Reshape | Frame) and sum(count for count, _ in parts) == node.shape[-1]
        )
        if keeps_channels and _is_homogeneous(node.clamp):
            return parts
        self.join_values([value])
        return ((node.shape[-1], parts[0][1]),)

    def _takes(self, node: WeightedNode) -> bool:
        """Whether a node can take factors into what it multiplies by. (Signs without a magnitude are to need no multiplier.)"""
        magnitudes = binary_scale(node.kernel)
        if node.multiplier is not None or (magnitudes is not None and np.any(magnitudes != 1)):
            self.join_values(node.inputs[:1])
            return True
        return grid_of(node.kernel) is None and magnitudes is None


def rescale(graph: Graph, classes: Classes, chosen: Mapping[int, int]) -> Graph:
    """`graph` with its values scaled by factors of 2 ** (chosen / STEPS)."""

    def factor(value: str) -> np.ndarray:
        return np.exp2(classes.exponents(value, chosen) / STEPS)

    def rescaled(node: Node) -> Node:
        sources, result = [factor(value) for value in node.inputs], factor(node.output)
        if np.all(result == 1) and all(np.all(source == 1) for source in sources):
            return node
        if not _is_homogeneous(node.clamp):
            node = replace(node, clamp=(node.clamp[0] * float(result[0]), node.clamp[1] * float(result[0])))
        if isinstance(node, WeightedNode) and not moves_values(node):
            return _with_factors(node, sources[0], result)
        if isinstance(node, Gather):
            return replace(node, kernel=node.kernel * result)
        if isinstance(node, Curve):
            return replace(node, function=scaled_function(node.function, float(sources[0][0]), float(result[0])))
        return node

    return graph.with_nodes(map(rescaled, graph.nodes))


def _with_factors(node: WeightedNode, source: np.ndarray, result: np.ndarray) -> WeightedNode:
    """A node that reads values scaled by `source`, and gives them scaled by `result`, a factor for each channel."""
    bias = None if node.bias is None else node.bias * result
    if node.multiplier is not None:  # the kernel may lie on a grid
        return replace(node, multiplier=node.multiplier * (result / source[0]), bias=bias)
    assert isinstance(node, Convolution | Dense)
    kernel = node.kernel  # float32 stays that: kernels are what a conversion's memory goes to
    if np.any(result != 1):
        kernel = kernel * result.astype(kernel.dtype).reshape(-1, *(1,) * (kernel.ndim - 1))
    if np.any(source != 1):
        kernel = inputs_scaled(kernel, node, (1 / source).astype(kernel.dtype))
    return replace(node, kernel=kernel, bias=bias)


def scaled_function(
    function: Callable[[np.ndarray], np.ndarray], source: float, result: float
) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a value that is scaled by `source`, its own values by `result`."""
    return lambda values: function(values / source) * result


def _is_homogeneous(clamp: Limits) -> bool:
    """Whether a factor goes through a clamp as it is."""
    return all(limit == 0 or np.isinf(limit) for limit in clamp)


def told_factors(classes: Classes, text: str, source: str, where: str) -> dict[int, int]:
    """The exponents of all classes, as a file's metadata or settings tell them: numbers with commas between them.

    Raises:
        ConversionError: They are not this network's.
    """
    return classes.told(f"factors in {where}", text, source, int, lambda exponent: abs(exponent) <= LARGEST)


def as_filled(network: Network, exponents: str) -> Network:
    """The network with the factors that the metadata of a file made of it tell.

    Raises:
        ConversionError: They are not this network's.
    """
    classes = Classes(network.graph)
    return filled_with(network, classes, told_factors(classes, exponents, "the float network", "the file's metadata"))


def filled_with(network: Network, classes: Classes, chosen: Mapping[int, int]) -> Network:
    """The network with factors."""
    return dataclasses.replace(network, graph=rescale(network.graph, classes, chosen), filled=tuple(chosen.values()))
