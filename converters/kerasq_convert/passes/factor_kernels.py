"""A kernel that is integers times a factor per output channel is stored as the integers; the multiplier takes the factors.

Quantizers with an alpha (`Ternary`, `ScaledFixedPoint`) train such kernels. With w = r·k, one r per output channel,
x·w = (x·k)·r: the device adds up exact integers, as with signs, and multiplies once per output. Kernels that are binary or on a
power-of-two grid are left as they are: they need no multiplier for it.
"""

from __future__ import annotations

import numpy as np

from kerasq_convert.formats.kernels import binary_scale, grid_of, integers_and_scale, only_moves, ternary_scale
from kerasq_convert.graph import Graph, Node, WeightedNode, replace


def factor_kernels(graph: Graph) -> Graph:
    """Kernels of integers, with a multiplier per output channel, for those that are such a product."""
    return graph.with_nodes(_factored(node) if isinstance(node, WeightedNode) else node for node in graph.nodes)


def _factored(node: WeightedNode) -> Node:
    kernel = node.kernel
    if node.multiplier is not None or binary_scale(kernel) is not None or grid_of(kernel) is not None or only_moves(kernel):
        return node
    scale = ternary_scale(kernel)
    factored = integers_and_scale(kernel) if scale is None else (np.sign(kernel), scale)
    return node if factored is None else replace(node, kernel=factored[0], multiplier=factored[1])
