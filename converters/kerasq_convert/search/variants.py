"""One network in several widths: kernels and buffers that are free, each with the widths that it may have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from kerasq.qformat import fixed
from kerasq.statistics import Statistics
from kerasq_convert import roles
from kerasq_convert.building import Builder
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.formats import ranges
from kerasq_convert.formats.behind import behind, functions_behind
from kerasq_convert.formats.choice import BITS, KERNEL_BITS, Choice, Formats, Reason
from kerasq_convert.graph import Node, WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.options import Options
from kerasq_convert.passes.multipliers import with_multipliers
from kerasq_convert.passes.widths import free_kernels
from kerasq_convert.roles import Part, Role
from kerasq_convert.search.search import free_tensors

Widths = Mapping[Role, int]


class Variants:
    """Builds a network with these or those widths.

    Args:
        network: Its kernels as the model has them.
        build: Builds it as it is without other widths.
        decided: Formats that were decided for that.
        options: `weight_bits`, which leaves no choice of kernels; `per_channel`.
    """

    def __init__(self, network: Network, build: Builder, decided: Mapping[Role, Choice], options: Options):
        self._network, self._build, self._decided, self._options = network, build, decided, options
        formats = build(decided).formats
        self.usual = {role: formats[role].format.bits for role in self._roles(formats)}
        self._functions = functions_behind(build.network.graph)
        self._last: tuple[Widths, Emitted] | None = None
        self._nodes: dict[int, tuple[Node, ...]] = {}  # of the graph with kernels of a width
        self._buffers: dict[tuple[Role, int], Choice] = {}
        self._signed = {role: formats[role].format.signed for role in self.usual}

    def _roles(self, formats: Formats) -> list[Role]:
        """What is free, in the order of execution, buffers first."""
        settings, names = self._build.settings, self._network.names
        buffers = [role for role in free_tensors(formats) if role.is_buffer]
        if self._options.kernel_bits is not None:
            return buffers
        return [*buffers, *(role for role in free_kernels(self._network.graph) if settings.parameter(names[role]) is None)]

    def bits(self, role: Role) -> Sequence[int]:
        """The widths that a tensor may have."""
        return KERNEL_BITS if role.part is Part.KERNEL else BITS

    def name(self, role: Role) -> str:
        return self._network.names[role]

    def builder(self, widths: Widths) -> tuple[Builder, dict[Role, Choice]]:
        """What builds the network with tensors of these widths, all others as without; what it is called with."""
        changed = {role: bits for role, bits in widths.items() if bits != self.usual[role]}
        kernels = {role: bits for role, bits in changed.items() if role.part is Part.KERNEL}
        policy = dataclasses.replace(self._build.policy, kernel_bits={**self._build.policy.kernel_bits, **kernels})
        decided = {role: choice for role, choice in self._decided.items() if role not in changed}
        decided |= {role: self._buffer(role, bits) for role, bits in changed.items() if role not in kernels}
        return dataclasses.replace(self._build, network=self._mixed(kernels), policy=policy), decided

    def __call__(self, widths: Widths) -> Emitted:
        """The planned network; of the last one that was asked for it is there already.

        Raises:
            ConversionError: There is none in these formats.
        """
        if self._last is None or self._last[0] != widths:
            build, decided = self.builder(widths)
            self._last = dict(widths), build(decided)
        return self._last[1]

    def _mixed(self, kernels: Widths) -> Network:
        """The network as without other widths, but for kernels of those."""

        def of_width(place: int, node: Node) -> Node:
            bits = kernels.get(roles.kernel(node)) if isinstance(node, WeightedNode) else None
            return node if bits is None else self._scaled(bits)[place]

        graph = self._build.network.graph
        return dataclasses.replace(
            self._build.network, graph=graph.with_nodes(of_width(place, node) for place, node in enumerate(graph.nodes))
        )

    def _scaled(self, bits: int) -> tuple[Node, ...]:
        """The nodes with all kernels of one width."""
        if bits not in self._nodes:
            widths = dict.fromkeys((role for role in self.usual if role.part is Part.KERNEL), bits)
            settings, per_channel = self._build.settings, self._options.per_channel
            self._nodes[bits] = with_multipliers(self._network, settings, per_channel, observed=True, bits=widths).graph.nodes
        return self._nodes[bits]

    def _buffer(self, role: Role, bits: int) -> Choice:
        if (role, bits) not in self._buffers:
            family = fixed(bits, signed=self._signed[role])
            histogram = (self._build.statistics or Statistics())[self.name(role)]
            read = behind(self._functions, role.value, histogram)
            best = ranges.best_for_histogram(family, histogram, self._build.policy.criterion, read)
            self._buffers[role, bits] = Choice(best, Reason.BUDGET)
        return self._buffers[role, bits]
