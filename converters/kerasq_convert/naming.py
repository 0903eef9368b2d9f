"""Names of tensors: `layer/output`, `layer/kernel`, `layer/multiplier`, `layer/bias`, and inputs by their own name.

Layers come from `kerasq.scopes`, by which a training names what it observes, too. A tensor that several fused layers produce is
named by the last of them (`conv1_relu/output`), a parameter by the layer that owns the weights. `layer/output` is what the layer
returns; what comes before within the layer (the logits of a Dense with a softmax), or from its other uses, is called
`layer/output:1`, `layer/output:2`. What the converter makes for itself is named after the tensor that it makes it for.

Names are made of roles (roles.py), never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasq_convert import roles
from kerasq_convert.graph import Graph, KernelNode, WeightedNode
from kerasq_convert.roles import Part, Role


class Names:
    """The names of one graph's tensors: `names[role]`.

    Args:
        graph: The graph.
        before: Names of the graph that this one was made of: activations of both keep those. A settings file names activations of
            this graph, and decides by them what becomes of that one.
    """

    def __init__(self, graph: Graph, before: Names | None = None):
        taken: set[str] = set()
        self._graph, self._nodes = graph, graph.producers()
        self._buffers = {value: unique(value, taken) for value in graph.inputs}
        self._owners: dict[str, str] = {}
        weighted: set[str] = set()
        for node in reversed(graph.nodes):
            self._buffers[node.output] = unique(f"{node.layers[-1]}/{Part.BUFFER}", taken)
        if before is not None:
            self._buffers |= {value: before.buffer(value) for value in self._buffers}
        for node in graph.nodes:
            if isinstance(node, KernelNode):
                self._owners[node.output] = unique(node.layer, weighted)

    def __getitem__(self, role: Role) -> str:
        if role.is_buffer:
            return self._buffers[role.value]
        if role.is_parameter:
            return f"{self._owners[role.value]}/{role.part}"
        return f"{self._made_for(role)}/{role.part}"

    def _made_for(self, role: Role) -> str:
        """The tensor that one of the converter's own is named after: an addend after the term, or the kernel of its operator."""
        if role.part is not Part.ADDEND:
            return self._buffers[role.value]
        node = self._nodes[role.value]
        return self[roles.kernel(node)] if isinstance(node, WeightedNode) else self._buffers[node.inputs[role.term]]

    def buffer(self, value: str) -> str:
        """The activation that holds a value."""
        return self._buffers[value]

    def buffers(self) -> Iterator[str]:
        """Those that settings may name as buffers."""
        return (self[role] for role in roles.buffers_of(self._graph))

    def parameters(self) -> Iterator[str]:
        """Those that settings may name as parameters, whether there are such or not."""
        return (self[role] for role in roles.parameters_of(self._graph))


def unique(name: str, taken: set[str], separator: str = ":") -> str:
    """`name`, with a number where it is taken; then it is."""
    numbered, count = name, 0
    while numbered in taken:
        count += 1
        numbered = f"{name}{separator}{count}"
    taken.add(numbered)
    return numbered
