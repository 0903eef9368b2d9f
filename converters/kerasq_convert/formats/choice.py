"""Which format every tensor gets: the settings first, then what the network itself demands, then what was observed."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping

import numpy as np

from kerasq import ops
from kerasq.format.model import OperatorKind
from kerasq.qformat import FLOAT32, SIGN, QFormat, fixed
from kerasq.statistics import Statistics
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import ranges
from kerasq_convert.formats.kernels import binary_scale, grid_of, holds, only_moves
from kerasq_convert.formats.proof import most_frac_bits, within
from kerasq_convert.graph import Concat, Curve, Graph, Multiply, Node, Pool, Softmax, WeightedNode, moves_values
from kerasq_convert.naming import Names
from kerasq_convert.settings import Settings

FIXED8, UFIXED8, FIXED16, FIXED32 = fixed(8), fixed(8, signed=False), fixed(16), fixed(32)
BITS = (8, 16)  # widths of automatic buffers
PROBABILITIES = fixed(8, 8, signed=False)
BUFFER_FAMILIES = ("FLOAT32", "FIXED8", "FIXED16", "UFIXED8", "UFIXED16")
KERNEL_FAMILIES = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "SIGN")
VECTOR_FAMILIES = ("FLOAT32", "FIXED8", "FIXED16", "FIXED32")


class Reason(enum.StrEnum):
    """Why a tensor has its format."""

    SETTINGS = "settings"
    QUANTIZER = "quantizer of the network"
    OBSERVED = "observed range"
    INPUT = "format of its input"
    BINARY = "binary kernel"
    GRID = "kernel on a grid"
    CHANNELS = "full range in every channel"
    ERROR = "least squared error"
    UNSATURATED = "saturates nothing"
    REFINED = "error at the outputs"
    PROMOTED = "promoted for the goals"
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
        decided: Formats that a search over the whole network found, by name; they go before `criterion`, and the settings
            before them.
    """

    criterion: ranges.Criterion = ranges.Criterion.MSE
    bits: int = 8
    decided: Mapping[str, Choice] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Formats:
    """Formats by name: of every buffer and every kernel; of multipliers and biases a family, or nothing where automatic.

    `automatic` has what would be chosen without settings.
    """

    buffers: dict[str, Choice]
    kernels: dict[str, Choice]
    automatic: dict[str, Choice]


def float_formats(graph: Graph, names: Names) -> Formats:
    """FLOAT32 throughout: the network as it was, for observing and for comparing."""
    choice = Choice(FLOAT32, Reason.SETTINGS)
    kernels = {names.kernel(node): choice for node in graph.nodes if isinstance(node, WeightedNode)}
    return Formats({names.buffer(value): choice for value in values_of(graph)}, kernels, {})


def choose_formats(
    graph: Graph, names: Names, settings: Settings, statistics: Statistics | None, policy: Policy | None = None
) -> Formats:
    """The format of every buffer and kernel.

    Raises:
        ConversionError: The settings name what there is not, or ask for what can't be; everything is listed.
    """
    problems = settings.problems(names.buffers(), names.parameters())
    chooser = _Chooser(graph, names, settings, statistics or Statistics(), policy or Policy())
    problems += chooser.run()
    if problems:
        raise ConversionError(settings.source, problems)
    return Formats(chooser.buffers, chooser.kernels, chooser.automatic)


def without_range(graph: Graph, names: Names, formats: Formats) -> list[str]:
    """The buffers that are FLOAT32 for want of a range, those included that take their format from such a one."""
    producers = graph.producers()
    unknown: dict[str, str] = {}
    for value in values_of(graph):
        choice, node = formats.buffers[names.buffer(value)], producers.get(value)
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


