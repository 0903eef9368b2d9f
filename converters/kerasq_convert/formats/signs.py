"""Which values of a network can't be negative: an unsigned format has a bit more for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kerasq.histogram import Histogram
from kerasq_convert.graph import Concat, Curve, Graph, Multiply, Pool, Softmax, moves_values


def non_negative(graph: Graph, histograms: Mapping[str, Histogram]) -> set[str]:
    """Values that are clamped at zero, or moved, averaged or multiplied from such; inputs by what was observed of them."""
    values = {value for value in graph.inputs if value in histograms and histograms[value].min >= 0}
    for node in graph.nodes:
        passes_on = isinstance(node, Pool | Concat | Multiply) or moves_values(node)
        never = node.clamp[0] >= 0 or isinstance(node, Softmax) or (passes_on and values.issuperset(node.inputs))
        if never or (isinstance(node, Curve) and _is_non_negative(node)):
            values.add(node.output)
    return values


def _is_non_negative(node: Curve) -> bool:
    """Whether a function is nowhere negative. (Were it so between these places, its table would hold zeros there.)"""
    with np.errstate(all="ignore"):
        return bool(np.nanmin(node.function(np.linspace(-64.0, 64.0, 1 << 13))) >= 0)
