"""What is known of a tensor that adds to the noise at the outputs: what causes are told apart by."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from kerasq.format.model import Tensor
from kerasq.histogram import Histogram
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq_convert import roles
from kerasq_convert.comparison.contributions import Contribution
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.formats.choice import Reason
from kerasq_convert.formats.weights import folded_kernel
from kerasq_convert.graph import Node, WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.roles import Role

MOST = 0.5  # of the error that a tensor adds: the part that is to blame


@dataclasses.dataclass(frozen=True)
class Constant:
    """A kernel or a bias.

    Attributes:
        tensor: As it is stored.
        values: As the float network has it.
        reason: Why a kernel has its format; `None` for a bias.
        automatic: The format that a kernel would have without settings.
    """

    tensor: Tensor
    values: np.ndarray
    reason: Reason | None = None
    automatic: QFormat | None = None

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def error(self) -> np.ndarray:
        """What storing it changed, where it is stored in the unit of the values."""
        return self.tensor.values.astype(np.float64) - self.values


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One tensor.

    Attributes:
        contribution: What it adds.
        node: What computes it; `None` for an input of the network.
        format: What it is stored in, `reason` why, and what it would be stored in without settings, `automatic`.
        histogram: What was observed of it.
        kernel, bias: The constants of its operator.
    """

    contribution: Contribution
    node: Node | None
    format: QFormat
    reason: Reason
    automatic: QFormat | None
    histogram: Histogram | None
    kernel: Constant | None = None
    bias: Constant | None = None

    @property
    def name(self) -> str:
        return self.contribution.name

    @property
    def by_output(self) -> bool:
        """Whether the format of the tensor itself is to blame."""
        return self.contribution.storage.power >= MOST * self.contribution.added.power

    @property
    def by_bias(self) -> bool:
        """Whether the bias is: its error is that of every value of its channel, but for those that a clamp takes away."""
        if self.bias is None or self.by_output:
            return False
        return self.contribution.rows * float(np.sum(self.bias.error**2)) >= MOST * self.contribution.added.power

    @property
    def by_kernel(self) -> bool:
        """Whether the kernel is, with its multiplier."""
        return self.kernel is not None and not self.by_output and not self.by_bias

    @property
    def saturated(self) -> float:
        """Share of the observed values beyond the ends of the format."""
        return self.histogram.saturated_share(self.format) if self.histogram is not None and self.format.is_fixed else 0.0


def gather(
    contributions: Iterable[Contribution], emitted: Emitted, networks: tuple[Network, Network], statistics: Statistics
) -> Iterator[Evidence]:
    """The evidence of each contribution, in their order.

    Args:
        contributions: To the noise of a network.
        emitted: That network.
        networks: Its graph with the kernels as the model has them, and as it was emitted.
        statistics: What was observed of its buffers.
    """
    exact, scaled = (network.graph.producers() for network in networks)
    by_name = {tensor.name: role for tensor, role in zip(emitted.model.tensors, emitted.roles, strict=True)}
    constants = emitted.constants()
    for contribution in contributions:
        role = by_name[contribution.name]
        if not role.is_buffer:
            continue
        choice, automatic, node = emitted.formats[role], emitted.formats.automatic.get(role), scaled.get(role.value)
        kernel = bias = None
        if isinstance(node, WeightedNode):
            original = exact[role.value]
            assert isinstance(original, WeightedNode)
            kernel, bias = _kernel(original, emitted, constants), _bias(node, constants)
        yield Evidence(
            contribution,
            node,
            choice.format,
            choice.reason,
            None if automatic is None else automatic.format,
            statistics.get(contribution.name),
            kernel,
            bias,
        )


def _kernel(node: WeightedNode, emitted: Emitted, constants: Mapping[Role, Tensor]) -> Constant:
    role = roles.kernel(node)
    choice, automatic = emitted.formats[role], emitted.formats.automatic.get(role)
    return Constant(constants[role], folded_kernel(node), choice.reason, None if automatic is None else automatic.format)


def _bias(node: WeightedNode, constants: Mapping[Role, Tensor]) -> Constant | None:
    role = roles.bias(node)
    return Constant(constants[role], node.bias) if node.bias is not None and role in constants else None
