"""Windows: TFLite knows SAME and VALID, everything else is a PAD before."""

from __future__ import annotations

import numpy as np

from kerasq.format.model import Operator
from kerasq.qformat import QFormat
from kerasq_convert.tflite.values import Network, source_of

SAME, VALID = 0, 1


def padding_of(operator: Operator, shape: tuple[int, ...], window: tuple[int, int]) -> int | None:
    """SAME or VALID, where one of them is the operator's padding.

    Args:
        operator: Of ours.
        shape: Of its input.
        window: Of the kernel or the pooling.
    """
    if operator.padding == (0, 0, 0, 0):
        return VALID
    same: list[int] = []
    for size, taps, stride, dilation in zip(shape[1:3], window, operator.strides, operator.dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
        same += [total // 2, total - total // 2]
    return SAME if tuple(same) == operator.padding else None


def padded(network: Network, operator: Operator, source: int, form: QFormat, value: int | None = None) -> int:
    """Adds a PAD of an operator's input by its padding.

    Args:
        network: Is added to.
        operator: Of ours.
        source: The tensor to pad.
        form: Its format.
        value: What to pad with, a stored integer of ours; `None` for what means 0 in the tensor.
    """
    tensor = network.model.tensors[source_of(operator)]
    top, bottom, left, right = operator.padding
    n, rows, columns, channels = tensor.shape
    name = f"{tensor.name}/padded"
    target = network.builder.like(source, name, (n, rows + top + bottom, columns + left + right, channels))
    sizes = network.constant(f"{name}/sizes", np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
    if value is None:
        return network.builder.operator("PAD", 2, [source, sizes], target, options="PadOptions")
    constant = network.constant(f"{name}/value", np.array([value]), form, network.zero(source_of(operator)))
    return network.builder.operator("PADV2", 2, [source, sizes, constant], target, options="PadV2Options")
