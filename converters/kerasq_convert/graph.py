"""The converter's view of a network: a float graph of few kinds of nodes, which the passes rewrite.

Values (activations) are named by strings; a node computes one value from others. Everything is immutable: a pass takes a
`Graph` and returns another. Layouts are those of the .kq file (kerasq/format/model.py): channels last, batch axis 1,
kernels with their output channels first. Constants are float32 as the network computes them; what the passes derive
from them is float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from kerasq.qformat import QFormat

Shape = tuple[int, ...]
Limits = tuple[float, float]
Function = Callable[[np.ndarray], np.ndarray]
UNLIMITED: Limits = (-np.inf, np.inf)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """One computation.

    Attributes:
        output: Name of the value computed.
        inputs: Names of the values read.
        shape: Shape of the output, batch axis 1.
        layers: The Keras layers that this node stands for, in their order: a fused node has several. The last one names
            the tensor in settings and reports.
        clamp: Smallest and largest output (a fused activation).
        format: Format that a quantizer of the network demands of the output.
    """

    output: str
    inputs: tuple[str, ...]
    shape: Shape
    layers: tuple[str, ...]
    clamp: Limits = UNLIMITED
    format: QFormat | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it neither clamps nor rounds."""
        return self.clamp == UNLIMITED and self.format is None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class KernelNode(Node):
    """A node with weights of its own. `layer` is the Keras layer that they belong to: it names them."""

    layer: str
    kernel: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class WeightedNode(KernelNode):
    """`y = clamp(((x - zero) · kernel) · multiplier + bias)`, multiplier and bias per output channel or absent.

    `rounded` is the format to which a pass has rounded the kernel, where one has. Padding is `zero`, `offset` a part of `bias`.
    """

    multiplier: np.ndarray | None = None
    bias: np.ndarray | None = None
    rounded: QFormat | None = None
    zero: float = 0.0
    offset: float = 0.0

    def scaled(self, scale: np.ndarray, offset: np.ndarray) -> WeightedNode:
        """This node followed by `y · scale + offset`."""
        multiplier = np.broadcast_to(scale if self.multiplier is None else self.multiplier * scale, len(self.kernel))
        bias = np.broadcast_to(offset if self.bias is None else self.bias * scale + offset, len(self.kernel))
        return dataclasses.replace(
            self,
            multiplier=None if np.all(multiplier == 1) else multiplier,
            bias=None if not np.any(bias) else bias,
        )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(WeightedNode):
    """Kernel `(outputs, height, width, inputs / groups)`; padding is top, bottom, left, right.

    A second input, of the output's shape, is added before the clamp.
    """

    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Scaling(Convolution):
    """An `Affine` that nothing could take in, as the convolution that computes it."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Dense(WeightedNode):
    """Kernel `(outputs, inputs)`; reads its input flattened."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Gather(KernelNode):
    """Rows of a kernel `(rows, width)` by the whole numbers that come in; below 0 the first one, beyond the last that."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ArgMax(Node):
    """The place of the largest value along the last axis of its input, of which there are so many; the first of equal ones."""

    classes: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Node):
    """`y = x · scale + offset`, each a scalar or one value per channel (last axis): BatchNorm, Rescaling, a bias."""

    scale: np.ndarray
    offset: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Add(Node):
    """The sum of two values of one shape."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Multiply(Node):
    """The product of two values of one shape, or of one and a value for each of its channels; of the first less `zero`."""

    zero: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """Two to five values side by side along the last axis."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Opaque(Concat):
    """Whatever a layer, whose class is `kind`, makes of its inputs where nobody knows: in a draft a CONCAT stands for it."""

    kind: str


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(Node):
    """`y[a, c, b, d] = x[a, b, c, d]` with sizes (B, C) and D values that move together; into any shape."""

    sizes: tuple[int, int]
    together: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Curve(Node):
    """A function of each value by itself, from an array to one of the same shape and type."""

    function: Function


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pointwise(Node):
    """A function of several values, element by element: part of a `Curve` if all of them come from one value, else nothing."""

    function: Callable[..., np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Extreme(Pointwise):
    """The largest or smallest of several values of one shape, element by element."""

    largest: bool


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pool(Node):
    """Maximum or average over the valid taps of a window."""

    average: bool
    window: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Frame(Node):
    """Rows and columns at the top, bottom, left and right."""

    frame: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Frame):
    """Its input with a frame of zeros added."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Crop(Frame):
    """Its input with a frame removed, and of what is left every so many rows and columns, the first and the last included."""

    strides: tuple[int, int] = (1, 1)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Select(Node):
    """Channels (last axis) of its input: `channels` has, for each channel of the output, the number of the input's."""

    channels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Node):
    """The same values in another shape."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Node):
    """Softmax over the last axis."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Normalize(Node):
    """Its input over the root of its variance, or where it is not `centered` of its mean square, plus an epsilon.

    Of the values of each of `groups` groups of channels (last axis) in as many pixels as `window` has, which follow each other.
    """

    window: tuple[int, int]
    groups: int
    centered: bool
    epsilon: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Identity(Node):
    """Its input, clamped or brought to another format: a ReLU or a quantizer that nothing could take in."""


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A value, in whatever order, times a scale plus an offset, each a scalar or one value per channel."""

    value: str
    scale: np.ndarray = dataclasses.field(default_factory=lambda: np.array(1.0))
    offset: np.ndarray = dataclasses.field(default_factory=lambda: np.array(0.0))


@dataclasses.dataclass(frozen=True)
class Graph:
    """Nodes in execution order.

    Attributes:
        inputs: Names of the network's inputs with their shapes, in order.
        outputs: Names of the network's outputs with the values they show.
        nodes: Every value is computed once, before it is read.
        notes: What the user should know of how the network was read.
        input_names: What the user calls the inputs, in their order; nothing where it is their own names.
        output_names: Keys of the outputs, in their order, where the network returns a dict; else nothing.
        ordered: Whether the order of the inputs is the network's own: a TensorFlow 1 graph has none.
        places: Where the user's graph computes a value (`kerasq.scopes`): what a training observed there was this value.
        scaled: Values that the user's graph does not have, in terms of those that it has, or of others of these.
        offsets: Values that are stored with an offset (passes/offsets.py), which is part of what their nodes compute: they are
            nowhere negative.
    """

    inputs: dict[str, Shape]
    outputs: dict[str, str]
    nodes: tuple[Node, ...]
    notes: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    ordered: bool = True
    places: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scaled: Mapping[str, Scaled] = dataclasses.field(default_factory=dict)
    offsets: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def producers(self) -> dict[str, Node]:
        """The node that computes each value (inputs of the network have none)."""
        return {node.output: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each value."""
        readers: dict[str, list[Node]] = {name: [] for name in (*self.inputs, *(node.output for node in self.nodes))}
        for node in self.nodes:
            for value in node.inputs:
                readers[value].append(node)
        return readers

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        return dataclasses.replace(self, nodes=tuple(nodes))


