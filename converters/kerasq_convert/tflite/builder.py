"""A TFLite file, tensor by tensor and operator by operator.

The format is that of tensorflow/lite/schema/schema.fbs, whose generated classes come with TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}
_EXTENDED = 127  # of the older field for an operator's number: the number is in the newer one


class Builder:
    """Collects tensors and operators in the order in which they run."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]  # the empty one, of all that is computed
        self._codes: dict[tuple[int, int], int] = {}
        self._operators: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any,
        scales: Sequence[float] = (),
        zero_point: int = 0,
        axis: int = 0,
        data: np.ndarray | None = None,
    ) -> int:
        """Adds a tensor; returns its index.

        Args:
            name: Need not be unique.
            shape: Sizes.
            dtype: NumPy type of the stored values.
            scales: One, or one for each index of `axis`; none for values that are no quantized numbers.
            zero_point: Stored value of 0.
            axis: That scales belong to, where there are several.
            data: Stored values of a constant.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(map(int, shape)), _TYPES[np.dtype(dtype)]
        if len(scales):
            quantization = schema.QuantizationParametersT()
            quantization.scale, quantization.zeroPoint = list(map(float, scales)), [int(zero_point)] * len(scales)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, np.dtype(dtype).newbyteorder("<")).tobytes(), np.uint8)
            self._buffers.append(buffer)
            tensor.buffer = len(self._buffers) - 1
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def like(self, index: int, name: str, shape: Sequence[int] | None = None) -> int:
        """Adds a tensor that will be computed, of the type and quantization of another, and if none is told of its shape."""
        tensor = schema.TensorT()
        tensor.__dict__ |= self._tensors[index].__dict__
        tensor.name, tensor.buffer = name, 0
        tensor.shape = tensor.shape if shape is None else list(map(int, shape))
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def shape(self, index: int) -> tuple[int, ...]:
        """Of a tensor."""
        return tuple(self._tensors[index].shape)

    def operator(self, name: str, version: int, inputs: Sequence[int], output: int, **options: Any) -> int:
        """Adds an operator; returns the index of the tensor that it writes.

        Args:
            name: As schema.fbs has it.
            version: Of what it is to do; runtimes refuse versions that they have not.
            inputs: Tensors; -1 for one that is left out.
            output: The tensor that it writes.
            options: Fields of its table of options; those that are not mentioned have their default.
        """
        code = getattr(schema.BuiltinOperator, name)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault((code, version), len(self._codes))
        operator.inputs, operator.outputs = list(inputs), [output]
        kind = options.pop("options", None)
        if kind is not None:
            table = getattr(schema, f"{kind}T")()
            for field, value in options.items():
                assert hasattr(table, field), f"{kind} has no field {field}"
                setattr(table, field, value)
            operator.builtinOptions, operator.builtinOptionsType = table, getattr(schema.BuiltinOptions, kind)
        self._operators.append(operator)
        return output

    def content(self, inputs: dict[str, int], outputs: dict[str, int], signature: str, description: str) -> bytes:
        """The file, with one signature.

        Args:
            inputs, outputs: Tensors by the names that the signature has for them.
            signature: Its name.
            description: Who made it.
        """
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self._tensors, self._operators, "main"
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        definition = schema.SignatureDefT()
        definition.signatureKey, definition.subgraphIndex = signature, 0
        definition.inputs, definition.outputs = ([*map(_named, ends.items())] for ends in (inputs, outputs))
        model = schema.ModelT()
        model.version, model.description = _SCHEMA_VERSION, description
        model.operatorCodes = [_code(*key) for key in self._codes]
        model.subgraphs, model.buffers, model.signatureDefs = [graph], self._buffers, [definition]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def _named(entry: tuple[str, int]) -> Any:
    named = schema.TensorMapT()
    named.name, named.tensorIndex = entry
    return named


def _code(number: int, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, _EXTENDED), version
    return code
