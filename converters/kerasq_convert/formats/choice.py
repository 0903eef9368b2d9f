"""Formats of tensors and why they have them: what the choice of formats gives, and all that is asked of it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping

from kerasq.ops.families import KERNELS
from kerasq.qformat import FLOAT32, Kind, QFormat, fixed
from kerasq_convert import roles
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import ranges
from kerasq_convert.graph import Graph, KernelNode
from kerasq_convert.naming import Names
from kerasq_convert.roles import Part, Role

FIXED8, UFIXED8, FIXED16, FIXED32 = fixed(8), fixed(8, signed=False), fixed(16), fixed(32)
BITS = (8, 16)  # widths of automatic buffers
KERNEL_BITS = tuple(sorted(QFormat.parse(family).bits for family in KERNELS if family.startswith(Kind.FIXED)))  # of free weights
PROBABILITIES = fixed(8, 8, signed=False)


class Reason(enum.StrEnum):
    """Why a tensor has its format."""

    SETTINGS = "settings"
    QUANTIZER = "quantizer of the network"
    OBSERVED = "observed range"
    INPUT = "format of its input"
    BINARY = "binary kernel"
    TERNARY = "ternary kernel"
    GRID = "kernel on a grid"
    CHANNELS = "full range in every channel"
    ERROR = "least squared error"
    UNSATURATED = "saturates nothing"
    REFINED = "error at the outputs"
    TUNED = "error of the learned kernel"
    PROMOTED = "promoted for the goals"
    BUDGET = "width within the limits"
    RANGE = "known range"
    UNOBSERVED = "no range known: give --representative_dataset or --statistics"
    DERIVED = "derived"


@dataclasses.dataclass(frozen=True)
class Choice:
    """A format and why."""

    format: QFormat
    reason: Reason


@dataclasses.dataclass(frozen=True)
class Policy:
    """How automatic formats are chosen.

    Attributes:
        criterion: What is asked of each tensor by itself.
        bits: Width of buffers, 8 or 16.
        kernel_bits: Widths of free kernels, by role, where they are not to be 8.
        decided: Formats that a search over the whole network found, by role; they go before `criterion`, and the settings
            before them.
    """

    criterion: ranges.Criterion = ranges.Criterion.MSE
    bits: int = 8
    kernel_bits: Mapping[Role, int] = dataclasses.field(default_factory=dict)
    decided: Mapping[Role, Choice] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Formats:
    """Formats by role: of every buffer and every kernel. Those of multipliers and biases follow from them.

    `automatic` has what would be chosen without settings.
    """

    buffers: dict[Role, Choice]
    kernels: dict[Role, Choice]
    automatic: dict[Role, Choice]

    def __getitem__(self, role: Role) -> Choice:
        return (self.kernels if role.part is Part.KERNEL else self.buffers)[role]

    def get(self, role: Role) -> Choice | None:
        """`None` for what no format is chosen for, but follows from others."""
        return self.kernels.get(role) or self.buffers.get(role)


def float_formats(graph: Graph) -> Formats:
    """FLOAT32 throughout: the network as it was, for observing and for comparing."""
    choice = Choice(FLOAT32, Reason.SETTINGS)
    kernels = {roles.kernel(node): choice for node in graph.nodes if isinstance(node, KernelNode)}
    return Formats(dict.fromkeys(roles.buffers_of(graph), choice), kernels, {})


def without_range(graph: Graph, names: Names, formats: Formats) -> list[str]:
    """The buffers that are FLOAT32 for want of a range, those included that take their format from such a one."""
    producers = graph.producers()
    unknown: dict[str, str] = {}
    for value in values_of(graph):
        choice, node = formats[roles.buffer(value)], producers.get(value)
        follows = choice.reason is Reason.INPUT and choice.format.is_float and node is not None and node.inputs[0] in unknown
        if choice.reason is Reason.UNOBSERVED or follows:
            unknown[value] = names.buffer(value)
    return list(unknown.values())


def require_ranges(graph: Graph, names: Names, formats: Formats) -> None:
    """Refuses formats of which some are FLOAT32 only since nothing was observed of a buffer, while others were.

    Raises:
        ConversionError: All of these buffers.
    """
    unknown = without_range(graph, names, formats)
    if unknown:
        few = "it" if len(unknown) == 1 else "they"
        remedy = (
            f"no range is known, so that {few} would stay FLOAT32. Give --representative_dataset, or --statistics of a training "
            "of this very network; or formats in the settings; or allow it with --allow_float (Converter.allow_float)"
        )
        raise ConversionError("ranges", [f"{', '.join(unknown)}: {remedy}"])


def values_of(graph: Graph) -> Iterator[str]:
    """Every value of the graph, inputs first."""
    yield from graph.inputs
    yield from (node.output for node in graph.nodes)
