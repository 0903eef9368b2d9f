"""From what a training observed to what is known of every value of the network: the statistics by the names of its buffers.

A training observed the values of the user's graph (kerasq.callbacks); the passes leave some of them away and make others. A
value is found by its place in the user's graph, else by its name. Of the rest, many follow from others that are known: what
only moves values leaves their statistics as they are, and a function of each value by itself can be applied to them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq.histogram import Histogram
from kerasq.statistics import Statistics
from kerasq_convert.formats.choice import values_of
from kerasq_convert.graph import (
    UNLIMITED,
    Concat,
    Convolution,
    Curve,
    Graph,
    Identity,
    Node,
    Pool,
    Reshape,
    Scaled,
    Softmax,
    Transpose,
    moves_values,
)
from kerasq_convert.naming import Names


def by_buffer(graph: Graph, names: Names, statistics: Statistics) -> Statistics:
    """The statistics of each buffer of the network of which something is known, by the buffer's name."""
    histograms = dict(_observed(graph, names, statistics))
    for value in graph.scaled:
        histogram = _derived(graph, statistics, histograms, value)
        if histogram is not None:
            histograms[value] = histogram
    while followed := [(value, histogram) for value, histogram in _followed(graph, histograms) if value not in histograms]:
        histograms |= followed
    result = Statistics({names.buffer(value): histograms[value] for value in values_of(graph) if value in histograms})
    result.metadata = statistics.metadata
    return result


def _observed(graph: Graph, names: Names, statistics: Statistics) -> Iterator[tuple[str, Histogram]]:
    """Values that were observed themselves."""
    for position, value in enumerate(graph.inputs):
        if value in statistics:
            yield value, statistics[value]
        elif len(statistics.inputs) == len(graph.inputs) and not set(statistics.inputs) & set(graph.inputs):
            # Keras numbers inputs that nobody named anew whenever a model is loaded; their order stays.
            yield value, statistics[statistics.inputs[position]]
    readers = graph.consumers()
    for node in graph.nodes:
        histogram = _at_place(graph, statistics, node.output) or _by_name(node, names, statistics, readers[node.output])
        if histogram is not None:
            yield node.output, histogram


def _derived(graph: Graph, statistics: Statistics, histograms: dict[str, Histogram], value: str) -> Histogram | None:
    """What is known of a value through those that it was made from."""
    observed = histograms.get(value) or _at_place(graph, statistics, value)
    if observed is not None or value not in graph.scaled:
        return observed
    scaled = graph.scaled[value]
    source = _derived(graph, statistics, histograms, scaled.value)
    return None if source is None else _scaled(source, scaled)


def _at_place(graph: Graph, statistics: Statistics, value: str) -> Histogram | None:
    place = graph.places.get(value)
    return None if place is None else statistics.get(statistics.places.get(place, place))


def _by_name(node: Node, names: Names, statistics: Statistics, readers: list[Node]) -> Histogram | None:
    """By the layer alone: of files of version 0.1.0, and of trainings under other backends than TensorFlow."""
    layer = node.layers[-1]
    inside = any(layer in reader.layers for reader in readers)  # or a shared layer that reads its own result
    if not inside:
        return statistics.get(f"{layer}/output")
    if any(isinstance(reader, Curve | Softmax | Identity) for reader in readers):
        return statistics.get(f"{layer}/before_activation")
    return statistics.get(names.buffer(node.output))


def _followed(graph: Graph, histograms: dict[str, Histogram]) -> Iterator[tuple[str, Histogram]]:
    """Values next to known ones that those determine."""
    readers = graph.consumers()
    for node in graph.nodes:
        if all(value in histograms for value in node.inputs):
            histogram = _computed(node, [histograms[value] for value in node.inputs])
            if histogram is not None:
                yield node.output, histogram
        if node.output in histograms and _moves_all(node, readers[node.inputs[0]]):
            yield node.inputs[0], histograms[node.output]


def _moves_all(node: Node, readers: list[Node]) -> bool:
    """Whether a node's values are those that it reads, or those of them that matter: nothing reads what a crop alone removes."""
    if node.clamp != UNLIMITED:
        return False
    if isinstance(node, Convolution):
        return moves_values(node) and not any(node.padding) and len(readers) == 1
    return isinstance(node, Reshape | Transpose)


def _computed(node: Node, inputs: list[Histogram]) -> Histogram | None:
    """The statistics of what a node computes, if those of its inputs give them."""
    match node:
        case Curve():
            return _limited(inputs[0].mapped(node.function), node)
        case Identity() | Reshape() | Transpose() | Pool():  # a pooled value lies between those that are pooled
            return _limited(inputs[0], node)
        case Concat():
            return _limited(merged(inputs), node)
        case Convolution() if moves_values(node) and node.clamp == UNLIMITED:
            return merged([inputs[0], _zero()])
        case Convolution() if node.kernel.size == len(node.kernel) and len(node.inputs) == 1 and not any(node.padding):
            scale = node.kernel.reshape(-1).astype(np.float64) * (1.0 if node.multiplier is None else node.multiplier)
            offset = np.zeros(1) if node.bias is None else node.bias
            return _limited(_scaled(inputs[0], Scaled(node.inputs[0], scale, offset)), node)
        case _:
            return None


def _limited(histogram: Histogram, node: Node) -> Histogram:
    if node.clamp == UNLIMITED:
        return histogram
    return histogram.mapped(lambda values: np.clip(values, *node.clamp))


def _scaled(histogram: Histogram, scaled: Scaled) -> Histogram:
    """Any channel may take any of the values: which ones each took is not known."""
    scale, offset = np.broadcast_arrays(*(np.reshape(part, -1).astype(np.float64) for part in (scaled.scale, scaled.offset)))
    pairs = np.unique(np.stack([scale, offset]), axis=1).T
    if np.array_equal(pairs, [[1.0, 0.0]]):
        return histogram

    def channel(pair: np.ndarray) -> Histogram:
        return histogram.mapped(lambda values: values * pair[0] + pair[1])

    return merged([channel(pair) for pair in pairs])


def _zero() -> Histogram:
    histogram = Histogram()
    histogram.add(np.zeros(1))
    return histogram


def merged(histograms: list[Histogram]) -> Histogram:
    """The statistics of all values of some histograms."""
    together = Histogram()
    for histogram in histograms:
        together.merge(histogram)
    return together
