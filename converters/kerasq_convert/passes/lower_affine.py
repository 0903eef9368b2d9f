"""An affine node that nothing could take in becomes a depthwise 1x1 convolution, which has its arithmetic already."""

from __future__ import annotations

import numpy as np

from kerasq_convert.graph import Affine, Graph, Identity, Node, Reshape, Scaling


def lower_affine(graph: Graph) -> Graph:
    """Every `Affine` as a convolution with a 1x1 kernel and as many groups as channels."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Affine):
            nodes += _lowered(node)
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)


def _lowered(node: Affine) -> list[Node]:
    if np.all(node.scale == 1) and not np.any(node.offset):
        return [Identity(**_common(node))]
    channels = node.shape[-1]
    scale = np.broadcast_to(node.scale, channels)
    offset = np.broadcast_to(node.offset, channels)
    pixels = (1, int(np.prod(node.shape[1:-1], dtype=int)), 1, channels)
    common = _common(node)
    whole = len(node.shape) == 4
    convolution = Scaling(
        **common | ({} if whole else {"shape": pixels, "inputs": (f"{node.output}/in",), "output": f"{node.output}/out"}),
        layer=node.layers[-1],
        kernel=scale.reshape(-1, 1, 1, 1),
        bias=offset if np.any(offset) else None,
        groups=channels,
    )
    if whole:
        return [convolution]
    before = Reshape(output=f"{node.output}/in", inputs=node.inputs, shape=pixels, layers=node.layers)
    after = Reshape(**common | {"inputs": (f"{node.output}/out",)})
    return [before, convolution, after]


def _common(node: Node) -> dict:
    return {"output": node.output, "inputs": node.inputs, "shape": node.shape, "layers": node.layers}
