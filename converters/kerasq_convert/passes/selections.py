"""Channels that are selected, reversed or split: for nothing where a kernel beside can do it, else by an operator.

After a kernel, a selection takes some of the kernel's outputs. Before one, it puts the kernel's inputs in other places, with
zeros for the channels that are left out. What computes each channel by itself is the same before a selection as after it, so
a selection need not be beside the kernel that takes it in.

What is left becomes a crop of a row of channels where they lie evenly spaced, and else a 1x1 convolution of zeros and ones.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kerasq_convert.formats.kernels import binary_scale
from kerasq_convert.graph import (
    Add,
    Affine,
    Concat,
    Convolution,
    Crop,
    Curve,
    Dense,
    Frame,
    Graph,
    Identity,
    Node,
    Pool,
    Reshape,
    Select,
    Shape,
    WeightedNode,
    is_exclusive,
    progression,
    replace,
    until_stable,
)
from kerasq_convert.passes.prune import remove_dead_nodes

# Weights that kernels may grow by to take in a selection: as an operator of its own it would cost the file as many bytes.
WORTH_AN_OPERATOR = 256
MAX_ONES = 1024  # weights of a 1x1 convolution for what crops could do as well, with more operators
MAX_RUNS = 5  # crops that one CONCAT sets side by side


def fold_selections(graph: Graph) -> Graph:
    """`graph` with selections in the kernels before or after them, where there are such."""
    return until_stable(graph, lambda current: _Folding(current).fold_one())


class _Folding:
    """One graph, in which one selection is to be folded."""

    def __init__(self, graph: Graph):
        self.graph, self.producers, self.readers = graph, graph.producers(), graph.consumers()
        self.shapes: dict[str, Shape] = dict(graph.inputs) | {node.output: node.shape for node in graph.nodes}
        self.shown = set(graph.outputs.values())

    def fold_one(self) -> Graph | None:
        for node in self.graph.nodes:
            if isinstance(node, Select):
                changes = self._composed(node) or self._into_producer(node) or self._into_readers(node) or self._below(node)
                if changes is not None:
                    nodes = (new for old in self.graph.nodes for new in changes.get(id(old), [old]))
                    return remove_dead_nodes(self.graph.with_nodes(nodes))
        return None

    def _composed(self, node: Select) -> dict[int, list[Node]] | None:
        """A selection of what was selected."""
        first = self.producers.get(node.inputs[0])
        if not isinstance(first, Select):
            return None
        return {
            id(node): [replace(node, inputs=first.inputs, channels=first.channels[node.channels], layers=_joined(first, node))]
        }

    def _into_producer(self, node: Select) -> dict[int, list[Node]] | None:
        """What is selected of a value is computed by nodes of its own, where a kernel comes to have fewer rows by it."""
        producer, siblings = self.producers.get(node.inputs[0]), self.readers[node.inputs[0]]
        selections = [reader for reader in siblings if isinstance(reader, Select)]
        if producer is None or producer.output in self.shown or len(selections) < len(siblings):
            return None
        taken = np.concatenate([selection.channels for selection in selections])
        if len(np.unique(taken)) < len(taken) or not self._ends_at_kernel(producer):  # nothing is computed twice
            return None
        return {id(selection): self._selected(producer, selection) for selection in selections}

    def _ends_at_kernel(self, node: Node) -> bool:
        """Whether `node`, or all that it alone reads channel by channel, and so on, are kernels whose rows can be selected."""
        if _reads_all(node):
            return True
        if not self._is_channelwise(node) and not isinstance(node, Add):
            return False
        sources = [self.producers[value] for value in node.inputs if value in self.producers]
        exclusive = all(is_exclusive(self.graph, value, self.readers) for value in node.inputs)
        return exclusive and len(sources) == len(node.inputs) and all(map(self._ends_at_kernel, sources))

    def _is_channelwise(self, node: Node) -> bool:
        """Whether each channel of the output comes from the same channel of the one input."""
        channels = node.shape[-1]
        if len(node.inputs) != 1 or self.shapes[node.inputs[0]][-1] != channels:
            return False
        if isinstance(node, Convolution):
            return node.groups == channels
        return isinstance(node, Affine | Identity | Curve | Pool | Frame)

    def _selected(self, producer: Node, selection: Select) -> list[Node]:
        """The nodes that compute what a selection takes of its producer's channels, and nothing else."""
        result = {"output": selection.output, "shape": selection.shape, "layers": _joined(producer, selection)}
        if _reads_all(producer):
            return [replace(_of_channels(producer, selection.channels), **result)]
        before: list[Node] = []
        for number, value in enumerate(producer.inputs):
            name, shape = f"{selection.output}/before{number or ''}", (*self.shapes[value][:-1], len(selection.channels))
            before.append(replace(selection, output=name, inputs=(value,), shape=shape))
        read = tuple(node.output for node in before)
        return [*before, replace(_of_channels(producer, selection.channels), inputs=read, **result)]

    def _into_readers(self, node: Select) -> dict[int, list[Node]] | None:
        """The kernels that read a selection read its input instead, if all its readers are kernels and hardly grow."""
        readers, channels = self.readers[node.output], self.shapes[node.inputs[0]][-1]
        if node.output in self.shown or not readers or not all(_reads_all(reader) for reader in readers):
            return None
        kernels = [reader.kernel for reader in readers if isinstance(reader, WeightedNode)]
        grown = sum(kernel.size // len(node.channels) * (channels - len(node.channels)) for kernel in kernels)
        permuted = len(np.unique(node.channels)) == channels == len(node.channels)
        if not permuted and (grown > WORTH_AN_OPERATOR or any(binary_scale(kernel) is not None for kernel in kernels)):
            return None
        return {id(reader): [_reading_all(reader, node, channels)] for reader in readers if isinstance(reader, WeightedNode)}

    def _below(self, node: Select) -> dict[int, list[Node]] | None:
        """A permutation after the node that alone reads it, where that brings it nearer to a kernel."""
        channels = self.shapes[node.inputs[0]][-1]
        if len(np.unique(node.channels)) != channels or len(node.channels) != channels:
            return None
        value = node.output
        while is_exclusive(self.graph, value, self.readers):
            (reader,) = self.readers[value]
            if _reads_all(reader):
                break
            if not self._is_channelwise(reader):
                return None
            value = reader.output
        else:
            return None
        (reader,) = self.readers[node.output]
        # Channel c of what follows is channel node.channels[c] of the input: its constants go there.
        moved = _of_channels(reader, np.argsort(node.channels))
        before = replace(moved, inputs=node.inputs, output=f"{reader.output}/before")
        after = replace(node, inputs=(before.output,), output=reader.output, shape=reader.shape)
        return {id(node): [], id(reader): [before, after]}


def _joined(first: Node, second: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first.layers, *second.layers)))


