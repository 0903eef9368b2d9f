"""One handler per TensorFlow operation: what it becomes in the converter's graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.windows import channel_last_pair, padding_of
from kerasq_convert.graph import Add, Affine, Convolution, Dense, Identity, Pool, Reshape, Softmax


def import_operation(importer: Importer, operation: Any) -> None:
    """Adds the node of an operation, if it has one.

    Raises:
        UnsupportedError: There is no such node; the text says why.
    """
    handler = HANDLERS.get(operation.type)
    if handler is None:
        raise UnsupportedError(f"operation {operation.type} is not supported{_hint(operation.type)}")
    handler(importer, operation)


_HINTS = {
    "Conv2DBackpropInput": " (Conv2DTranspose); use an upsampling that is not learned, or a strided structure without it",
    "Sigmoid": "; use relu or relu6, or leave it to the code that reads the outputs",
    "Elu": "; use relu or relu6",
    "LeakyRelu": "; use relu or relu6",
    "Tanh": "; use relu or relu6",
    "ConcatV2": " (Concatenate); Add joins branches",
}


def _hint(kind: str) -> str:
    return _HINTS.get(kind, "")


def _forward(importer: Importer, operation: Any) -> None:
    """Operations that pass their inputs on: each output is an input's value (IdentityN has several)."""
    for result, source in zip(operation.outputs, operation.inputs, strict=False):
        if source.name in importer.values:
            importer.values[result.name] = importer.values[source.name]


def _cast(importer: Importer, operation: Any) -> None:
    source, result = operation.inputs[0], operation.outputs[0]
    if source.dtype.is_floating and not result.dtype.is_floating:
        raise UnsupportedError(f"a cast from {source.dtype.name} to {result.dtype.name} is not supported")
    importer.alias(operation, source)


def _bias_add(importer: Importer, operation: Any) -> None:
    channel_last_pair(operation, None)
    _affine(importer, operation, operation.inputs[0], np.array(1.0), importer.constant(operation.inputs[1]))


def _affine(importer: Importer, operation: Any, x: Any, scale: Any, offset: Any) -> None:
    channels = shape_of(operation.outputs[0])[-1]
    vectors = []
    for constant in (scale, offset):
        if constant is None:
            raise UnsupportedError(f"{operation.type} of two activations is not supported")
        vector = np.asarray(constant, np.float64)
        if vector.size not in (1, channels) or (vector.ndim and vector.size != 1 and vector.shape[-1] != channels):
            raise UnsupportedError(f"{operation.type} with a constant of shape {vector.shape} is not one value per channel")
        vectors.append(vector.reshape(-1) if vector.size > 1 else vector.reshape(()))
    if shape_of(x) != shape_of(operation.outputs[0]):
        raise UnsupportedError(f"{operation.type} that widens {shape_of(x)} to {shape_of(operation.outputs[0])} is not supported")
    importer.add(Affine(**importer.common(operation, x), scale=vectors[0], offset=vectors[1]))


def _arithmetic(importer: Importer, operation: Any) -> None:
    """Add, Sub, Mul and RealDiv: with a constant they are affine; the sum of two activations is an Add."""
    a, b = operation.inputs
    u, v = importer.constant(a), importer.constant(b)
    kind = operation.type
    if u is None and v is None:
        if kind in ("Add", "AddV2") and shape_of(a) == shape_of(b):
            importer.add(Add(**importer.common(operation, a, b)))
            return
        raise UnsupportedError(f"{kind} of activations of shapes {shape_of(a)} and {shape_of(b)} is not supported")
    one, zero = np.array(1.0), np.array(0.0)
    x: Any
    scale: np.ndarray | None
    offset: np.ndarray | None
    if kind in ("Add", "AddV2"):
        x, scale, offset = (b, one, u) if v is None else (a, one, v)
    elif kind == "Sub":
        x, scale, offset = (b, -one, u) if v is None else (a, one, -np.asarray(v, np.float64))
    elif kind == "Mul":
        x, scale, offset = (b, u, zero) if v is None else (a, v, zero)
    elif v is not None:
        with np.errstate(divide="ignore"):
            x, scale, offset = a, 1 / np.asarray(v, np.float64), zero
    else:
        raise UnsupportedError("division of a constant by an activation is not supported")
    _affine(importer, operation, x, scale, offset)


