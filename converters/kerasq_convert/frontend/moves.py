"""What moves or selects values: pooling, reshapes, frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.frontend.taking import Taker
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


def pad(importer: Importer, operation: Any) -> None:
    """Pad with zeros around height and width, or at the ends of a sequence."""
    x = operation.inputs[0]
    pads = importer.constant(operation.inputs[1])
    value = importer.constant(operation.inputs[2]) if operation.type == "PadV2" else np.zeros(())
    if pads is None or value is None or np.any(value != 0):
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


def mirror_pad(importer: Importer, operation: Any) -> None:
    """MirrorPad: the rows at an edge in reverse order, the outermost one left out (REFLECT) or not (SYMMETRIC)."""
    x, pads_tensor = operation.inputs
    pads = importer.constant(pads_tensor)
    if pads is None or np.any(pads[0]):
        raise UnsupportedError("padding of the batch, or as the input says, is not supported")
    chain = Taker.of(importer, operation, x)
    mode = operation.get_attr("mode").decode().lower()
    for axis, ends in enumerate(np.asarray(pads).tolist()):
        if any(ends):
            chain.reflect(axis, np.pad(np.arange(chain.shape[axis]), ends, mode=mode))
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))


def reshape(importer: Importer, operation: Any) -> None:
    """Reshape, Squeeze and ExpandDims."""
    importer.add(Reshape(**importer.common(operation, operation.inputs[0])))


def softmax(importer: Importer, operation: Any) -> None:
    """Softmax, over the last axis."""
    importer.add(Softmax(**importer.common(operation, operation.inputs[0])))
