"""The conversion, stage by stage: what each takes from those before it, and hands on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from kerasq.format import Model, ModelError
from kerasq.format.model import FILLED, OFFSET
from kerasq.statistics import Statistics
from kerasq_convert.building import in_float
from kerasq_convert.causes.diagnosis import Diagnosis, diagnose
from kerasq_convert.causes.trials import Trials
from kerasq_convert.comparison.layers import Analysis, analyze_dataset
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.dataset import Dataset
from kerasq_convert.formats.choice import require_ranges
from kerasq_convert.frontend import read_model
from kerasq_convert.frontend.input_sizes import InputSizes
from kerasq_convert.graph import Graph
from kerasq_convert.network import EQUALIZED
from kerasq_convert.observation.observe import load_statistics
from kerasq_convert.options import Options, check_options
from kerasq_convert.passes.factors import as_filled
from kerasq_convert.passes.offsets import as_offset
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.repair.silence import require_signal
from kerasq_convert.report.describe import describe
from kerasq_convert.report.report import Report
from kerasq_convert.search.formats import Searched, search_formats
from kerasq_convert.search.resources import written
from kerasq_convert.search.start import Start, start
from kerasq_convert.settings import Settings
from kerasq_convert.tuning.tune import tune


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What a conversion made.

    Attributes:
        content: The bytes of the .kq file.
        model: The same.
        statistics: What was observed of its buffers, if anything was.
        report: What was done.
        missed: A sentence for each goal that the network misses.
        shortfall: By how much it misses them: see `Search.shortfall`.
    """

    content: bytes
    model: Model
    statistics: Statistics | None
    report: Report
    missed: list[str]
    shortfall: float = 0.0


@contextlib.contextmanager
def _format_rules() -> Iterator[None]:
    """A network that a file can't hold is refused as all else is, by whatever stage first runs or writes it."""
    try:
        yield
    except ModelError as error:
        raise ConversionError("the network can't be written as a .kq file", error.problems) from error


@_format_rules()
def run_stages(source: Any, options: Options) -> Conversion:
    """Converts a model: a path, or a `keras.Model`.

    Where goals are missed by activations that fill their ranges, and nothing asked for these, it is tried without them, too: what
    comes nearer counts.

    Raises:
        ConversionError: The model, the settings or the data can't be used; every problem is listed.
    """
    check_options(options)
    settings, trained = Settings.load(options.settings), load_statistics(options.statistics)

    graph = read_model(source, options.signature, InputSizes(options.input_shape))
    begun = start(graph, settings, options, trained)  # observes values, scales kernels: `begun.build` emits and plans the rest
    conversion = _finished(graph, begun, options)
    if not (conversion.missed and options.fill_ranges is None and settings.factors is None and begun.network.filled):
        return conversion
    without = options.changed(fill_ranges=False)
    try:
        plain = _finished(graph, start(graph, settings, without, trained, begun.as_observed), without)
    except (ConversionError, ModelError):
        return conversion
    return min(conversion, plain, key=lambda one: (len(one.missed), one.shortfall))


def _finished(graph: Graph, begun: Start, options: Options) -> Conversion:
    """The stages from the choice of formats on."""
    network, observed, correction = begun.network, begun.observed, begun.correction
    searched = search_formats(begun.build, observed, correction, options, network)
    built, scaled = searched.build(searched.decided), searched.build.network
    if observed.statistics is not None and not options.allow_float:
        require_ranges(scaled.graph, scaled.names, built.formats)

    repaired = built.replace(built.model if correction is None else correction.measure(built.model))
    tuned = tune(searched.build, searched.decided, repaired, (network, scaled), observed, correction, options)
    require_signal(tuned.emitted, network, observed)
    file = written(tuned.emitted.model, options)
    verdict = searched.verdict(tuned.emitted.model, options.goals, file)
    report = describe(tuned, file.model, len(file.content), scaled, observed, verdict, options)
    report = dataclasses.replace(report, diagnosis=_diagnosis(graph, begun, searched, options))
    return Conversion(file.content, file.model, observed.statistics, report, verdict.missed, verdict.shortfall)


def _diagnosis(graph: Graph, begun: Start, searched: Searched, options: Options) -> Diagnosis | None:
    """Causes of a loss, where layers are analysed; not of widths that were chosen for limits, which lose what they must."""
    examples = begun.observed.examples
    if not options.analyze or examples is None or searched.build is not begun.build:
        return None
    return diagnose(Trials(graph, begun, searched.decided, options, examples))


def float_model(source: Any, quantized: Model | None = None) -> Model:
    """A model as `Converter` takes it, with every tensor in FLOAT32: what quantized networks are compared with.

    Args:
        source: As for `Converter`.
        quantized: What is to be compared with it: tensors have other sizes where that was equalized or its ranges filled, and
            inputs, where the model leaves their sizes open, are as large as its own.

    Raises:
        ConversionError: The model can't be used.
    """
    inputs = [] if quantized is None else [quantized.tensors[index] for index in quantized.inputs]
    sizes = InputSizes({tensor.name: tensor.shape[1:] for tensor in inputs}, strict=False)
    metadata = {} if quantized is None else quantized.metadata
    network = simplify(read_model(source, sizes=sizes), equalized=EQUALIZED in metadata)
    network = as_filled(network, metadata[FILLED]) if FILLED in metadata else network
    return in_float(as_offset(network, metadata[OFFSET]) if OFFSET in metadata else network)


def compare_with_float(model: Model, source: Any, dataset: Dataset, *, verbose: bool = False) -> Analysis:
    """The errors of every layer of a quantized model, against the model that it was made of.

    Args:
        model: The quantized model.
        source: The other, as for `Converter`.
        dataset: Examples, as `Converter.representative_dataset`; the first of them are looked at.
        verbose: Whether to show progress.

    Raises:
        ConversionError: The source or the dataset can't be used, or the two are not the same network.
    """
    return analyze_dataset(model, float_model(source, model), dataset, verbose=verbose)
