"""Which format every tensor gets: the settings first, then what the network itself demands, then what was observed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from kerasq import ops
from kerasq.format import OperatorKind, Tensor
from kerasq.ops import argmax
from kerasq.ops.families import ACTIVATIONS, GATHERED, KERNELS, VECTORS
from kerasq.qformat import FLOAT32, MAX_FRAC_BITS, SIGN, TERNARY, QFormat, fixed
from kerasq.statistics import Statistics
from kerasq_convert import roles
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import normalized, proof, ranges
from kerasq_convert.formats.behind import behind, functions_behind
from kerasq_convert.formats.choice import FIXED32, PROBABILITIES, Choice, Formats, Policy, Reason
from kerasq_convert.formats.kernels import holds
from kerasq_convert.formats.running_sums import running_sums
from kerasq_convert.formats.signs import non_negative
from kerasq_convert.formats.weights import automatic_kernel, best_kernel_format, stored_bias, stored_kernel
from kerasq_convert.graph import (
    ArgMax,
    Gather,
    Graph,
    Identity,
    KernelNode,
    Node,
    Normalize,
    Pool,
    Softmax,
    WeightedNode,
    moves_values,
)
from kerasq_convert.naming import Names
from kerasq_convert.roles import Part, Role
from kerasq_convert.settings import Settings

_KERNELS = (*KERNELS, str(TERNARY))  # as settings name them


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


class _Chooser:
    def __init__(self, graph: Graph, names: Names, settings: Settings, statistics: Statistics, policy: Policy):
        self.graph, self.names, self.settings, self.statistics, self.policy = graph, names, settings, statistics, policy
        self.buffers: dict[Role, Choice] = {}
        self.kernels: dict[Role, Choice] = {}
        self.automatic: dict[Role, Choice] = {}
        known = {value: self.statistics[names.buffer(value)] for value in graph.inputs if names.buffer(value) in self.statistics}
        self.non_negative = non_negative(graph, known)
        self.readers = graph.consumers()
        self.running = running_sums(graph)
        self.functions = functions_behind(graph)

    def run(self) -> list[str]:
        problems: list[str] = []
        for value in self.graph.inputs:
            self._buffer(value, None, problems)
        for node in self.graph.nodes:
            if isinstance(node, Gather):  # its rows are what it gives
                self._kernel(node, problems)
            self._buffer(node.output, node, problems)
            if isinstance(node, WeightedNode):
                self._kernel(node, problems)
                self._vectors(node, problems)
        return problems

    def _buffer(self, value: str, node: Node | None, problems: list[str]) -> None:
        role = roles.buffer(value)
        name = self.names[role]
        automatic = self.automatic[role] = self._automatic_buffer(role, node)
        wanted = self.settings.buffer(name)
        choice = automatic
        if wanted is not None:
            if wanted.family not in ACTIVATIONS:
                problems.append(f"{name}: a buffer can't be {wanted}; it is one of {', '.join(ACTIVATIONS)}")
            elif wanted.frac_bits is not None:
                choice = Choice(wanted, Reason.SETTINGS)
            elif name in self.statistics:
                choice = Choice(self._best(wanted, value), Reason.SETTINGS)
            elif automatic.format.family == wanted.family:
                choice = Choice(automatic.format, Reason.SETTINGS)
            else:
                problems.append(
                    f"{name}: nothing was observed from which to choose the fractional bits of {wanted}; write {wanted}_n, or "
                    "give --representative_dataset or --statistics"
                )
        if choice.reason is Reason.OBSERVED or (wanted is not None and wanted.is_fixed and wanted.frac_bits is None):
            problems += self._unusable_range(name, choice.format)
        self.buffers[role] = choice

    def _format(self, value: str) -> QFormat:
        """Of a buffer whose format is chosen."""
        return self.buffers[roles.buffer(value)].format

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

    def _automatic_buffer(self, role: Role, node: Node | None) -> Choice:
        name = self.names[role]
        demanded = self._demanded(role.value) if node is None else node.format
        if demanded is not None:
            return Choice(demanded, Reason.QUANTIZER)
        if node is not None and moves_values(node):
            return Choice(self._format(node.inputs[0]), Reason.INPUT)
        if isinstance(node, Gather):
            return _of_rows(self.kernels[roles.kernel(node)])
        if isinstance(node, ArgMax):
            return Choice(argmax.place_format(node.classes), Reason.RANGE)
        if isinstance(node, Softmax):
            probabilities = PROBABILITIES if self.policy.bits == 8 else fixed(16, 16, signed=False)
            is_fixed = self._format(node.inputs[0]).is_fixed
            return Choice(probabilities, Reason.RANGE) if is_fixed else Choice(FLOAT32, Reason.INPUT)
        if name not in self.statistics:
            if isinstance(node, Normalize) and self._format(node.inputs[0]).is_fixed:
                return Choice(normalized.unobserved_format(node, self.readers), Reason.RANGE)
            return Choice(FLOAT32, Reason.UNOBSERVED)
        if role in self.policy.decided:
            decided = self.policy.decided[role]
            return dataclasses.replace(decided, format=self._with_zero(role.value, decided.format))
        bits = 16 if role.value in self.running else self.policy.bits
        chosen = self._best(fixed(bits, signed=role.value not in self.non_negative), role.value)
        if isinstance(node, Pool) and self._format(node.inputs[0]).is_fixed:
            # An average has no more fractional bits than the runtime's one rounding allows.
            furthest = ops.TABLE[OperatorKind.AVERAGE_POOL_2D].limits["max_distance"]
            chosen = proof.at_most(chosen, furthest + proof.frac_bits(self._format(node.inputs[0])))
        if isinstance(node, Normalize):
            chosen = normalized.as_integers(chosen)
        return Choice(chosen, Reason.OBSERVED)

    def _demanded(self, value: str) -> QFormat | None:
        """The format that every reader of an input of the network quantizes it to, if there is one."""
        readers = self.readers[value]
        formats = {reader.format if isinstance(reader, Identity) else None for reader in readers}
        return formats.pop() if len(formats) == 1 else None

    def _best(self, family: QFormat, value: str) -> QFormat:
        histogram = self.statistics[self.names.buffer(value)]
        best = ranges.best_for_histogram(family, histogram, self.policy.criterion, behind(self.functions, value, histogram))
        return self._with_zero(value, best)

    def _with_zero(self, value: str, format_: QFormat) -> QFormat:
        """With no more fractional bits than what means 0 in a value with an offset leaves: it may be none that was observed."""
        offset = self.graph.offsets.get(value, 0.0)
        finest = format_.finest(0.0, offset) if format_.is_fixed else None
        return format_ if finest is None else proof.at_most(format_, finest)

    def _kernel(self, node: KernelNode, problems: list[str]) -> None:
        role = roles.kernel(node)
        name = self.names[role]
        automatic = self.automatic[role] = self._automatic_kernel(node)
        wanted = self.settings.parameter(name)
        choice = automatic
        if wanted is not None:
            families = GATHERED if isinstance(node, Gather) else _KERNELS
            if wanted.family not in families:
                problems.append(f"{name}: a kernel can't be {wanted}; it is one of {', '.join(families)}")
            elif wanted.is_sign and automatic.format != SIGN:
                problems.append(
                    f"{name}: its weights are not binary (one magnitude per output channel), so it can't be SIGN; train it in a "
                    f"BinaryWeight or BinaryConnect layer, or write {automatic.format.family}"
                )
            elif wanted == TERNARY and automatic.reason is not Reason.TERNARY:
                problems.append(
                    f"{name}: its weights are not ternary (-a, 0 and a in each output channel), so it can't be TERNARY; train it "
                    f"with the Ternary quantizer, or write FIXED2 or {automatic.format.family}"
                )
            elif wanted == TERNARY:
                choice = Choice(automatic.format, Reason.SETTINGS)
            elif wanted.is_fixed and wanted.frac_bits is None:
                best = best_kernel_format(wanted, node, self.policy.criterion)
                choice = Choice(best if holds(best, node.kernel) else self._provable(node, best), Reason.SETTINGS)
            else:
                choice = Choice(wanted, Reason.SETTINGS)
        self.kernels[role] = choice

    def _automatic_kernel(self, node: KernelNode) -> Choice:
        bits = self.policy.kernel_bits.get(roles.kernel(node), 8)
        automatic = automatic_kernel(node, self.policy.criterion, bits)
        if automatic.reason not in (Reason.ERROR, Reason.UNSATURATED):
            return automatic
        choice = self.policy.decided.get(roles.kernel(node), automatic)
        return dataclasses.replace(choice, format=self._provable(node, choice.format))

    def _provable(self, node: KernelNode, format_: QFormat) -> QFormat:
        """A kernel's format with no more fractional bits than the accumulator proof leaves it, its multiplier folded in."""
        if not isinstance(node, WeightedNode):  # nothing is summed
            return format_
        source, *addends = (self._format(value) for value in node.inputs)
        if not source.is_fixed or not format_.is_fixed:
            return format_

        def operands(candidate: QFormat) -> dict[str, Tensor]:
            total_bits = proof.frac_bits(source, candidate)
            kernel = stored_kernel(node, candidate)
            read = proof.activations(node, source, addends, total_bits) | {"kernel": kernel.tensor}
            added = stored_bias(node, kernel)
            if added is not None:
                bias = ranges.exact_as_possible(FIXED32, added, min(total_bits, MAX_FRAC_BITS))
                read["bias"] = proof.constant(Part.BIAS, added, bias)
            return read

        return proof.finest_proven(format_, node, operands, self._format(node.output))

    def _vectors(self, node: WeightedNode, problems: list[str]) -> None:
        for name in (self.names[role] for role in (roles.multiplier(node), roles.bias(node))):
            wanted = self.settings.parameter(name)
            if wanted is not None and wanted.family not in VECTORS:
                problems.append(f"{name}: it can't be {wanted}; it is one of {', '.join(VECTORS)}")


def _of_rows(kernel: Choice) -> Choice:
    """The format of rows of a table: the table's own, or the narrowest of activations that holds what it holds."""
    form = kernel.format
    if form.is_float:
        return Choice(FLOAT32, Reason.INPUT)
    if form.family in ACTIVATIONS:
        return Choice(form, Reason.DERIVED)
    return Choice(fixed(8, form.frac_bits or 0), Reason.DERIVED)
