"""What the handlers of TensorFlow's operations work with: the graph that is read, and the nodes made so far."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq.scopes import LayerNames
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.frozen import FrozenGraph
from kerasq_convert.graph import Node, Reshape, Scaled, Shape, Transpose


class UnknownShapeError(UnsupportedError):
    """The shape of a tensor is not known while the graph is read."""


@dataclasses.dataclass
class Importer:
    """Translates one graph. `values` maps each tensor that depends on an input to the value that holds it."""

    frozen: FrozenGraph
    names: LayerNames
    values: dict[str, str]
    nodes: list[Node]
    notes: list[str]
    scaled: dict[str, Scaled]

    def constant(self, tensor: Any) -> np.ndarray | None:
        """The value of a tensor that depends on no input."""
        return self.frozen.constants.get(tensor.name)

    def layer(self, operation: Any) -> str:
        return self.names.layer(operation.name)

    def reads_inside(self, operation: Any) -> bool:
        """Whether an operation lies inside of a dilated convolution, which the operation that ends it imports as a whole."""
        return any(t.name not in self.values and t.name not in self.frozen.constants for t in operation.inputs)

    def common(self, operation: Any, *inputs: Any) -> dict[str, Any]:
        """What every node has."""
        return {
            "output": operation.outputs[0].name,
            "inputs": tuple(self.values[tensor.name] for tensor in inputs),
            "shape": shape_of(operation.outputs[0]),
            "layers": (self.layer(operation),),
        }

    def add_reshaped(self, make: Callable[..., Node], operation: Any, x: Any, read: Shape, written: Shape, **fields: Any) -> None:
        """Adds a node that reads `x` in the shape `read` and gives `operation`'s result in the shape `written`.

        The reshapes around it are free, and most of them meet another and vanish (kerasq_convert.passes.reshapes).
        """
        common = self.common(operation, x)
        output, layers = common["output"], common["layers"]
        if shape_of(x) != read:
            before = Reshape(output=f"{output}/in", inputs=common["inputs"], shape=read, layers=layers)
            self.nodes.append(before)
            common["inputs"] = (before.output,)
        if common["shape"] == written:
            self.add(make(**common | fields))
            return
        inner = make(**common | {"output": f"{output}/out", "shape": written} | fields)
        self.nodes.append(inner)
        self.scaled[inner.output] = Scaled(output)
        self.add(Reshape(output=output, inputs=(inner.output,), shape=common["shape"], layers=layers))

    def add_with_channels_last(
        self,
        make: Callable[..., Node],
        operation: Any,
        x: Any,
        written: Shape | None,
        beside: tuple[str, ...] = (),
        **fields: Any,
    ) -> None:
        """Adds a node that reads `x`, of shape (1, channels, rows, columns) or (1, channels, steps), with its channels last.

        Args:
            make, operation, x, fields: As for `add_reshaped`.
            written: The result's shape with the channels last; None if it is that of `x`.
            beside: Further values that the node reads.
        """
        common = self.common(operation, x)
        output, layers = common["output"], common["layers"]
        _, channels, *sizes = shape_of(x)
        read = (1, *(1,) * (2 - len(sizes)), *sizes, channels)
        result = written or read
        before = transposed(f"{output}/last", common["inputs"][0], (channels, math.prod(sizes)), read, layers)
        inner: dict[str, Any] = {"inputs": (before.output, *beside), "output": f"{output}/out", "shape": result}
        after = transposed(output, inner["output"], (math.prod(result[1:-1]), result[-1]), common["shape"], layers)
        self.nodes += [before, make(**common | inner | fields)]
        self.scaled[inner["output"]] = Scaled(output)
        self.add(after)

    def add(self, node: Node) -> None:
        self.nodes.append(node)
        self.values[node.output] = node.output

    def alias(self, operation: Any, tensor: Any) -> None:
        """The operation's result is another tensor's value."""
        self.values[operation.outputs[0].name] = self.values[tensor.name]


def transposed(output: str, value: str, sizes: tuple[int, int], shape: Shape, layers: tuple[str, ...]) -> Node:
    """What brings a value of rows and columns of these sizes into the order of columns and rows, and the shape `shape`."""
    common: dict[str, Any] = {"output": output, "inputs": (value,), "shape": shape, "layers": layers}
    return Reshape(**common) if 1 in sizes else Transpose(**common, sizes=sizes, together=1)


def shape_of(tensor: Any) -> Shape:
    """Static shape of a tensor of a graph traced for batch 1."""
    if not tensor.shape.is_fully_defined():
        raise UnknownShapeError(f"the shape {tensor.shape} of its output is not fixed: give every axis but the batch a size")
    return tuple(tensor.shape.as_list())


def image_shape(shape: Shape) -> Shape:
    """The four axes in which windows move: a sequence (1, length, channels) is an image of height 1."""
    if len(shape) == 3:
        return (shape[0], 1, *shape[1:])
    if len(shape) != 4:
        raise UnsupportedError(f"an input of shape {shape} is not supported here: images and sequences are")
    return shape
