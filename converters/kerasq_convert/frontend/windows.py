"""Strides, dilations and padding of TensorFlow's window operations."""

from __future__ import annotations

from typing import Any

from kerasq_convert.errors import UnsupportedError


def channel_last_pair(operation: Any, attribute: str | None) -> tuple[int, int]:
    """Vertical and horizontal value of a list attribute, having checked that channels come last.

    Raises:
        UnsupportedError: The layout is channels-first, or the attribute acts on the batch or the channels.
    """
    try:
        layout = operation.get_attr("data_format")
    except ValueError:
        layout = b"NHWC"
    if layout not in (b"NHWC", "NHWC", b"", b"NDHWC"):
        raise UnsupportedError("data_format channels_first is not supported: build the network with channels_last")
    if attribute is None:
        return 1, 1
    try:
        values = operation.get_attr(attribute)
    except ValueError:
        return 1, 1
    if values[0] != 1 or values[3] != 1:
        raise UnsupportedError(f"{attribute} {list(values)} acts on the batch or the channels, which is not supported")
    return int(values[1]), int(values[2])


def padding_of(
    operation: Any,
    size: tuple[int, int],
    window: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Rows and columns added at the top, bottom, left and right. SAME puts the odd one at the bottom and right."""
    kind = operation.get_attr("padding")
    if kind in (b"VALID", "VALID"):
        return 0, 0, 0, 0
    if kind in (b"EXPLICIT", "EXPLICIT"):
        explicit = [int(value) for value in operation.get_attr("explicit_paddings")]
        return explicit[2], explicit[3], explicit[4], explicit[5]
    added = []
    for length, taps, stride, dilation in zip(size, window, strides, dilations, strict=True):
        reach = (taps - 1) * dilation + 1
        total = max((-(-length // stride) - 1) * stride + reach - length, 0)
        added += [total // 2, total - total // 2]
    return added[0], added[1], added[2], added[3]
