"""The conversion report: what became of each tensor, what was fused, and how large the result is."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from kerasq.format import Model
from kerasq.statistics import Statistics
from kerasq.text import printable, table
from kerasq_convert.causes import causes_text
from kerasq_convert.causes.diagnosis import Diagnosis
from kerasq_convert.comparison import analysis_text
from kerasq_convert.comparison.layers import Analysis
from kerasq_convert.comparison.outputs import FAIR_DB, LITTLE_DB, Accuracy, OutputError, Wanted, compare, lost_features
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.formats.choice import Formats, Reason, without_range
from kerasq_convert.graph import Graph, KernelNode, Node
from kerasq_convert.memory.plan import Plan
from kerasq_convert.naming import Names
from kerasq_convert.passes.scale_channels import FORMATS as SCALED
from kerasq_convert.pruning.prune import PrunedLayer
from kerasq_convert.report.about import About
from kerasq_convert.report.rich_text import notebook_report
from kerasq_convert.report.rows import COLUMNS, NUMBERS, TensorRow
from kerasq_convert.report.scalings import scaling_notes
from kerasq_convert.roles import Part, Role
from kerasq_convert.search.allocation import Allocated
from kerasq_convert.search.pareto import CurvePoint
from kerasq_convert.search.search import TradeOff
from kerasq_convert.tuning.walk import TunedLayer

SHOWN = 5  # features of an input that are named, the rest is counted


@dataclasses.dataclass(frozen=True)
class Report:
    """What a conversion did.

    Attributes:
        buffers, parameters: A row per tensor.
        fused: Layers that share one operator, per operator with more than one.
        removed: Nodes that each pass took away.
        model_bytes: Size of the file.
        arena_bytes: Working memory for one example.
        arena_lower_bound: Bytes that no arena can do without, in this order of operators.
        arena_verdict: How good the memory plan is: "optimal", or by how much it may not be.
        notes: What the user should know: why buffers stay FLOAT32.
        outputs: Each output on `examples` examples beside the float network's, in which quantizers round as they did in
            training; empty without a representative dataset.
        examples: How many of the dataset these are.
        warnings: What makes the result doubtful.
        trade_off: The network before promotion to 16 bits and after each step of it; empty without a search.
        analysis: The errors of every layer, where that was asked for.
        diagnosis: Why it loses accuracy, and what mends that, where the analysis was asked for.
        allocation: The widths of kernels and buffers that were chosen for limits; `None` where those were kept without.
        pareto: The trade-off of size and noise, the smallest network first; empty where it was not asked for.
        pruned: Operators that became smaller, or went, since part of them could not change the outputs. Rows of tensors are of
            the network before that.
        tuned: Operators whose kernels were learned, in the order of execution.
        accuracy: Where labels are known.
        about: How it came about.
        factors: Exponents of the factors by which activations are scaled, as settings have them; empty where none is.
        offsets: The same of the offsets with which they are stored.
    """

    buffers: list[TensorRow]
    parameters: list[TensorRow]
    fused: list[list[str]]
    removed: dict[str, int]
    model_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    arena_verdict: str
    notes: list[str]
    outputs: list[OutputError] = dataclasses.field(default_factory=list)
    examples: int = 0
    warnings: list[str] = dataclasses.field(default_factory=list)
    trade_off: list[TradeOff] = dataclasses.field(default_factory=list)
    analysis: Analysis | None = None
    diagnosis: Diagnosis | None = None
    allocation: Allocated | None = None
    pareto: list[CurvePoint] = dataclasses.field(default_factory=list)
    pruned: list[PrunedLayer] = dataclasses.field(default_factory=list)
    tuned: list[TunedLayer] = dataclasses.field(default_factory=list)
    accuracy: Accuracy | None = None
    about: About | None = None
    factors: str = ""
    offsets: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values; a signal-to-noise ratio without any noise is null, as JSON has no infinity."""
        values = dataclasses.asdict(dataclasses.replace(self, analysis=None, diagnosis=None))
        for row in (*values["buffers"], *values["parameters"]):
            del row["automatic"]  # for settings
        values["analysis"] = self.analysis and self.analysis.to_dict()
        values["diagnosis"] = self.diagnosis and self.diagnosis.to_dict()
        values["pareto"] = [point.to_dict() for point in self.pareto]
        for point in (*values["trade_off"], *values["outputs"]):
            if math.isinf(point["sqnr_db"]):
                point["sqnr_db"] = None
        return values

    def to_text(self, *, notes: bool = True) -> str:
        """The report as a person reads it; its notes last, or left to the caller."""
        lines = []
        for title, rows in (("buffers", self.buffers), ("parameters", self.parameters)):
            if rows:
                cells = [tuple(map(printable, row.cells())) for row in rows]
                lines += [f"{title}:", table(COLUMNS, cells, NUMBERS, "  "), ""]
        if self.fused:
            lines += ["fused into one operator:", *(f"  {' + '.join(layers)}" for layers in self.fused), ""]
        if self.pruned:
            lines += ["left out, as it can't change the outputs (--noprune keeps it):", _pruned_table(self.pruned), ""]
        if self.tuned:
            lines += ["learned from the examples (--tune):", _tuned_table(self.tuned), ""]
        lines += [f"model  {self.model_bytes:>9,} bytes", f"arena  {self.arena_bytes:>9,} bytes, {self.arena_verdict}"]
        if self.outputs:
            lines.append(f"outputs {outputs_text(self)}")
        if self.accuracy is not None:
            lines.append(f"accuracy {self.accuracy}")
        if self.trade_off:
            lines += ["", "promotion to 16 bits:", _trade_off_table(self.trade_off), ""]
        if self.allocation is not None:
            lines += [_allocation_text(self.allocation), ""]
        if self.analysis is not None:
            is_ill = self.diagnosis is not None and not self.diagnosis.is_well
            contributions = self.diagnosis.contributions if self.diagnosis is not None and is_ill else None
            lines += ["", analysis_text.to_text(self.analysis, contributions), ""]
        if self.diagnosis is not None:
            lines += [causes_text.to_text(self.diagnosis), ""]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join([*lines, *(self.note_lines() if notes else ())])

    def _repr_html_(self) -> str:
        sizes = [f"model {self.model_bytes:,} bytes", f"arena {self.arena_bytes:,} bytes, {self.arena_verdict}"]
        outputs = [f"outputs {outputs_text(self)}"] if self.outputs else []
        warnings = [f"warning: {warning}" for warning in self.warnings]
        rows = {"buffers": self.buffers, "parameters": self.parameters}
        return notebook_report([*sizes, *outputs, *warnings], rows, self.note_lines())

    def note_lines(self) -> list[str]:
        """The notes, a line each."""
        return [f"note: {note}" for note in self.notes]


