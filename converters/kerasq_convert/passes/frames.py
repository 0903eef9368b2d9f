"""Frames of zeros become the padding of the convolutions that read them; what is left becomes a convolution of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq_convert.graph import Convolution, Crop, Frame, Graph, Node, Pad, Pool, replace


def fold_padding(graph: Graph) -> Graph:
    """A `Pad` that only convolutions read, each with a window that reaches beyond the frame, becomes their padding."""
    for node in graph.nodes:
        if not isinstance(node, Pad) or node.output in graph.outputs.values():
            continue
        readers = graph.consumers()[node.output]
        padded = {id(reader): _padded(node, reader) for reader in readers}
        if readers and all(padded.values()):
            graph = graph.with_nodes(padded.get(id(other)) or other for other in graph.nodes if other is not node)
    return graph


def _padded(pad: Pad, reader: Node) -> Convolution | None:
    if not isinstance(reader, Convolution):
        return None
    padding = tuple(a + b for a, b in zip(pad.frame, reader.padding, strict=True))
    height, width = ((taps - 1) * step + 1 for taps, step in zip(reader.kernel.shape[1:3], reader.dilations, strict=True))
    if max(padding[:2]) >= height or max(padding[2:]) >= width:
        return None  # a window would lie in the frame altogether, which the file format rules out
    top, bottom, left, right = padding
    return replace(reader, inputs=pad.inputs, padding=(top, bottom, left, right), layers=(*pad.layers, *reader.layers))


def lower_frames(graph: Graph) -> Graph:
    """Every `Pad` and `Crop` as a depthwise convolution whose kernel has a single one; a crop of steps alone as a pooling."""
    return graph.with_nodes(_lowered(node) if isinstance(node, Frame) else node for node in graph.nodes)


def _lowered(node: Frame) -> Convolution | Pool:
    """Row i of the output is row i - p + j of the input, with p rows of padding above and below and the one in row j.

    With a frame of t and b rows, a kernel of t + b + 1 rows crops with p = 0 and j = t, and pads with p = t + b and j = b.
    A crop with steps of s reaches row t of the first window and must not find a window more than it takes: its kernel has
    max(t, t + b + 1 - s) + 1 rows.
    """
    top, bottom, left, right = node.frame
    common: dict[str, Any] = {"output": node.output, "inputs": node.inputs, "shape": node.shape, "layers": node.layers}
    channels = node.shape[-1]
    if isinstance(node, Crop):
        rows, columns = (
            max(first, first + last + 1 - step) + 1
            for first, last, step in zip((top, left), (bottom, right), node.strides, strict=True)
        )
        if rows == columns == 1:
            return Pool(**common, average=False, window=(1, 1), strides=node.strides)
        at, padding, strides = (top, left), (0, 0, 0, 0), node.strides
    else:
        rows, columns, at, strides = top + bottom + 1, left + right + 1, (bottom, right), (1, 1)
        padding = (rows - 1, rows - 1, columns - 1, columns - 1)
    kernel = np.zeros((channels, rows, columns, 1), np.float32)
    kernel[:, at[0], at[1]] = 1
    return Convolution(**common, layer=node.layers[-1], kernel=kernel, strides=strides, padding=padding, groups=channels)