class _Chooser:
    def __init__(self, graph: Graph, names: Names, settings: Settings, statistics: Statistics, policy: Policy):
        self.graph, self.names, self.settings, self.statistics, self.policy = graph, names, settings, statistics, policy
        self.buffers: dict[str, Choice] = {}
        self.kernels: dict[str, Choice] = {}
        self.automatic: dict[str, Choice] = {}
        self.non_negative: set[str] = set()

    def run(self) -> list[str]:
        problems: list[str] = []
        for value in self.graph.inputs:
            self._buffer(value, None, problems)
        for node in self.graph.nodes:
            self._buffer(node.output, node, problems)
            if isinstance(node, WeightedNode):
                self._kernel(node, problems)
                self._vectors(node, problems)
        return problems

    def _buffer(self, value: str, node: Node | None, problems: list[str]) -> None:
        name = self.names.buffer(value)
        automatic = self.automatic[name] = self._automatic_buffer(value, node)
        wanted = self.settings.buffer(name)
        choice = automatic
        if wanted is not None:
            if wanted.family not in BUFFER_FAMILIES:
                problems.append(f"{name}: a buffer can't be {wanted}; it is one of {', '.join(BUFFER_FAMILIES)}")
            elif wanted.frac_bits is not None:
                choice = Choice(wanted, Reason.SETTINGS)
            elif name in self.statistics:
                choice = Choice(self._best(wanted, name), Reason.SETTINGS)
            elif automatic.format.family == wanted.family:
                choice = Choice(automatic.format, Reason.SETTINGS)
            else:
                problems.append(
                    f"{name}: nothing was observed from which to choose the fractional bits of {wanted}; write {wanted}_n, or "
                    "give --representative_dataset or --statistics"
                )
        if choice.reason is Reason.OBSERVED or (wanted is not None and wanted.is_fixed and wanted.frac_bits is None):
            problems += self._unusable_range(name, choice.format)
        self.buffers[name] = choice

    def _unusable_range(self, name: str, format_: QFormat) -> Iterator[str]:
        """What keeps the format of a buffer from being chosen by what was observed of it."""
        if name not in self.statistics:
            return
        histogram, remedy = self.statistics[name], "give it a format, or FLOAT32, in the settings"
        if histogram.nan or histogram.infinite:
            seen = f"{histogram.nan} NaNs and {histogram.infinite} infinities were observed"
            yield f"{name}: {seen}; the training diverged, or {remedy}"
        elif ranges.exceeds(format_, max(-histogram.min, histogram.max)):
            yield f"{name}: {histogram.min:.3g} .. {histogram.max:.3g} was observed, which no {format_.family} holds; {remedy}"

    def _automatic_buffer(self, value: str, node: Node | None) -> Choice:
        name = self.names.buffer(value)
        self._note_sign(value, node)
        if node is not None and node.format is not None:
            return Choice(node.format, Reason.QUANTIZER)
        if node is not None and moves_values(node):
            return Choice(self.buffers[self.names.buffer(node.inputs[0])].format, Reason.INPUT)
        if isinstance(node, Softmax):
            is_fixed = self.buffers[self.names.buffer(node.inputs[0])].format.is_fixed
            probabilities = PROBABILITIES if self.policy.bits == 8 else fixed(16, 16, signed=False)
            return Choice(probabilities, Reason.RANGE) if is_fixed else Choice(FLOAT32, Reason.INPUT)
        if name not in self.statistics:
            return Choice(FLOAT32, Reason.UNOBSERVED)
        if name in self.policy.decided:
            return self.policy.decided[name]
        chosen = self._best(fixed(self.policy.bits, signed=value not in self.non_negative), name)
        if isinstance(node, Pool):  # an average has no more fractional bits than the runtime's one rounding allows
            source = self.buffers[self.names.buffer(node.inputs[0])].format
            furthest = ops.TABLE[OperatorKind.AVERAGE_POOL_2D].limits["max_distance"]
            chosen = within(chosen, 0, furthest + (source.frac_bits or 0) if source.is_fixed else None)
        return Choice(chosen, Reason.OBSERVED)

    def _best(self, family: QFormat, name: str) -> QFormat:
        return ranges.best_for_histogram(family, self.statistics[name], self.policy.criterion)

    def _note_sign(self, value: str, node: Node | None) -> None:
        """Marks values that can't be negative: clamped at zero, or moved or averaged from such; inputs by observation."""
        if node is None:
            name = self.names.buffer(value)
            never = name in self.statistics and self.statistics[name].min >= 0
        else:
            passes_on = isinstance(node, Pool | Concat | Multiply) or moves_values(node)
            never = node.clamp[0] >= 0 or isinstance(node, Softmax) or (passes_on and self.non_negative.issuperset(node.inputs))
            never = never or (isinstance(node, Curve) and _is_non_negative(node))
        if never:
            self.non_negative.add(value)

    def _kernel(self, node: WeightedNode, problems: list[str]) -> None:
        name = self.names.kernel(node)
        automatic = self.automatic[name] = self._automatic_kernel(node)
        wanted = self.settings.parameter(name)
        choice = automatic
        if wanted is not None:
            if wanted.family not in KERNEL_FAMILIES:
                problems.append(f"{name}: a kernel can't be {wanted}; it is one of {', '.join(KERNEL_FAMILIES)}")
            elif wanted.is_sign and automatic.format != SIGN:
                problems.append(
                    f"{name}: its weights are not binary (one magnitude per output channel), so it can't be SIGN; train it in a "
                    f"BinaryWeight or BinaryConnect layer, or write {automatic.format.family}"
                )
            elif wanted.is_fixed and wanted.frac_bits is None:
                best = best_kernel_format(wanted, node, self.policy.criterion)
                choice = Choice(best if holds(best, node.kernel) else self._provable(node, best), Reason.SETTINGS)
            else:
                choice = Choice(wanted, Reason.SETTINGS)
        self.kernels[name] = choice

    def _automatic_kernel(self, node: WeightedNode) -> Choice:
        automatic = automatic_kernel(node, self.policy.criterion)
        if automatic.reason not in (Reason.ERROR, Reason.UNSATURATED):
            return automatic
        choice = self.policy.decided.get(self.names.kernel(node), automatic)
        return dataclasses.replace(choice, format=self._provable(node, choice.format))

    def _provable(self, node: WeightedNode, format_: QFormat) -> QFormat:
        """A kernel's format with no more fractional bits than the accumulator proof leaves it."""
        source, *addends = (self.buffers[self.names.buffer(value)].format for value in node.inputs)
        output = self.buffers[self.names.buffer(node.output)].format
        return within(format_, source.frac_bits or 0, most_frac_bits(node, source, output, *addends))

    def _vectors(self, node: WeightedNode, problems: list[str]) -> None:
        for name in (self.names.multiplier(node), self.names.bias(node)):
            wanted = self.settings.parameter(name)
            if wanted is not None and wanted.family not in VECTOR_FAMILIES:
                problems.append(f"{name}: it can't be {wanted}; it is one of {', '.join(VECTOR_FAMILIES)}")


