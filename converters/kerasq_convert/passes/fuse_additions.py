"""An addition becomes part of the convolution before it, which reads the other term as its addend.

The sum is then rounded once and not twice, one buffer less is kept, and the output may take the addend's place. The convolution
moves to where the addition was: only there the addend is sure to be computed. Where both terms come from convolutions, as in a
block whose shortcut projects, the one is taken that lets fewer bytes be alive at once; if there is nothing in it, the later.
"""

from __future__ import annotations

from collections.abc import Callable

from kerasq import ops
from kerasq.format import Model, Operator, Tensor
from kerasq.qformat import fixed
from kerasq_convert.graph import Add, Convolution, Graph, Node, is_exclusive, replace, until_stable
from kerasq_convert.memory.order import least_bytes
from kerasq_convert.operators import activations_of, operator_of

MOST_MOVES = 2_000  # of the search for an order, made twice for each addition of two convolutions: enough for some branches


def fuse_additions(graph: Graph, keeps: Callable[[str, str], bool] = lambda term, total: False) -> Graph:
    """`graph` with additions in convolutions.

    Args:
        graph: After all passes that change formats and clamps.
        keeps: Whether a convolution's output is to stay apart from the sum, both given as values.
    """
    return until_stable(graph, lambda current: _fuse_one(current, keeps))


def _fuse_one(graph: Graph, keeps: Callable[[str, str], bool]) -> Graph | None:
    producers, readers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        if not isinstance(node, Add):
            continue
        candidates = []
        for term, addend in (node.inputs, node.inputs[::-1]):
            convolution = producers.get(term)
            if (
                isinstance(convolution, Convolution)
                and len(convolution.inputs) == 1
                and convolution.is_plain
                and is_exclusive(graph, term, readers)
                and not keeps(term, node.output)
            ):
                candidates.append((graph.nodes.index(convolution), _fused(graph, convolution, node, addend)))
        if candidates:
            candidates.sort(key=lambda candidate: -candidate[0])
            graphs = [fused for _, fused in candidates]
            return graphs[0] if len(graphs) == 1 else min(graphs, key=_bytes_alive)
    return None


def _fused(graph: Graph, convolution: Convolution, addition: Add, addend: str) -> Graph:
    fused = replace(
        convolution,
        output=addition.output,
        inputs=(*convolution.inputs, addend),
        layers=tuple(dict.fromkeys((*convolution.layers, *addition.layers))),
        clamp=addition.clamp,
        format=addition.format,
    )
    return graph.with_nodes(fused if node is addition else node for node in graph.nodes if node is not convolution)


def _bytes_alive(graph: Graph) -> int:
    """Bytes that no arena for the network can do without, a byte for every value; beyond all if that takes too long to tell."""
    index: dict[str, int] = {}
    tensors: list[Tensor] = []
    operators: list[Operator] = []
    for value, shape in (*graph.inputs.items(), *((node.output, node.shape) for node in graph.nodes)):
        index[value] = len(tensors)
        tensors.append(Tensor(value, shape, fixed(8, 0)))
    for node in graph.nodes:
        operators.append(_operator(node, [index[value] for value in node.inputs], index[node.output]))
    inputs, outputs = (tuple(index[value] for value in dict.fromkeys(ends)) for ends in (graph.inputs, graph.outputs.values()))
    bound = least_bytes(Model(tuple(tensors), tuple(operators), inputs, outputs), MOST_MOVES)
    return 1 << 62 if bound is None else bound


def _operator(node: Node, inputs: list[int], output: int) -> Operator:
    """The operator that computes a node, without its constants: where its output may lie does not depend on them."""
    kind, attributes = operator_of(node)
    return ops.make(kind, activations_of(kind, inputs), output, **attributes)
