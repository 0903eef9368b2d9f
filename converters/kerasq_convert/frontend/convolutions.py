"""Products with constant kernels: convolutions, dilated ones as TensorFlow spells them, and Dense."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.frontend.windows import channel_last_pair, padding_of
from kerasq_convert.graph import Convolution, Dense


def convolution(importer: Importer, operation: Any) -> None:
    """Conv2D and DepthwiseConv2dNative."""
    x = operation.inputs[0]
    _, height, width, _ = shape_of(x)
    strides, dilations = channel_last_pair(operation, "strides"), channel_last_pair(operation, "dilations")
    kernel_shape = operation.inputs[1].shape
    padding = padding_of(operation, (height, width), (kernel_shape[0], kernel_shape[1]), strides, dilations)
    _add_convolution(importer, operation, operation, x, strides, dilations, padding)


def dilated_convolution(importer: Importer, operation: Any) -> None:
    """BatchToSpaceND(convolution(SpaceToBatchND(x))): how TensorFlow computes a dilated convolution.

    The padding of the first and the cropping of the last also make sizes whole multiples of the dilation; their
    difference is the padding of the convolution meant. Of one dimension, ExpandDims and Squeeze stand around the convolution.
    """
    inner = operation.inputs[0].op
    convolution = inner.inputs[0].op if inner.type == "Squeeze" else inner
    spread = _spread_before(convolution)
    if spread is None:
        raise UnsupportedError("operation BatchToSpaceND is not supported outside of a dilated convolution")
    blocks, pads, crops = (importer.constant(tensor) for tensor in (*spread.inputs[1:], operation.inputs[2]))
    if blocks is None or pads is None or crops is None or len(blocks) > 2:
        raise UnsupportedError("a dilation that depends on the input is not supported")
    paddings = (np.asarray(pads) - np.asarray(crops)).tolist()
    (top, bottom), (left, right) = [[0, 0]] * (2 - len(paddings)) + paddings
    vertical, horizontal = [1] * (2 - len(blocks)) + [int(block) for block in blocks]
    _add_convolution(
        importer, operation, convolution, spread.inputs[0], (1, 1), (vertical, horizontal), (top, bottom, left, right)
    )


def _spread_before(convolution: Any) -> Any:
    """The SpaceToBatchND whose result a convolution reads, directly or with an axis added; None where there is none."""
    if convolution.type not in ("Conv2D", "DepthwiseConv2dNative"):
        return None
    before = convolution.inputs[0].op
    if before.type == "ExpandDims":
        before = before.inputs[0].op
    return before if before.type == "SpaceToBatchND" else None


def space_to_batch(importer: Importer, operation: Any) -> None:
    """SpaceToBatchND: imported with the operation that ends the convolution."""
    readers = [reader for result in operation.outputs for reader in result.consumers()]
    readers = [
        inner for r in readers for inner in ((c for t in r.outputs for c in t.consumers()) if r.type == "ExpandDims" else (r,))
    ]
    if any(reader.type == "Transpose" for reader in readers):
        raise UnsupportedError(
            "dilations with data_format channels_first are not supported: build the network with channels_last"
        )
    if not all(reader.type in ("Conv2D", "DepthwiseConv2dNative") for reader in readers):
        raise UnsupportedError("operation SpaceToBatchND is not supported outside of a dilated convolution")


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
    channels = shape_of(x)[-1]
    if convolution.type == "DepthwiseConv2dNative":
        stored, groups = kernel.transpose(2, 3, 0, 1).reshape(inputs * outputs, height, width, 1), channels
    else:
        stored, groups = kernel.transpose(3, 0, 1, 2), channels // inputs
    layer = importer.layer(convolution)
    importer.add_reshaped(
        Convolution,
        operation,
        x,
        image_shape(shape_of(x)),
        image_shape(shape_of(operation.outputs[0])),
        layers=(layer,),
        layer=layer,
        kernel=np.ascontiguousarray(stored, np.float32),
        strides=strides,
        dilations=dilations,
        padding=padding,
        groups=groups,
    )


def dense(importer: Importer, operation: Any) -> None:
    """MatMul by a constant: Dense; on several rows (the last axis of a sequence or an image) a convolution of one tap."""
    kernel = importer.constant(operation.inputs[1])
    prefix = "adj" if operation.type.startswith("Batch") else "transpose"
    transposed = [operation.get_attr(f"{prefix}_{name}") for name in (("x", "y") if prefix == "adj" else ("a", "b"))]
    if kernel is None or np.ndim(kernel) != 2 or transposed[0]:
        raise UnsupportedError("a product of activations is not supported")
    _add_dense(importer, operation, kernel if transposed[1] else kernel.T)


def einsum(importer: Importer, operation: Any) -> None:
    """Einsum that sums over the last axis of a value, by a constant: Dense."""
    from kerasq.layers.core.quantized_einsum_dense import is_dense  # Keras, which importing the converter does not load

    kernel = importer.constant(operation.inputs[-1])
    if kernel is None or not is_dense(operation.get_attr("equation").decode(), None):
        raise UnsupportedError("operation Einsum is not supported")
    _add_dense(importer, operation, kernel.T)


def _add_dense(importer: Importer, operation: Any, kernel: np.ndarray) -> None:
    """The product of the last axis and a kernel `(outputs, inputs)`."""
    x, stored = operation.inputs[0], np.ascontiguousarray(kernel, np.float32)
    layer = importer.layer(operation)
    rows = math.prod(shape_of(x)[:-1])
    if rows == 1:
        importer.add(Dense(**importer.common(operation, x), layer=layer, kernel=stored))
        return
    read, written = (1, 1, rows, stored.shape[1]), (1, 1, rows, stored.shape[0])
    importer.add_reshaped(Convolution, operation, x, read, written, layer=layer, kernel=stored[:, None, None, :])