def _is_non_negative(node: Curve) -> bool:
    """Whether a function is nowhere negative. (Were it so between these places, its table would hold zeros there.)"""
    with np.errstate(all="ignore"):
        return bool(np.nanmin(node.function(np.linspace(-64.0, 64.0, 1 << 13))) >= 0)


def automatic_kernel(node: WeightedNode, criterion: ranges.Criterion = ranges.Criterion.MSE) -> Choice:
    """SIGN where the kernel is binary, its own grid where it has one of at most 4, 8 or 16 bits, else FIXED8.

    A kernel of one weight per output channel (a scaling that stands alone) gets 16 bits: it is small, and all that follows
    depends on it.
    """
    if node.rounded is not None:
        return Choice(node.rounded, Reason.CHANNELS)
    if binary_scale(node.kernel) is not None:
        return Choice(SIGN, Reason.BINARY)
    # What only moves values (a crop, a selection of channels) saves little by 4 bits, and a firmware would link one more kernel.
    grid = grid_of(node.kernel, (8, 16) if only_moves(node.kernel) else (4, 8, 16))
    if grid is not None:
        return Choice(grid, Reason.GRID)
    family = FIXED16 if node.kernel.size == len(node.kernel) else FIXED8
    reason = Reason.UNSATURATED if criterion is ranges.Criterion.MINMAX else Reason.ERROR
    return Choice(best_kernel_format(family, node, criterion), reason)


def best_kernel_format(family: QFormat, node: WeightedNode, criterion: ranges.Criterion = ranges.Criterion.MSE) -> QFormat:
    """The member of `family` that the kernel fits best: its own grid where the family has it."""
    grid = grid_of(node.kernel, (family.bits,))
    if grid is not None and grid.kind is family.kind:
        return grid
    return ranges.best_for_values(family, folded_kernel(node), criterion)


def keeps_multiplier(node: WeightedNode, format_: QFormat) -> bool:
    """Whether the kernel is stored as it is, the scale of BatchNorm beside it: binary kernels and those on a grid."""
    return format_.is_sign or (format_.is_fixed and holds(format_, node.kernel))


def folded_kernel(node: WeightedNode) -> np.ndarray:
    """The kernel with its multiplier folded in, float64; as it is (float32) where there is none."""
    if node.multiplier is None:
        return node.kernel
    return node.kernel * node.multiplier.reshape(-1, *(1,) * (node.kernel.ndim - 1))