def _batch_norm(importer: Importer, operation: Any) -> None:
    channel_last_pair(operation, None)
    x, *parameters = operation.inputs
    constants = [importer.constant(tensor) for tensor in parameters]
    if operation.get_attr("is_training") or any(constant is None for constant in constants):
        raise UnsupportedError("batch normalization by the batch's own statistics is not supported: export for inference")
    gamma, beta, mean, variance = (np.asarray(constant, np.float64) for constant in constants)
    scale = gamma / np.sqrt(variance + operation.get_attr("epsilon"))
    _affine(importer, operation, x, scale, beta - mean * scale)


def _clamp(importer: Importer, operation: Any) -> None:
    """Relu, Relu6, Maximum, Minimum and ClipByValue."""
    x, *limits = operation.inputs
    low, high = -np.inf, np.inf
    if operation.type in ("Relu", "Relu6"):
        low, high = 0.0, 6.0 if operation.type == "Relu6" else np.inf
    else:
        if importer.constant(x) is not None:
            x, limits = limits[0], [x]
        values = [importer.constant(tensor) for tensor in limits]
        if any(value is None or np.size(value) != 1 for value in values):
            raise UnsupportedError(f"{operation.type} needs one constant limit for the whole tensor")
        scalars = [float(np.reshape(value, ())) for value in values if value is not None]
        if operation.type == "ClipByValue":
            low, high = scalars
        elif operation.type == "Maximum":
            low = scalars[0]
        else:
            high = scalars[0]
    importer.add(Identity(**importer.common(operation, x), clamp=(low, high)))


def _convolution(importer: Importer, operation: Any) -> None:
    x = operation.inputs[0]
    if x.op.type == "SpaceToBatchND":  # a dilated convolution: BatchToSpaceND, which ends it, imports the whole
        return
    _, height, width, _ = shape_of(x)
    strides, dilations = channel_last_pair(operation, "strides"), channel_last_pair(operation, "dilations")
    kernel_shape = operation.inputs[1].shape
    padding = padding_of(operation, (height, width), (kernel_shape[0], kernel_shape[1]), strides, dilations)
    _add_convolution(importer, operation, operation, x, strides, dilations, padding)


def _dilated_convolution(importer: Importer, operation: Any) -> None:
    """BatchToSpaceND(convolution(SpaceToBatchND(x))): how TensorFlow computes a dilated convolution.

    The padding of the first and the cropping of the last also make sizes whole multiples of the dilation; their
    difference is the padding of the convolution meant.
    """
    convolution = operation.inputs[0].op
    spread = convolution.inputs[0].op if convolution.type in ("Conv2D", "DepthwiseConv2dNative") else None
    if spread is None or spread.type != "SpaceToBatchND":
        raise UnsupportedError("operation BatchToSpaceND is not supported outside of a dilated convolution")
    blocks, pads, crops = (importer.constant(tensor) for tensor in (*spread.inputs[1:], operation.inputs[2]))
    if blocks is None or pads is None or crops is None or len(blocks) != 2:
        raise UnsupportedError("a dilation that depends on the input is not supported")
    (top, bottom), (left, right) = (np.asarray(pads) - np.asarray(crops)).tolist()
    dilations = int(blocks[0]), int(blocks[1])
    _add_convolution(importer, operation, convolution, spread.inputs[0], (1, 1), dilations, (top, bottom, left, right))


def _inside_dilated_convolution(importer: Importer, operation: Any) -> None:
    """SpaceToBatchND: imported with the operation that ends the convolution."""


