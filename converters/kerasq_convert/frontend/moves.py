"""What moves or selects values: pooling, reshapes, frames of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.frontend.windows import channel_last_pair, padding_of
from kerasq_convert.graph import Pad, Pool, Reshape, Softmax


def pool(importer: Importer, operation: Any) -> None:
    """MaxPool and AvgPool."""
    x = operation.inputs[0]
    window, strides = channel_last_pair(operation, "ksize"), channel_last_pair(operation, "strides")
    _, height, width, _ = shape_of(x)
    padding = padding_of(operation, (height, width), window, strides, (1, 1))
    average = operation.type == "AvgPool"
    importer.add(Pool(**importer.common(operation, x), average=average, window=window, strides=strides, padding=padding))


def global_pool(importer: Importer, operation: Any) -> None:
    """Mean and Max over axes between batch and channels: pooling over their whole length."""
    x = operation.inputs[0]
    shape, axes = shape_of(x), importer.constant(operation.inputs[1])
    taken = set() if axes is None else {int(axis) % len(shape) for axis in np.reshape(axes, -1)}
    average = operation.type == "Mean"
    if taken == {2, 3} and len(shape) == 4:  # channels first
        size = (shape[2], shape[3])
        pooled = (1, 1, 1, shape[1])
        importer.add_with_channels_last(Pool, operation, x, pooled, average=average, window=size, strides=size)
        return
    if taken == {2} and len(shape) == 3:  # channels first: a row for each, with its steps as columns
        read, pooled, size = (1, shape[1], shape[2], 1), (1, shape[1], 1, 1), (1, shape[2])
        importer.add_reshaped(Pool, operation, x, read, pooled, average=average, window=size, strides=size)
        return
    if not taken or len(shape) not in (3, 4) or not taken <= set(range(1, len(shape) - 1)):
        raise UnsupportedError(f"{operation.type} over the batch or the channels is not supported")
    image = image_shape(shape)
    added = len(image) - len(shape)
    height, width = (image[axis] if axis - added in taken else 1 for axis in (1, 2))
    pooled = (shape[0], image[1] // height, image[2] // width, image[3])
    window = height, width
    importer.add_reshaped(Pool, operation, x, image, pooled, average=average, window=window, strides=window)


def pad(importer: Importer, operation: Any) -> None:
    """Pad with zeros around height and width, or at the ends of a sequence."""
    x = operation.inputs[0]
    pads = importer.constant(operation.inputs[1])
    value = importer.constant(operation.inputs[2]) if operation.type == "PadV2" else np.zeros(())
    if pads is None or value is None or np.any(value != 0) or operation.type == "MirrorPad":
        raise UnsupportedError("padding with other values than zero is not supported: use ZeroPadding")
    read, written = image_shape(shape_of(x)), image_shape(shape_of(operation.outputs[0]))
    if len(pads) == 4 and not np.any(pads[:2]) and np.any(pads[3]):  # channels first
        _, channels, height, width = shape_of(operation.outputs[0])
        frame = tuple(int(size) for size in np.ravel(pads[2:]))
        importer.add_with_channels_last(Pad, operation, x, (1, height, width, channels), frame=frame)
        return
    if np.any(pads[0]) or np.any(pads[-1]):
        raise UnsupportedError(f"operation {operation.type} on the batch or the channels is not supported")
    (top, bottom), (left, right) = [[0, 0]] * (4 - len(pads)) + np.asarray(pads)[1:-1].tolist()
    importer.add_reshaped(Pad, operation, x, read, written, frame=(top, bottom, left, right))


def reshape(importer: Importer, operation: Any) -> None:
    """Reshape, Squeeze and ExpandDims."""
    importer.add(Reshape(**importer.common(operation, operation.inputs[0])))


def softmax(importer: Importer, operation: Any) -> None:
    """Softmax, over the last axis."""
    importer.add(Softmax(**importer.common(operation, operation.inputs[0])))
