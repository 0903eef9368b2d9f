"""How many bits the kernels of free weights get: those that the options ask for, and more for the first and last ones.

The first kernels read what no kernel computes, the last ones compute what no kernel reads. They are small in most networks, and
rounding them costs most: the first sums few products of the input itself, and nothing averages out what the last does to the
outputs.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasq_convert import roles
from kerasq_convert.errors import ConversionError
from kerasq_convert.graph import Graph, KernelNode
from kerasq_convert.network import Network
from kerasq_convert.passes.scale_channels import is_free
from kerasq_convert.roles import Part, Role
from kerasq_convert.settings import Settings

LEAST_END_BITS = 8  # of the first and last kernels, where nobody says


def kernel_bits(network: Network, settings: Settings, bits: int | None, end_bits: int | None) -> dict[Role, int]:
    """The width of every free kernel that the settings say nothing of.

    Args:
        network: The network, its kernels as the model has them.
        settings: The user's.
        bits: The width; `None`: as by default, and no kernel is named.
        end_bits: That of the first and last kernels; `None`: `bits`, and at least LEAST_END_BITS.

    Raises:
        ConversionError: There is no kernel that `bits` would decide.
    """
    if bits is None:
        return {}
    ends = set(end_kernels(network.graph))
    of_ends = max(bits, LEAST_END_BITS) if end_bits is None else end_bits
    unset = [role for role in free_kernels(network.graph) if settings.parameter(network.names[role]) is None]
    if not unset:
        raise ConversionError(
            "weight_bits",
            ["no kernel is free for it: all are binary, lie on a grid as they were trained, or are in the settings"],
        )
    if end_bits is None and bits != of_ends and ends.issuperset(unset):
        names = ", ".join(network.names[role] for role in unset)
        raise ConversionError(
            "weight_bits",
            [f"{names}: first and last kernels keep {of_ends} bits, and there are no others; give --end_weight_bits {bits}, too"],
        )
    return {role: of_ends if role in ends else bits for role in unset}


def free_kernels(graph: Graph) -> list[Role]:
    """The kernels whose weights lie on no grid, in the order of execution."""
    return [roles.kernel(node) for node in graph.nodes if isinstance(node, KernelNode) and is_free(node)]


def end_kernels(graph: Graph) -> Iterator[Role]:
    """The free kernels that multiply what comes of no other one, and those whose products no other one multiplies."""
    free = set(free_kernels(graph))
    computed: set[str] = set()  # values with a free kernel before them
    for node in graph.nodes:
        role = Role(Part.KERNEL, node.output)
        if role in free and node.inputs[0] not in computed:
            yield role
        if role in free or not computed.isdisjoint(node.inputs):
            computed.add(node.output)
    multiplied: set[str] = set()  # values with a free kernel behind them
    for node in reversed(graph.nodes):
        role, goes_on = Role(Part.KERNEL, node.output), node.output in multiplied
        if role in free and not goes_on:
            yield role
        if role in free:
            multiplied.add(node.inputs[0])
        if goes_on:
            multiplied.update(node.inputs)  # an addend, too
