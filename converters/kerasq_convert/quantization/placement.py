"""Where quantizers belong: at what the passes leave to be stored.

The passes run over the network with the quantizers that are there so far; what is then stored without a format gets one, until
nothing is left. So a quantizer never stands between what is fused (a BatchNormalization, an addition, a ReLU), and every value
that a file stores is quantized in training; but for values that only move, and the probabilities at the network's end, whose
logarithm a loss may ask for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from kerasq.qformat import fixed
from kerasq_convert.graph import ArgMax, Gather, Graph, Identity, Node, Softmax, moves_values, replace
from kerasq_convert.network import Network
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.quantization.calls import Site
from kerasq_convert.quantization.reading import Reading
from kerasq_convert.settings import Settings

_QUANTIZED = "/quantized"
_SOME_FORMAT = fixed(8, 0)  # which one it is makes no difference to the passes


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where quantizers are to stand.

    Attributes:
        network: The network with all of them, simplified, and without their formats.
        values: For each site, what the network stores there; nothing where the passes left it away.
    """

    network: Network
    values: Mapping[Site, list[str]]


def place(reading: Reading, settings: Settings) -> Placement:
    """The sites that are stored.

    Raises:
        ConversionError: The network can't be written as operators.
    """
    read = reading.graph.consumers()
    sites: dict[Site, None] = dict.fromkeys(reading.sites[name] for name in reading.graph.inputs if not _numbers_rows(name, read))
    while True:
        network = simplify(_quantized(reading, sites), settings)
        stored = (node for node in network.graph.nodes if _needs_format(node, network.graph))
        missing = (_site_behind(reading, network.graph, node.output) for node in stored)
        new = {site: None for site in missing if site is not None and site not in sites}
        if not new:
            break
        sites |= new
    nodes = (node if _has_its_own(node, network.graph) else replace(node, format=None) for node in network.graph.nodes)
    bare = dataclasses.replace(network, graph=network.graph.with_nodes(nodes))
    values: dict[Site, list[str]] = {site: [] for site in sites}
    for value in (*bare.graph.inputs, *(node.output for node in network.graph.nodes if node.format is not None)):
        site = _site(reading, bare.graph, value)
        if site in values:
            values[site].append(value)
    return Placement(bare, values)


def _quantized(reading: Reading, sites: Collection[Site]) -> Graph:
    """The graph with a quantizer after every value of these sites that a node computes."""
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    for node in reading.graph.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(value, value) for value in node.inputs)))
        if reading.sites.get(node.output) in sites and node.format is None:
            renamed[node.output] = f"{node.output}{_QUANTIZED}"
            nodes.append(
                Identity(
                    output=renamed[node.output],
                    inputs=(node.output,),
                    shape=node.shape,
                    layers=node.layers,
                    format=_SOME_FORMAT,
                )
            )
    graph = reading.graph
    outputs = {name: renamed.get(value, value) for name, value in graph.outputs.items()}
    places = dict(graph.places) | {new: old for old, new in renamed.items()}
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs, places=places)


def _needs_format(node: Node, graph: Graph) -> bool:
    if node.format is not None or moves_values(node) or isinstance(node, ArgMax):
        return False
    return not (isinstance(node, Softmax) and node.output in graph.outputs.values())


def _numbers_rows(value: str, readers: Mapping[str, Sequence[Node]]) -> bool:
    """Whether look-ups alone read a value."""
    return bool(readers[value]) and all(
        isinstance(node, Gather) or (moves_values(node) and _numbers_rows(node.output, readers)) for node in readers[value]
    )


def _has_its_own(node: Node, graph: Graph) -> bool:
    """Whether a node's format is that of a quantizer that the model has already."""
    return node.format is not None and _QUANTIZED not in node.output


def _site_behind(reading: Reading, graph: Graph, value: str) -> Site | None:
    """Where a value can be quantized, or else where nodes that only move it leave it."""
    own = _site(reading, graph, value)
    if own is not None:
        return own
    movers = (node.output for node in graph.consumers()[value] if moves_values(node))
    return next(filter(None, (_site_behind(reading, graph, moved) for moved in movers)), None)


def _site(reading: Reading, graph: Graph, value: str) -> Site | None:
    """Where a value can be quantized: there where it, or what it was made of, is computed."""
    value = value.removesuffix(_QUANTIZED)
    if value in reading.sites:
        return reading.sites[value]
    return _site(reading, graph, graph.scaled[value].value) if value in graph.scaled else None