def _add_convolution(
    importer: Importer,
    operation: Any,
    convolution: Any,
    x: Any,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> None:
    kernel = importer.constant(convolution.inputs[1])
    if kernel is None:
        raise UnsupportedError("a kernel that is computed from the input is not supported")
    height, width, inputs, outputs = kernel.shape
    channels = shape_of(x)[3]
    if convolution.type == "DepthwiseConv2dNative":
        stored, groups = kernel.transpose(2, 3, 0, 1).reshape(inputs * outputs, height, width, 1), channels
    else:
        stored, groups = kernel.transpose(3, 0, 1, 2), channels // inputs
    layer = importer.layer(convolution)
    importer.add(
        Convolution(
            **importer.common(operation, x) | {"layers": (layer,)},
            layer=layer,
            kernel=np.ascontiguousarray(stored, np.float32),
            strides=strides,
            dilations=dilations,
            padding=padding,
            groups=groups,
        )
    )


def _dense(importer: Importer, operation: Any) -> None:
    x, kernel_tensor = operation.inputs
    kernel = importer.constant(kernel_tensor)
    prefix = "adj" if operation.type.startswith("Batch") else "transpose"
    transposed = [operation.get_attr(f"{prefix}_{name}") for name in (("x", "y") if prefix == "adj" else ("a", "b"))]
    if kernel is None or np.ndim(kernel) != 2 or transposed[0]:
        raise UnsupportedError("a product of activations is not supported")
    if int(np.prod(shape_of(x))) != shape_of(x)[-1]:
        raise UnsupportedError(f"Dense on an input of shape {shape_of(x)} is not supported: flatten it first")
    stored = kernel if transposed[1] else kernel.T
    common = importer.common(operation, x)
    importer.add(Dense(**common, layer=importer.layer(operation), kernel=np.ascontiguousarray(stored, np.float32)))


def _pool(importer: Importer, operation: Any) -> None:
    window, strides = channel_last_pair(operation, "ksize"), channel_last_pair(operation, "strides")
    _, height, width, _ = shape_of(operation.inputs[0])
    padding = padding_of(operation, (height, width), window, strides, (1, 1))
    average = operation.type == "AvgPool"
    node = Pool(
        **importer.common(operation, operation.inputs[0]), average=average, window=window, strides=strides, padding=padding
    )
    importer.add(node)


def _global_pool(importer: Importer, operation: Any) -> None:
    """Mean and Max over height and width: pooling over the whole map, and a reshape where the axes disappear."""
    x = operation.inputs[0]
    axes = importer.constant(operation.inputs[1])
    shape = shape_of(x)
    if len(shape) != 4 or axes is None or sorted(int(axis) % 4 for axis in np.reshape(axes, -1)) != [1, 2]:
        raise UnsupportedError(f"{operation.type} over other axes than height and width is not supported")
    common = importer.common(operation, x)
    pooled = (1, 1, 1, shape[3])
    keep = common["shape"] == pooled
    name = common["output"] if keep else f"{common['output']}/map"
    window = shape[1], shape[2]
    pool = Pool(**common | {"output": name, "shape": pooled}, average=operation.type == "Mean", window=window, strides=window)
    importer.add(pool)
    if not keep:
        importer.add(Reshape(**common | {"inputs": (name,)}))


def _transpose(importer: Importer, operation: Any) -> None:
    """A transposition that moves only axes of size 1 is a reshape."""
    source = operation.inputs[0]
    order = importer.constant(operation.inputs[1])
    shape = shape_of(source)
    if order is None or not np.all(np.diff([axis for axis in np.reshape(order, -1) if shape[axis] != 1]) > 0):
        raise UnsupportedError("operation Transpose is not supported")
    importer.add(Reshape(**importer.common(operation, source)))


def _reshape(importer: Importer, operation: Any) -> None:
    importer.add(Reshape(**importer.common(operation, operation.inputs[0])))


def _softmax(importer: Importer, operation: Any) -> None:
    importer.add(Softmax(**importer.common(operation, operation.inputs[0])))


HANDLERS: dict[str, Callable[[Importer, Any], None]] = (
    dict.fromkeys(("Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics"), _forward)
    | dict.fromkeys(("Add", "AddV2", "Sub", "Mul", "RealDiv"), _arithmetic)
    | dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _batch_norm)
    | dict.fromkeys(("Relu", "Relu6", "Maximum", "Minimum", "ClipByValue"), _clamp)
    | dict.fromkeys(("Conv2D", "DepthwiseConv2dNative"), _convolution)
    | dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2"), _dense)
    | dict.fromkeys(("MaxPool", "MaxPoolV2", "AvgPool"), _pool)
    | dict.fromkeys(("Mean", "Max"), _global_pool)
    | dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), _reshape)
    | {"Transpose": _transpose, "SpaceToBatchND": _inside_dilated_convolution, "BatchToSpaceND": _dilated_convolution}
    | {"Cast": _cast, "BiasAdd": _bias_add, "Softmax": _softmax}
)
