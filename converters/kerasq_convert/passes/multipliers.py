"""The stage that decides which kernels get a multiplier per output channel."""

from __future__ import annotations

import dataclasses
from collections.abc import Container

import numpy as np

from kerasq_convert import roles
from kerasq_convert.graph import WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.passes.scale_channels import FORMAT, WORTHWHILE_DB, scale_channels
from kerasq_convert.roles import Role
from kerasq_convert.settings import Settings


def with_multipliers(
    network: Network, settings: Settings, per_channel: bool | None, *, observed: bool, narrow: Container[Role] = ()
) -> Network:
    """The network with multipliers for its kernels, which rounds them; never for one that the settings want otherwise.

    Settings that name both formats of a scaled kernel tell that it is one, and those that name its own alone that it is
    not: so those of a conversion lead to the same file, whatever it was that scaled there.

    Args:
        network: The network, its kernels as the model has them.
        settings: The user's.
        per_channel: Whether all free kernels get one; `None`: those that gain a bit by it, if buffers were observed.
        observed: Whether they were.
        narrow: Kernels that are narrow if they get one.
    """
    if per_channel is False:
        return network
    names = network.names

    def told(node: WeightedNode) -> bool:
        kernel, multiplier = (settings.parameter(names[role]) for role in (roles.kernel(node), roles.multiplier(node)))
        return kernel == FORMAT and multiplier is not None

    def allowed(node: WeightedNode) -> bool:
        wanted = settings.parameter(names[roles.kernel(node)])
        return (wanted is None and observed) or (wanted in (None, FORMAT) and per_channel is True)

    def is_narrow(node: WeightedNode) -> bool:
        return roles.kernel(node) in narrow

    graph = scale_channels(network.graph, allowed=told, narrow=is_narrow)
    graph = scale_channels(graph, -np.inf if per_channel else WORTHWHILE_DB, allowed, is_narrow)
    return dataclasses.replace(network, graph=graph)
