"""Sums that go on from step to step, as the cell state of an unrolled LSTM does: `c' = f·c + i·g`.

An error that one step makes is in all that follow, and the sum grows beyond its terms. So it gets 16 bits, as tf.lite's integer
LSTM has it, and the products that it adds up, too. No kernel reads it, only products and a table: it costs no 16-bit kernels.
A state that kernels read (of a GRU) keeps the width of the others.
"""

from __future__ import annotations

from kerasq_convert.graph import Add, Graph, Multiply, Node, WeightedNode

MIN_SUMS = 2  # one alone is no recurrence


def running_sums(graph: Graph) -> frozenset[str]:
    """The values of such sums, of their products, and of what the first of them starts from."""
    producers, readers = graph.producers(), graph.consumers()
    chains: dict[str, list[str]] = {}  # by the value of a sum, those of the chain that it ends
    for node in graph.nodes:
        if not isinstance(node, Add) or any(isinstance(reader, WeightedNode) for reader in readers[node.output]):
            continue
        products = [producer for value in node.inputs if isinstance(producer := producers.get(value), Multiply)]
        if len(products) < len(node.inputs):
            continue
        before = [value for product in products for value in product.inputs if _may_start(producers.get(value), chains)]
        if before:
            chain = chains.get(before[0], before[:1])
            chains[node.output] = [*chain, *(product.output for product in products), node.output]
    return frozenset(value for chain in chains.values() if len(chain) > 1 + 3 * (MIN_SUMS - 1) for value in chain)


def _may_start(node: Node | None, chains: dict[str, list[str]]) -> bool:
    """Whether a sum may go on from what a node computes: another sum, or the product that is there before the first."""
    return node is not None and (node.output in chains or isinstance(node, Multiply))
