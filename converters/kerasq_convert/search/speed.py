"""The stage that makes kernels narrow, for processors that multiply those faster, where the outputs hardly tell: `prefer`.

A narrow kernel (passes/scale_channels.py) has up to a bit less precision. All that have a multiplier become narrow if the
network's signal-to-noise ratio at its outputs, over the examples, stays within WITHIN_DB; else as many as it allows, those first
that lose the least themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container

import numpy as np

from kerasq_convert import roles
from kerasq_convert.building import Builder
from kerasq_convert.comparison.logits import with_logits
from kerasq_convert.comparison.outputs import run, signal_to_noise_db
from kerasq_convert.formats.weights import folded_kernel
from kerasq_convert.graph import WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import Options
from kerasq_convert.options.preference import Preference
from kerasq_convert.passes.multipliers import with_multipliers
from kerasq_convert.passes.scale_channels import FORMAT, PAIR, largest_pairs, pair_run
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.roles import Role

WITHIN_DB = 0.1


def for_speed(
    network: Network,
    build: Builder,
    observed: Observed,
    correction: BiasCorrection | None,
    options: Options,
) -> Builder:
    """What builds the network with narrow kernels, if the options prefer speed.

    Args:
        network: Its kernels as the model has them.
        build: Builds the same with multipliers, for accuracy. Kernels of other widths than 8 bits are never narrow.
        observed: With examples, by whose outputs it is judged.
        correction: Corrects the biases of what is measured.
        options: `prefer` and `per_channel`.
    """
    examples, accurate = observed.examples, build.network
    if options.prefer != Preference.SPEED or examples is None:
        return build

    wide = [roles.kernel(node) for node in accurate.graph.nodes if isinstance(node, WeightedNode) and _is_wide(node)]
    if not wide:
        return build
    bits = build.policy.kernel_bits
    narrow = with_multipliers(network, build.settings, options.per_channel, observed=True, bits=bits, narrow=wide)
    order = _cheapest_first(wide, network, accurate, narrow)

    def narrowed(count: int) -> Builder:
        return dataclasses.replace(build, network=_mixed(accurate, narrow, order[:count]))

    def sqnr_db(candidate: Builder) -> float:
        model = candidate({}).model
        model = model if correction is None else correction.measure(model)
        return signal_to_noise_db(run(with_logits(model), examples.inputs), examples.outputs)

    least = sqnr_db(build) - WITHIN_DB
    return narrowed(_most(len(order), lambda count: sqnr_db(narrowed(count)) >= least))


def _most(count: int, allowed: Callable[[int], bool]) -> int:
    """The largest number up to `count` that is allowed, if all below one that is are: 0 is."""
    if allowed(count):
        return count
    low = 0
    while count - low > 1:
        middle = (low + count) // 2
        low, count = (middle, count) if allowed(middle) else (low, middle)
    return low


def _mixed(accurate: Network, narrow: Network, kernels: Container[Role]) -> Network:
    """The first of two networks of the same nodes, with some kernels of the second."""
    pairs = zip(accurate.graph.nodes, narrow.graph.nodes, strict=True)
    nodes = (after if isinstance(after, WeightedNode) and roles.kernel(after) in kernels else before for before, after in pairs)
    return dataclasses.replace(accurate, graph=accurate.graph.with_nodes(nodes))


def _cheapest_first(wide: list[Role], network: Network, accurate: Network, narrow: Network) -> list[Role]:
    """Wide kernels, those first that a narrow scale costs least."""
    exact, before, after = (_kernels(one) for one in (network, accurate, narrow))
    lost = {role: _noise(exact[role], after[role]) - _noise(exact[role], before[role]) for role in wide}
    return sorted(wide, key=lost.__getitem__)


def _is_wide(node: WeightedNode) -> bool:
    """Whether a kernel has a multiplier and pairs beyond PAIR."""
    run_length = pair_run(node) if node.rounded == FORMAT else None
    if run_length is None:
        return False
    stored = FORMAT.quantize(node.kernel).reshape(len(node.kernel), -1).astype(np.int64)
    return bool(np.any(largest_pairs(stored, run_length) > PAIR))


def _kernels(network: Network) -> dict[Role, np.ndarray]:
    return {roles.kernel(node): folded_kernel(node) for node in network.graph.nodes if isinstance(node, WeightedNode)}


def _noise(exact: np.ndarray, rounded: np.ndarray) -> float:
    return float(np.sum((rounded - exact) ** 2) / max(np.sum(exact**2), np.finfo(np.float64).tiny))
