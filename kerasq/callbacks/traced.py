"""A model as TensorFlow traces it for an export, with every tensor in it that a converted network could store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasq.callbacks.recorder import Recorder
from kerasq.scopes import LayerNames

# Another name of a tensor, or the same values in another precision; and in another shape or order.
_SAME = ("Identity", "IdentityN", "StopGradient", "Cast")
_MOVES = ("Reshape", "Squeeze", "ExpandDims", "Transpose")
_LINEAR = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Mul", "BiasAdd")
_OFFSETS = ("BiasAdd", "Add", "AddV2", "Sub")
_LIMITS = ("Relu", "Relu6", "Minimum", "Maximum", "ClipByValue")  # part of an operator, where all else of a function is a table


class TracedModel:
    """A function from the inputs of a model to its tensors, by name.

    Args:
        model: The model; its weights are read whenever the function runs.
        specifications: Shape and type of each input.
        structured: From a list of inputs to what the model is called with.

    Attributes:
        places: The name of the tensor at each place, as `kerasq.scopes` names places in the network that is exported.
    """

    def __init__(self, model: Any, specifications: list[tf.TensorSpec], structured: Callable[[list[Any]], Any]):
        self.places: dict[str, str] = {}
        self._names: list[list[str]] = []
        recorder = Recorder(model)

        def run(*inputs: Any) -> list[Any]:
            graph = tf.compat.v1.get_default_graph()
            entries = list(inputs)
            with recorder.listening(lambda: len(graph.get_operations())):
                model(structured(entries), training=False)
            return self._select(graph, entries, recorder)

        self._function = tf.function(run, autograph=False).get_concrete_function(*specifications)

    def __call__(self, inputs: list[np.ndarray]) -> list[tuple[str, np.ndarray]]:
        """Names and values of all tensors for a batch; a tensor of several names is there under each."""
        tensors = self._function(*map(tf.constant, inputs))
        return [(name, _as_float(tensor)) for names, tensor in zip(self._names, tensors, strict=True) for name in names]

    def _select(self, graph: Any, inputs: list[Any], recorder: Recorder) -> list[Any]:
        """The tensors to observe; what they are called goes to `_names` and `places`."""
        operations = graph.get_operations()
        dependent = _dependent(operations, inputs)
        names = LayerNames((operation.name for operation in dependent), numbered=True)
        selected: dict[str, tuple[Any, list[str]]] = {}

        def add(tensor: Any, name: str) -> None:
            while True:  # back to what it is another name of
                self.places.setdefault(names.place(tensor.op.name, tensor.value_index), name)
                if tensor.op.type not in _SAME or tensor.op not in dependent:
                    break
                tensor = tensor.op.inputs[tensor.value_index]
            selected.setdefault(tensor.name, (tensor, []))[1].append(name)

        for name, tensor in recorder.tensors:
            if isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating and tensor.graph is graph:  # not of a loop's body
                add(tensor, name)
        inside = {operation for before, after in recorder.functions for operation in operations[before:after]}
        for operation in dependent:
            curved = operation in inside and operation.type not in _LIMITS
            if operation.type not in (*_SAME, *_MOVES) and not curved and not _is_absorbed(operation, dependent):
                for tensor in operation.outputs:
                    if tensor.dtype.is_floating and tensor.name not in selected:
                        add(tensor, names.place(operation.name, tensor.value_index))
        self._names = [names for _, names in selected.values()]
        return [tensor for tensor, _ in selected.values()]


def _dependent(operations: list[Any], inputs: list[Any]) -> dict[Any, None]:
    """The operations that depend on an input, in their order."""
    reached = {tensor.op for tensor in inputs}
    dependent: dict[Any, None] = {}
    for operation in operations:
        if any(tensor.op in reached for tensor in operation.inputs):
            reached.add(operation)
            dependent[operation] = None
    return dependent


def _is_absorbed(operation: Any, dependent: dict[Any, None]) -> bool:
    """Whether the one operation that reads the result always becomes a part of the operator that computes it."""
    readers = [reader for tensor in operation.outputs for reader in tensor.consumers()]
    if len(operation.outputs) != 1 or len(readers) != 1:
        return False
    (reader,) = readers
    if reader.type in _LIMITS[:2]:
        return True
    by_a_constant = sum(tensor.op in dependent for tensor in reader.inputs) == 1
    return operation.type in _LINEAR and reader.type in _OFFSETS and by_a_constant


def _as_float(tensor: Any) -> np.ndarray:
    """The values as NumPy has them: of bfloat16, which it lacks, as float32."""
    return (tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor).numpy()
