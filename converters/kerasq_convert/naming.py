"""Names of tensors: `layer/output`, `layer/kernel`, `layer/multiplier`, `layer/bias`, and inputs by their own name.

Layers come from `kerasq.scopes`, by which a training names what it observes, too. A tensor that several fused layers produce is
named by the last of them (`conv1_relu/output`), a parameter by the layer that owns the weights. `layer/output` is what the layer
returns; what comes before within the layer (the logits of a Dense with a softmax), or from its other uses, is called
`layer/output:1`, `layer/output:2`.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasq_convert.graph import Graph, WeightedNode


class Names:
    """The names of one graph's tensors.

    Args:
        graph: The graph.
        before: Names of the graph that this one was made of: activations of both keep those. A settings file names activations of
            this graph, and decides by them what becomes of that one.
    """

    def __init__(self, graph: Graph, before: Names | None = None):
        taken: set[str] = set()
        self._buffers = {value: _unique(value, taken) for value in graph.inputs}
        self._owners: dict[str, str] = {}
        weighted: set[str] = set()
        for node in reversed(graph.nodes):
            self._buffers[node.output] = _unique(f"{node.layers[-1]}/output", taken)
        if before is not None:
            self._buffers |= {value: before.buffer(value) for value in self._buffers}
        for node in graph.nodes:
            if isinstance(node, WeightedNode):
                self._owners[node.output] = _unique(node.layer, weighted)
        self._vectors = [
            name
            for node in graph.nodes
            if isinstance(node, WeightedNode)
            for name in (self.kernel(node), self.multiplier(node), self.bias(node))
        ]

    def buffer(self, value: str) -> str:
        """The activation that holds a value."""
        return self._buffers[value]

    def kernel(self, node: WeightedNode) -> str:
        return f"{self._owners[node.output]}/kernel"

    def multiplier(self, node: WeightedNode) -> str:
        return f"{self._owners[node.output]}/multiplier"

    def bias(self, node: WeightedNode) -> str:
        return f"{self._owners[node.output]}/bias"

    def buffers(self) -> Iterator[str]:
        return iter(self._buffers.values())

    def parameters(self) -> Iterator[str]:
        return iter(self._vectors)


def _unique(name: str, taken: set[str]) -> str:
    unique, count = name, 0
    while unique in taken:
        count += 1
        unique = f"{name}:{count}"
    taken.add(unique)
    return unique
