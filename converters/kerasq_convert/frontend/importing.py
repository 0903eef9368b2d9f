"""What the handlers of TensorFlow's operations work with: the graph that is read, and the nodes made so far."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.frozen import FrozenGraph
from kerasq_convert.frontend.names import LayerNames
from kerasq_convert.graph import Node, Shape


@dataclasses.dataclass
class Importer:
    """Translates one graph. `values` maps each tensor that depends on an input to the value that holds it."""

    frozen: FrozenGraph
    names: LayerNames
    values: dict[str, str]
    nodes: list[Node]

    def constant(self, tensor: Any) -> np.ndarray | None:
        """The value of a tensor that depends on no input."""
        return self.frozen.constants.get(tensor.name)

    def layer(self, operation: Any) -> str:
        return self.names.layer(operation.name)

    def common(self, operation: Any, *inputs: Any) -> dict[str, Any]:
        """What every node has.

        Raises:
            UnsupportedError: It reads the inside of another operation, a dilated convolution of one dimension.
        """
        if any(tensor.name not in self.values for tensor in inputs):
            raise UnsupportedError("a dilated Conv1D is not supported: use Conv2D on an input of shape (1, length, channels)")
        return {
            "output": operation.outputs[0].name,
            "inputs": tuple(self.values[tensor.name] for tensor in inputs),
            "shape": shape_of(operation.outputs[0]),
            "layers": (self.layer(operation),),
        }

    def add(self, node: Node) -> None:
        self.nodes.append(node)
        self.values[node.output] = node.output

    def alias(self, operation: Any, tensor: Any) -> None:
        """The operation's result is another tensor's value."""
        self.values[operation.outputs[0].name] = self.values[tensor.name]


def shape_of(tensor: Any) -> Shape:
    """Static shape of a tensor of a graph traced for batch 1."""
    if not tensor.shape.is_fully_defined():
        raise UnsupportedError(f"the shape {tensor.shape} of its output is not fixed")
    return tuple(tensor.shape.as_list())
