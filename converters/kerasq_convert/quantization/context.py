"""A call of a layer that becomes nodes, and what rows make of its arrays and functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from kerasq.quantizers import Quantizer
from kerasq_convert.graph import Node, Shape
from kerasq_convert.quantization.calls import Run

Kernels = Mapping[int, Mapping[str, Quantizer]]  # by the `id` of a layer and the argument of its twin


@dataclasses.dataclass(frozen=True)
class Context:
    """A call that becomes nodes."""

    run: Run
    shapes: Mapping[str, Shape]
    kernels: Kernels

    @property
    def layer(self) -> Any:
        return self.run.call.operation

    @property
    def shape(self) -> Shape:
        return self.shapes[self.run.value]

    def common(self, *inputs: str, output: str = "", shape: Shape | None = None) -> dict[str, Any]:
        """What every node has; its inputs are those of the call unless they are named."""
        return {
            "output": output or self.run.value,
            "inputs": inputs or tuple(self.run.inputs),
            "shape": shape or self.shape,
            "layers": (self.run.name,),
        }


Rows = Callable[[Context], Iterator[Node]]


def numpy_of(variable: Any) -> np.ndarray:
    """The values of a variable, float32."""
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def in_numpy(function: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of tensors as one of arrays."""

    def applied(values: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(values.astype(np.float32)))))

    return applied


def tuple_of(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def pair_of(value: Any) -> tuple[int, int]:
    """Height and width; of a sequence the height is 1."""
    height, width = (1, *tuple_of(value))[-2:]
    return height, width
