"""The stage that tells what was done."""

from __future__ import annotations

import dataclasses

from kerasq.format import Model
from kerasq.format.model import FILLED, OFFSET
from kerasq_convert.comparison.layers import analyze
from kerasq_convert.comparison.outputs import accuracy
from kerasq_convert.examples.labels import labels_of
from kerasq_convert.memory.plan import plan
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed, held_back
from kerasq_convert.options import Options
from kerasq_convert.pruning.prune import pruned_layers
from kerasq_convert.report.about import about
from kerasq_convert.report.report import Report, make_report, with_outputs
from kerasq_convert.search.formats import Verdict
from kerasq_convert.tuning.tune import Tuned


def describe(
    tuned: Tuned, written: Model, size: int, network: Network, observed: Observed, verdict: Verdict, options: Options
) -> Report:
    """The report of a conversion.

    Args:
        tuned: What came of it.
        written: The same without what can't change its outputs: what is in the file.
        size: Bytes of the file.
        network: What was emitted.
        observed: What was known of its values.
        verdict: What came of the goals, and of the trade-off.
        options: `analyze`, `labels`, `verbose`.
    """
    emitted, model = tuned.emitted, tuned.emitted.model
    planned = plan(written)
    report = make_report(network.graph, network.names, planned, emitted, observed.statistics, dict(network.removed), size)
    report = dataclasses.replace(
        report,
        notes=[*report.notes, *tuned.notes],
        trade_off=verdict.trade_off,
        pruned=pruned_layers(model, written),
        allocation=None if verdict.allocation is None else verdict.allocation.told(network.names),
        pareto=verdict.pareto,
        tuned=tuned.layers,
        about=about(options, model, observed.statistics),
        factors=network.metadata.get(FILLED, ""),
        offsets=network.metadata.get(OFFSET, ""),
    )
    examples = observed.examples
    if examples is None:
        return report
    report = with_outputs(report, model, examples.held, analyzed=options.analyze)
    labels = labels_of(options.labels, len(examples.inputs[0]))
    if labels is not None:
        report = dataclasses.replace(report, accuracy=accuracy(model, examples.held, held_back(labels)))
    if not options.analyze:
        return report
    return dataclasses.replace(report, analysis=analyze(model, examples.reference, examples.inputs, verbose=options.verbose))