def _reads_all(node: Node) -> bool:
    """Whether a node's kernel has a row for each channel that it computes, and columns for all that it reads."""
    return isinstance(node, WeightedNode) and len(node.inputs) == 1 and (not isinstance(node, Convolution) or node.groups == 1)


def _of_channels(node: Node, channels: np.ndarray) -> Node:
    """A node with those of its constants that belong to some of its channels."""

    def of(vector: np.ndarray | None) -> np.ndarray | None:
        return vector if vector is None or vector.size == 1 else vector[channels]

    if isinstance(node, WeightedNode):
        node = replace(node, kernel=node.kernel[channels], multiplier=of(node.multiplier), bias=of(node.bias))
        return replace(node, groups=len(channels)) if isinstance(node, Convolution) and node.groups > 1 else node
    if isinstance(node, Affine):
        return replace(node, scale=of(node.scale), offset=of(node.offset))
    return replace(node, shape=(*node.shape[:-1], len(channels)))


def _reading_all(reader: WeightedNode, selection: Select, channels: int) -> WeightedNode:
    """A reader of a selection that reads the selection's input: weights in the places of what they belong to, else zeros."""
    kernel = reader.kernel
    pixels = kernel.reshape(len(kernel), -1, len(selection.channels))
    spread = np.zeros((*pixels.shape[:2], channels), kernel.dtype)
    for number, channel in enumerate(selection.channels):
        spread[..., channel] += pixels[..., number]
    shape = (len(kernel), -1) if isinstance(reader, Dense) else (*kernel.shape[:-1], channels)
    return replace(reader, inputs=selection.inputs, kernel=spread.reshape(shape), layers=_joined(selection, reader))


