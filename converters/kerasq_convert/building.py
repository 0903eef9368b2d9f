"""From a network and formats to a planned model: formats are chosen, operators emitted, memory planned. Searches do it often."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from kerasq.format import Model
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq_convert.emission.emit import Emitted, emit
from kerasq_convert.formats.choice import Choice, Policy, float_formats
from kerasq_convert.formats.choosing import choose_formats
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.network import Network
from kerasq_convert.options import Options
from kerasq_convert.passes.multipliers import with_multipliers
from kerasq_convert.passes.widths import kernel_bits
from kerasq_convert.roles import Role
from kerasq_convert.settings import Settings

Build = Callable[[Mapping[Role, Choice]], Emitted]


@dataclasses.dataclass(frozen=True)
class Builder:
    """Builds one network with these or those formats decided beforehand.

    Attributes:
        network: The network.
        settings: Formats that the user wants.
        statistics: What was observed of its buffers.
        policy: How all other formats are chosen.
    """

    network: Network
    settings: Settings
    statistics: Statistics | None
    policy: Policy

    @classmethod
    def of(
        cls,
        network: Network,
        settings: Settings,
        statistics: Statistics | None,
        options: Options,
        bits: Mapping[Role, int] | None = None,
    ) -> Builder:
        """One that does what the options say, with widths of kernels where they are not to be 8."""
        if options.input_type is not None:
            wanted = options.input_type
            settings = settings.with_buffers(
                network.graph.inputs, wanted if isinstance(wanted, QFormat) else QFormat.parse(wanted)
            )
        return cls(network, settings, statistics, Policy(Criterion(options.criterion), options.bits, bits or {}))

    @classmethod
    def with_multipliers(cls, network: Network, settings: Settings, statistics: Statistics | None, options: Options) -> Builder:
        """The same of the network with multipliers for its kernels, which have the widths that the options say.

        Raises:
            ConversionError: There is no kernel of which the options tell the width.
        """
        bits = kernel_bits(network, settings, options.kernel_bits, options.end_weight_bits)
        is_observed = statistics is not None
        multiplied = with_multipliers(network, settings, options.per_channel, observed=is_observed, bits=bits)
        return cls.of(multiplied, settings, statistics, options, bits)

    def __call__(self, decided: Mapping[Role, Choice]) -> Emitted:
        """The planned model with formats by role that go before the policy's, and behind the settings'.

        Raises:
            ConversionError: The settings don't fit the network, or no sum of an operator fits its accumulator.
        """
        graph, names = self.network.graph, self.network.names
        formats = choose_formats(graph, names, self.settings, self.statistics, dataclasses.replace(self.policy, decided=decided))
        emitted = emit(graph, names, formats, self.settings, self.network.metadata)
        return emitted.replace(plan_memory(emitted.model))


def in_float(network: Network) -> Model:
    """The model with every tensor in FLOAT32: what is observed, and what quantized ones are compared with."""
    graph = network.graph
    metadata = network.metadata | network.zeros
    return plan_memory(emit(graph, network.names, float_formats(graph), Settings(), metadata).model)