def moves_values(node: Node) -> bool:
    """Whether every value of a node's output is one of its input, or the zero of a frame: it needs no format of its own."""
    if isinstance(node, Convolution):
        taps = node.kernel.reshape(len(node.kernel), -1)
        if len(node.inputs) > 1 or node.multiplier is not None or node.bias is not None or np.count_nonzero(taps[0]) != 1:
            return False
        return np.count_nonzero(taps) == len(taps) and bool(np.all(np.max(taps, axis=1) == 1))
    return isinstance(node, Reshape | Transpose | Select | Frame) or (isinstance(node, Pool) and not node.average)


AnyNode = TypeVar("AnyNode", bound=Node)


def replace(node: AnyNode, **changes: Any) -> AnyNode:
    """A node with some attributes changed."""
    return dataclasses.replace(node, **changes)


def merge_into_producer(graph: Graph, producer: Node, merged: Node, consumer: Node) -> Graph:
    """`graph` without `consumer`: `merged`, in `producer`'s place, computes `consumer`'s value."""
    merged = replace(merged, output=consumer.output)
    return graph.with_nodes(merged if node is producer else node for node in graph.nodes if node is not consumer)


def until_stable(graph: Graph, step: Callable[[Graph], Graph | None]) -> Graph:
    """`step`, which rewrites one place, applied until it finds no more and returns None."""
    while (rewritten := step(graph)) is not None:
        graph = rewritten
    return graph


def is_exclusive(graph: Graph, value: str, readers: dict[str, list[Node]]) -> bool:
    """Whether exactly one node reads `value` and the network does not show it."""
    return len(readers[value]) == 1 and value not in graph.outputs.values()


def progression(places: np.ndarray) -> int | None:
    """The step from each place to the next if it is the same throughout, and forward; 1 for a single place; else None."""
    if len(places) == 1:
        return 1
    steps = np.unique(np.diff(places))
    return int(steps[0]) if len(steps) == 1 and steps[0] > 0 else None
