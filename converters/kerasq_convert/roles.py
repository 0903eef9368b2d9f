"""What a tensor of a network is for: its part in computing a value of the graph.

A role is what all stages know a tensor by: the choice of formats, the search, emission and the report. Its name (naming.py) is
for people, for settings and for what a training observed; no stage reads anything out of a name.
"""

from __future__ import annotations

import dataclasses
import enum

from kerasq_convert.graph import Graph, KernelNode, WeightedNode


class Part(enum.StrEnum):
    """What a tensor does for the value of the graph that it belongs to; spelled as names of tensors end."""

    BUFFER = "output"
    """Holds the value."""
    KERNEL = "kernel"
    MULTIPLIER = "multiplier"
    BIAS = "bias"
    TABLE = "table"
    """Of the function that computes the value."""
    EXPONENTIALS = "exp"
    """The table of the softmax that computes the value."""
    EPSILON = "epsilon"
    """Of the normalization that computes the value."""
    MOVED = "moved"
    """Holds the value in its input's format: a step before the buffer."""
    LOOKED_UP = "looked_up"
    """Holds the value in fixed point, where the buffer is FLOAT32."""
    ADDEND = "addend"
    """Holds a term of the sum that is the value, with fewer fractional bits."""


@dataclasses.dataclass(frozen=True)
class Role:
    """The part that a tensor has in computing a value.

    Attributes:
        part: Which part.
        value: The value of the graph.
        term: Of an addend: the place of the term among the inputs of its node.
        made: Whether the converter makes the tensor for itself, where the network has none; two roles that differ in nothing else
            are the same one.
    """

    part: Part
    value: str
    term: int = 0
    made: bool = dataclasses.field(default=False, compare=False)

    @property
    def is_parameter(self) -> bool:
        """Whether settings may name the tensor as a parameter."""
        return self.part in (Part.KERNEL, Part.MULTIPLIER, Part.BIAS)

    @property
    def is_buffer(self) -> bool:
        """Whether settings may name the tensor as a buffer."""
        return self.part is Part.BUFFER


def buffer(value: str) -> Role:
    """Of the activation that holds a value."""
    return Role(Part.BUFFER, value)


def kernel(node: KernelNode) -> Role:
    return Role(Part.KERNEL, node.output)


def multiplier(node: WeightedNode, *, made: bool = False) -> Role:
    """One of ones may be made, where the network has none, to give the bias a finer grid."""
    return Role(Part.MULTIPLIER, node.output, made=made)


def bias(node: WeightedNode) -> Role:
    return Role(Part.BIAS, node.output)


def made(part: Part, value: str, term: int = 0) -> Role:
    """Of a tensor that the converter makes for itself."""
    return Role(part, value, term, made=True)


def buffers_of(graph: Graph) -> list[Role]:
    """Of every value, inputs first."""
    return [buffer(value) for value in (*graph.inputs, *(node.output for node in graph.nodes))]


def parameters_of(graph: Graph) -> list[Role]:
    """Of every kernel and, where it is multiplied by, of its multiplier and its bias, whether there are such or not."""
    return [role for node in graph.nodes if isinstance(node, KernelNode) for role in _parameters(node)]


def _parameters(node: KernelNode) -> tuple[Role, ...]:
    return (kernel(node), multiplier(node), bias(node)) if isinstance(node, WeightedNode) else (kernel(node),)