def lower_selections(graph: Graph) -> Graph:
    """Every `Select` as crops or as a convolution."""
    shapes: dict[str, Shape] = dict(graph.inputs) | {node.output: node.shape for node in graph.nodes}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _Lowering(node, shapes[node.inputs[0]]).run() if isinstance(node, Select) else [node]
    return graph.with_nodes(nodes)


@dataclasses.dataclass
class _Lowering:
    """The nodes that compute one selection."""

    node: Select
    source: Shape

    def run(self) -> list[Node]:
        runs = _runs(self.node.channels)
        crops = len(runs) == 1 or (len(runs) <= MAX_RUNS and self.node.channels.size * self.source[-1] > MAX_ONES)
        if not crops:
            return self._convolved()
        if len(runs) == 1:
            return self._cropped(runs[0], self.node.output)
        parts = [f"{self.node.output}/run{number}" for number in range(len(runs))]
        nodes = [node for run, part in zip(runs, parts, strict=True) for node in self._cropped(run, part)]
        return [*nodes, Concat(output=self.node.output, inputs=tuple(parts), shape=self.node.shape, layers=self.node.layers)]

    def _convolved(self) -> list[Node]:
        """A 1x1 convolution with a one for each output channel."""
        channels, count = self.source[-1], len(self.node.channels)
        pixels = math.prod(self.source[:-1])
        kernel = np.zeros((count, 1, 1, channels), np.float32)
        kernel[np.arange(count), 0, 0, self.node.channels] = 1
        common: dict[str, Any] = {"layers": self.node.layers, "layer": self.node.layers[-1], "kernel": kernel}
        if len(self.source) == 4:
            return [Convolution(output=self.node.output, inputs=self.node.inputs, shape=self.node.shape, **common)]
        name = self.node.output
        return [
            self._reshape(f"{name}/in", self.node.inputs[0], (1, 1, pixels, channels)),
            Convolution(output=f"{name}/out", inputs=(f"{name}/in",), shape=(1, 1, pixels, count), **common),
            self._reshape(name, f"{name}/out", self.node.shape),
        ]

    def _cropped(self, run: np.ndarray, output: str) -> list[Node]:
        """Evenly spaced channels as a crop of the columns of a picture with a row for each pixel.

        A column has as many channels as fit into what is selected and what is left before it and behind it, side by side.
        """
        channels, count, step = self.source[-1], len(run), progression(run) or 1
        together = math.gcd(channels, int(run[0]), count) if step == 1 else 1
        pixels = math.prod(self.source[:-1])
        first, columns, taken = int(run[0]) // together, channels // together, count // together
        frame = (0, 0, first, columns - 1 - (first + (taken - 1) * step))
        cut = Crop(
            output=f"{output}/cut",
            inputs=(f"{output}/columns",),
            shape=(1, pixels, taken, together),
            frame=frame,
            strides=(1, step),
            layers=self.node.layers,
        )
        shape = (*self.source[:-1], count)
        return [
            self._reshape(f"{output}/columns", self.node.inputs[0], (1, pixels, columns, together)),
            cut,
            self._reshape(output, cut.output, shape),
        ]

    def _reshape(self, output: str, value: str, shape: Shape) -> Reshape:
        return Reshape(output=output, inputs=(value,), shape=shape, layers=self.node.layers)


def _runs(channels: np.ndarray) -> list[np.ndarray]:
    """The channels in runs of even, forward steps, each as long as can be."""
    runs: list[np.ndarray] = []
    start = 0
    while start < len(channels):
        end = start + 1
        while end < len(channels) and progression(channels[start : end + 1]) is not None:
            end += 1
        runs.append(channels[start:end])
        start = end
    return runs
