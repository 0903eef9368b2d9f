"""Which values of a network can't be negative: an unsigned format has a bit more for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq_convert.graph import Add, Concat, Curve, Gather, Graph, Multiply, Opaque, Pool, Softmax, WeightedNode, moves_values


def non_negative(graph: Graph, histograms: Mapping[str, Histogram]) -> set[str]:
    """Values that are clamped at zero, or moved, averaged, multiplied or added up from such; inputs by what was observed.

    Those that are stored with an offset are so, too; what is computed from them is not by that.
    """
    values = {value for value in graph.inputs if value in histograms and histograms[value].min >= 0}
    for node in graph.nodes:
        passes_on = (isinstance(node, Pool | Concat | Multiply | Add) and not isinstance(node, Opaque)) or moves_values(node)
        passes_on = passes_on or (isinstance(node, WeightedNode) and _adds_up(node))
        passes_on = passes_on and not (isinstance(node, WeightedNode | Multiply) and node.zero)
        never = node.clamp[0] >= 0 or isinstance(node, Softmax) or (passes_on and values.issuperset(node.inputs))
        never = never or (isinstance(node, Gather) and np.min(node.kernel) >= 0)
        never = never or node.output in graph.offsets
        if never or (isinstance(node, Curve) and _is_non_negative(node)):
            values.add(node.output)
    return values


def _is_non_negative(node: Curve) -> bool:
    """Whether a function is nowhere negative. (Were it so between these places, its table would hold zeros there.)"""
    with np.errstate(all="ignore"):
        return bool(np.nanmin(node.function(np.linspace(-64.0, 64.0, 1 << 13))) >= 0)


def _adds_up(node: WeightedNode) -> bool:
    """Whether nothing that a node computes from is negative, but for what it reads."""
    constants = (node.kernel, node.multiplier, node.bias)
    return all(constant is None or bool(np.min(constant) >= 0) for constant in constants)
