"""What moves or selects values: pooling, reshapes, frames of zeros, cropping."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.frontend.windows import channel_last_pair, padding_of
from kerasq_convert.graph import Crop, Frame, Pad, Pool, Reshape, Shape, Softmax


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
    if not taken or len(shape) not in (3, 4) or not taken <= set(range(1, len(shape) - 1)):
        raise UnsupportedError(f"{operation.type} over the batch or the channels is not supported")
    image = image_shape(shape)
    added = len(image) - len(shape)
    height, width = (image[axis] if axis - added in taken else 1 for axis in (1, 2))
    pooled = (1, image[1] // height, image[2] // width, image[3])
    window = height, width
    importer.add_reshaped(Pool, operation, x, image, pooled, average=operation.type == "Mean", window=window, strides=window)


def pad(importer: Importer, operation: Any) -> None:
    """Pad with zeros around height and width, or at the ends of a sequence."""
    x = operation.inputs[0]
    pads = importer.constant(operation.inputs[1])
    value = importer.constant(operation.inputs[2]) if operation.type == "PadV2" else np.zeros(())
    if pads is None or value is None or np.any(value != 0) or operation.type == "MirrorPad":
        raise UnsupportedError("padding with other values than zero is not supported: use ZeroPadding")
    _frame(importer, operation, x, Pad, np.asarray(pads), shape_of(operation.outputs[0]))


def _frame(importer: Importer, operation: Any, x: Any, make: type[Frame], pads: np.ndarray, written: Shape) -> None:
    """A Pad or Crop of so much before and after each axis."""
    read = image_shape(shape_of(x))
    if np.any(pads[0]) or np.any(pads[-1]):
        raise UnsupportedError(f"operation {operation.type} on the batch or the channels is not supported")
    (top, bottom), (left, right) = [[0, 0]] * (4 - len(pads)) + pads[1:-1].tolist()
    importer.add_reshaped(make, operation, x, read, image_shape(written), frame=(top, bottom, left, right))


def strided_slice(importer: Importer, operation: Any) -> None:
    """StridedSlice that crops: found by slicing the numbers of the elements, whatever its many masks say."""
    import tensorflow as tf

    x = operation.inputs[0]
    shape = shape_of(x)
    begin, end, strides = (importer.constant(tensor) for tensor in operation.inputs[1:])
    if begin is None or end is None or strides is None:
        raise UnsupportedError("a slice whose place depends on the input is not supported")
    masks = {
        f"{name}_mask": operation.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    masks["shrink_axis_mask"] = 0  # axes that it takes away are kept, one element long; a reshape removes them
    numbers = np.arange(np.prod(shape)).reshape(shape)
    if operation.get_attr("shrink_axis_mask"):
        begin, end = _one_long(operation.get_attr("shrink_axis_mask"), begin, end)
    taken = tf.raw_ops.StridedSlice(input=numbers, begin=begin, end=end, strides=strides, **masks).numpy()
    if not taken.size or taken.ndim != len(shape):
        raise UnsupportedError("a slice that adds axes is not supported")
    first = np.array(np.unravel_index(taken.flat[0], shape))
    last = first + taken.shape
    if np.any(last > shape) or not np.array_equal(taken, numbers[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]):
        raise UnsupportedError("a slice with steps is not supported: use a pooling or a convolution with strides")
    if taken.shape == shape:
        importer.add(Reshape(**importer.common(operation, x)))
        return
    _frame(importer, operation, x, Crop, np.stack([first, np.array(shape) - last], axis=1), taken.shape)


def _one_long(mask: int, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits that keep, with length 1, the axes which the mask takes away."""
    taken = np.array([bool(mask >> axis & 1) for axis in range(len(begin))])
    return begin, np.where(taken, np.where(begin == -1, np.iinfo(np.int32).max, begin + 1), end).astype(begin.dtype)


def reshape(importer: Importer, operation: Any) -> None:
    """Reshape, Squeeze and ExpandDims."""
    importer.add(Reshape(**importer.common(operation, operation.inputs[0])))


def softmax(importer: Importer, operation: Any) -> None:
    """Softmax, over the last axis."""
    importer.add(Softmax(**importer.common(operation, operation.inputs[0])))