def outputs_text(report: Report) -> str:
    """How near the outputs are to the float network's, in one line."""
    parts = []
    for output in report.outputs:
        name = f"{printable(output.name)}: " if len(report.outputs) > 1 else ""
        same = "" if output.same_class is None else f", same class (largest value) in {100 * output.same_class:.1f}%"
        parts.append(f"{name}{analysis_text.decibels_of(output.sqnr_db)} signal to noise{same}")
    return f"{'; '.join(parts)} (of {report.examples} examples)"


def with_outputs(report: Report, model: Model, wanted: Wanted, *, analyzed: bool = False) -> Report:
    """The report with what the examples show of the outputs, and a warning where that is bad.

    Args:
        report: The report.
        model: The network.
        wanted: The examples, and what they should give.
        analyzed: Whether the report has an analysis.
    """
    outputs = compare(model, wanted)
    worst = min(output.sqnr_db for output in outputs)
    warnings = list(report.warnings)
    if worst < LITTLE_DB:
        where = "the analysis tells" if analyzed else "--analyze (Converter.analyze) tells"
        lost = f"{analysis_text.decibels_of(worst)} at the outputs: this is hardly the network that was trained any more"
        warnings.append(f"{lost}; {where} which layer loses it, and what mends that")
    if worst < FAIR_DB:
        formats = {tensor.name: tensor.format for tensor in model.tensors}
        for name, features in lost_features(model, wanted).items():
            shown = [f"{place} ({low:.3g} .. {high:.3g})" for place, (low, high) in list(features.items())[:SHOWN]]
            more = f" and {len(features) - SHOWN} more" if len(features) > SHOWN else ""
            warnings.append(
                f"input {printable(name)!r} has one format for all features, {formats[name]} (steps of {formats[name].step:g}), "
                f"which keeps little of features {', '.join(shown)}{more}. Scale features to a common size outside the network, "
                "in place of the layer in it that does so, and convert what follows"
            )
    return dataclasses.replace(report, outputs=outputs, examples=wanted.examples, warnings=warnings)


