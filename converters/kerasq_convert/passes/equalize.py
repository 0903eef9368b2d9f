"""Cross-layer equalization: channels of one layer's kernel and of the next one's share their sizes evenly.

Where nothing but a function with f(s·x) = s·f(x), s > 0, lies between two kernels (a ReLU without upper limit, pooling), channel
c of what lies between may have any size: the first kernel's output channel is divided by s_c, the second one's input channel
multiplied by it, and the network computes what it did. With the largest magnitudes a_c and b_c of the two,

    s_c = sqrt(a_c / b_c)

makes both sqrt(a_c·b_c), which wastes the least of two formats that each serve a whole kernel. Chains of layers are gone through
until the scales hardly change. (Nagel et al. 2019, Data-free quantization, arXiv:1906.04721, section 4.1.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq_convert.formats.weights import folded_kernel
from kerasq_convert.graph import Convolution, Dense, Graph, Node, Pool, WeightedNode, is_exclusive, replace
from kerasq_convert.passes.scale_channels import is_free

SWEEPS = 50
CHANGES = 1e-3  # relative: scales that change less have converged
LIMIT = 2.0**10  # of a scale: a channel that is (almost) dead on one side must not grow without bound on the other


def equalize(graph: Graph) -> Graph:
    """`graph` with the sizes of channels balanced between each layer and the next; kernels on a grid stay as they are."""
    pairs = list(_pairs(graph))
    kernels = {id(node): folded_kernel(node) for pair in pairs for node in pair}
    biases = {id(node): node.bias for pair in pairs for node in pair}
    for _ in range(SWEEPS):
        largest_change = 0.0
        for first, second in pairs:
            scale = _scale(_outputs(kernels[id(first)]), _inputs(kernels[id(second)], second, len(first.kernel)))
            kernels[id(first)] = kernels[id(first)] / _column(scale, kernels[id(first)].ndim)
            kernels[id(second)] = inputs_scaled(kernels[id(second)], second, scale)
            bias = biases[id(first)]
            biases[id(first)] = None if bias is None else bias / scale
            largest_change = max(largest_change, float(np.max(np.abs(scale - 1))))
        if largest_change < CHANGES:
            break
    return graph.with_nodes(
        replace(node, kernel=kernels[id(node)], multiplier=None, bias=biases[id(node)])
        if isinstance(node, WeightedNode) and id(node) in kernels
        else node
        for node in graph.nodes
    )


def _pairs(graph: Graph) -> Iterator[tuple[WeightedNode, Convolution | Dense]]:
    """Each layer with the one that alone reads what it computes, as it is or pooled."""
    readers = graph.consumers()
    for first in graph.nodes:
        # A layer with an addend would have to scale that too.
        if not isinstance(first, WeightedNode) or not is_free(first) or len(first.inputs) > 1:
            continue
        node: Node = first
        while _passes_scales(node) and is_exclusive(graph, node.output, readers):
            (reader,) = readers[node.output]
            if isinstance(reader, Convolution | Dense) and is_free(reader) and reader.inputs[0] == node.output:
                yield first, reader
            if not isinstance(reader, Pool):
                break
            node = reader


def _passes_scales(node: Node) -> bool:
    return node.format is None and node.clamp[0] in (0, -np.inf) and node.clamp[1] == np.inf


def _scale(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For the largest magnitudes per channel; channels that are zero on a side stay as they are."""
    both = (first > 0) & (second > 0)
    return np.clip(np.sqrt(np.where(both, first, 1.0) / np.where(both, second, 1.0)), 1 / LIMIT, LIMIT)


def _outputs(kernel: np.ndarray) -> np.ndarray:
    return np.max(np.abs(kernel.reshape(len(kernel), -1)), axis=1)


def _groups(kernel: np.ndarray, node: Convolution | Dense, channels: int) -> np.ndarray:
    """The kernel as (groups, outputs of a group, taps, channels of a group); a Dense layer reads the channels over and over."""
    groups = node.groups if isinstance(node, Convolution) else 1
    return kernel.reshape(groups, len(kernel) // groups, -1, channels // groups)


def _inputs(kernel: np.ndarray, node: Convolution | Dense, channels: int) -> np.ndarray:
    return np.max(np.abs(_groups(kernel, node, channels)), axis=(1, 2)).reshape(-1)


def inputs_scaled(kernel: np.ndarray, node: Convolution | Dense, scale: np.ndarray) -> np.ndarray:
    """A kernel of `node`, with the weights of each channel that it reads multiplied by the channel's scale."""
    grouped = _groups(kernel, node, len(scale))
    return (grouped * scale.reshape(len(grouped), 1, 1, -1)).reshape(kernel.shape)


def _column(scale: np.ndarray, axes: int) -> np.ndarray:
    return scale.reshape(-1, *(1,) * (axes - 1))
