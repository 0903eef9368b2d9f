"""The stage that decides which kernels get a multiplier per output channel."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping

import numpy as np

from kerasq.qformat import QFormat
from kerasq_convert import roles
from kerasq_convert.graph import WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.passes.scale_channels import FORMAT, FORMATS, WORTHWHILE_DB, scale_channels
from kerasq_convert.roles import Role
from kerasq_convert.settings import Settings


def with_multipliers(
    network: Network,
    settings: Settings,
    per_channel: bool | None,
    *,
    observed: bool,
    bits: Mapping[Role, int] | None = None,
    narrow: Container[Role] = (),
) -> Network:
    """The network with multipliers for its kernels, which rounds them; never for one that the settings want otherwise.

    Settings that name both formats of a scaled kernel tell that it is one, and those that name its own alone that it is
    not: so those of a conversion lead to the same file, whatever it was that scaled there.

    Args:
        network: The network, its kernels as the model has them.
        settings: The user's.
        per_channel: Whether all free kernels get one; `None`: those that gain a bit by it, if buffers were observed, and all
            of less than 8 bits.
        observed: Whether they were.
        bits: Widths of kernels, where they are not to be 8; one of 16 gets no multiplier.
        narrow: Kernels that are narrow if they get one.
    """
    if per_channel is False:
        return network
    names, widths = network.names, bits or {}

    def width(node: WeightedNode) -> int:
        return widths.get(roles.kernel(node), FORMAT.bits)

    def set_format(node: WeightedNode) -> QFormat | None:
        return settings.parameter(names[roles.kernel(node)])

    def told(node: WeightedNode) -> bool:
        return set_format(node) in FORMATS.values() and settings.parameter(names[roles.multiplier(node)]) is not None

    def allowed(node: WeightedNode) -> bool:
        wanted = set_format(node)
        return width(node) == FORMAT.bits and (
            (wanted is None and observed) or (wanted in (None, FORMAT) and per_channel is True)
        )

    def is_short(node: WeightedNode) -> bool:
        return width(node) < FORMAT.bits and set_format(node) is None

    def is_narrow(node: WeightedNode) -> bool:
        return roles.kernel(node) in narrow

    graph = scale_channels(network.graph, allowed=told, narrow=is_narrow, format_of=lambda node: set_format(node) or FORMAT)
    graph = scale_channels(graph, allowed=is_short, format_of=lambda node: FORMATS[width(node)])
    graph = scale_channels(graph, -np.inf if per_channel else WORTHWHILE_DB, allowed, is_narrow)
    return dataclasses.replace(network, graph=graph)
