"""Every output channel of a kernel gets the full range of 8 bits; the multiplier gives back its size.

A tensor has one format, and where channels differ in size (depthwise kernels, kernels that took in a BatchNorm) the small ones
keep few of its bits. With w = r·w', one r per output channel, x·w = (x·w')·r: the runtime's multiplier costs two bytes per
channel and one multiplication per output.
"""

from __future__ import annotations

import numpy as np

from kerasq.qformat import fixed
from kerasq_convert.formats import folded_kernel
from kerasq_convert.graph import Graph, Node, WeightedNode, replace
from kerasq_convert.kernels import binary_scale, grid_of

FORMAT = fixed(8, 7)
SHRINKS = np.linspace(1.0, 0.7, 13)  # of the range, that a row's largest weights may be saturated to


def scale_channels(graph: Graph) -> Graph:
    """Kernels that are free of any grid, rounded to FIXED8_7 channel by channel, with the channels' sizes as multipliers.

    This rewrite quantizes: it changes the network's function by the rounding of its kernels.
    """
    return graph.with_nodes(_scaled(node) if _is_free(node) else node for node in graph.nodes)


def _is_free(node: Node) -> bool:
    if not isinstance(node, WeightedNode) or node.kernel.size == len(node.kernel):
        return False
    return binary_scale(node.kernel) is None and grid_of(node.kernel, (8, 16)) is None


def _scaled(node: Node) -> WeightedNode:
    assert isinstance(node, WeightedNode)
    kernel = folded_kernel(node)
    rows = kernel.reshape(len(kernel), -1)
    largest = np.max(np.abs(rows), axis=1)
    largest[largest == 0] = 1.0
    best, error, chosen = np.zeros_like(rows), np.full(len(rows), np.inf), largest
    for shrink in SHRINKS:
        scale = shrink * largest / FORMAT.max
        values = FORMAT.dequantize(FORMAT.quantize(rows / scale[:, None]), np.float64)
        found = np.sum((values * scale[:, None] - rows) ** 2, axis=1)
        better = found < error
        best[better], error[better] = values[better], found[better]
        chosen = np.where(better, scale, chosen)
    return replace(node, kernel=best.reshape(kernel.shape).astype(np.float32), multiplier=chosen)