def make_report(
    graph: Graph,
    names: Names,
    plan: Plan,
    emitted: Emitted,
    statistics: Statistics | None,
    removed: dict[str, int],
    model_bytes: int,
) -> Report:
    """The report of a conversion."""
    model, formats = emitted.model, emitted.formats
    buffers: list[TensorRow] = []
    parameters: list[TensorRow] = []
    for tensor, role in zip(model.tensors, emitted.roles, strict=True):
        low = high = saturated = None
        if tensor.is_constant:
            low, high = tensor.range
        elif statistics is not None and tensor.name in statistics:
            histogram = statistics[tensor.name]
            low, high = histogram.min, histogram.max
            saturated = histogram.saturated_share(tensor.format) if tensor.format.is_fixed else 0.0
        choice = formats.get(role)
        reason = Reason.DERIVED if choice is None else choice.reason
        described = tensor.name, tensor.shape, str(tensor.format), reason, low, high, saturated, tensor.nbytes
        automatic = formats.automatic.get(role)
        row = TensorRow(*described, _is_settable(role, formats), None if automatic is None else str(automatic.format))
        (parameters if tensor.is_constant else buffers).append(row)
    fused = _fused(graph)
    arena = plan.model.arena_bytes, plan.bound, plan.verdict
    notes = [
        *graph.notes,
        *scaling_notes(graph, emitted),
        *_notes(without_range(graph, names, formats), statistics),
    ]
    return Report(buffers, parameters, fused, removed, model_bytes, *arena, notes)


def _fused(graph: Graph) -> list[list[str]]:
    """Layers that share an operator; a layer of several operators is with the one that has its weights, else with the first."""
    home: dict[str, Node] = {node.layer: node for node in reversed(graph.nodes) if isinstance(node, KernelNode)}
    for node in graph.nodes:
        for layer in node.layers:
            home.setdefault(layer, node)
    groups = ([layer for layer in node.layers if home[layer] is node] for node in graph.nodes)
    return [group for group in groups if len(group) > 1]


def _is_settable(role: Role, formats: Formats) -> bool:
    """Whether settings name a tensor to get this network again.

    What the converter makes for itself it makes again. A multiplier of ones is among that, but may be named as others are, unless
    its kernel has the format of a scaled one: beside that it would ask for channels to be scaled.
    """
    if role.is_parameter and role.made:
        return formats[Role(Part.KERNEL, role.value)].format not in SCALED.values()
    return role.is_buffer or role.is_parameter


def _notes(unknown: list[str], statistics: Statistics | None) -> list[str]:
    if not unknown:
        return []
    if statistics is None:
        return [
            "the buffers stay FLOAT32: their ranges are not known. Give --representative_dataset (some hundred examples) or "
            "--statistics (what kerasq.callbacks.ActivationStatistics wrote)"
        ]
    return [f"these buffers stay FLOAT32, since the statistics do not name them: {', '.join(unknown)}"]


def _pruned_table(layers: list[PrunedLayer]) -> str:
    def cell(pair: tuple[int, int]) -> str:
        return f"{pair[0]:,}" if pair[0] == pair[1] else f"{pair[0]:,} -> {pair[1]:,}"

    def total(column: str) -> tuple[int, int]:
        pairs = [getattr(layer, column) for layer in layers]
        return sum(before for before, _ in pairs), sum(after for _, after in pairs)

    header = ("layer", "channels", "multiply-accumulates", "bytes of constants")
    columns = ("channels", "macs", "nbytes")
    cells = [[printable(layer.name), *(cell(getattr(layer, column)) for column in columns)] for layer in layers]
    cells.append(["together", *(cell(total(column)) for column in columns)])
    return table(header, cells, header[1:], "  ")


def _tuned_table(layers: list[TunedLayer]) -> str:
    header = ("kernel", "format", "weights changed", "layer by rounding", "learned")
    cells = [
        (
            printable(layer.name),
            layer.format,
            f"{100 * layer.changed:.1f}%",
            *(
                analysis_text.decibels_of(-10 * math.log10(share) if share else math.inf)
                for share in (layer.rounded, layer.tuned)
            ),
        )
        for layer in layers
    ]
    return table(header, cells, header[2:], "  ")


def _allocation_text(allocation: Allocated) -> str:
    """How many tensors got which width."""
    counts = []
    for what, widths in (("kernels", allocation.kernels), ("buffers", allocation.buffers)):
        counts += [f"{list(widths.values()).count(bits)} {what} of {bits} bits" for bits in sorted(set(widths.values()))]
    proven = (
        f"by the additive model at most {100 * allocation.gap:.2g}% above the least noise"
        if allocation.gap
        else "the best ones by the additive model"
    )
    return f"widths within the limits: {', '.join(counts)}; {proven}"


def _trade_off_table(points: list[TradeOff]) -> str:
    cells = [
        (
            printable(point.promoted or "(none)"),
            f"{point.sqnr_db:.1f} dB",
            "" if point.accuracy is None else f"{100 * point.accuracy:.2f}%",
            f"{point.model_bytes:,}",
            f"{point.arena_bytes:,}",
        )
        for point in points
    ]
    header = ("promoted", "outputs", "accuracy", "model bytes", "arena bytes")
    return table(header, cells, header[1:], "  ")
