"""`Converter`: from a Keras model to the bytes of a .kq file, called as TFLite's converter is."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import kerasq
from kerasq.format import Model, ModelError, dumps
from kerasq.qformat import QFormat
from kerasq.statistics import Statistics
from kerasq_convert.comparison.layers import analyze
from kerasq_convert.comparison.logits import with_logits
from kerasq_convert.comparison.outputs import Wanted, run
from kerasq_convert.emission.emit import emit
from kerasq_convert.errors import ConversionError, GoalsMissedError
from kerasq_convert.formats.choice import Choice, Formats, Policy, choose_formats, float_formats, require_ranges
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.frontend import read_model
from kerasq_convert.frontend.input_sizes import InputSizes
from kerasq_convert.graph import Graph, WeightedNode
from kerasq_convert.memory.plan import plan, plan_memory
from kerasq_convert.naming import Names
from kerasq_convert.observation.calibration import Dataset, observe
from kerasq_convert.observation.observed import by_buffer
from kerasq_convert.options import check_options, load_labels, unknown_option
from kerasq_convert.passes import run_passes
from kerasq_convert.passes.equalize import equalize
from kerasq_convert.passes.fuse_additions import fuse_additions
from kerasq_convert.passes.scale_channels import FORMAT as SCALED
from kerasq_convert.passes.scale_channels import WORTHWHILE_DB, is_free, scale_channels
from kerasq_convert.repair import silence
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.report.figures import figures
from kerasq_convert.report.html_report import html_report
from kerasq_convert.report.report import Report, make_report, with_outputs
from kerasq_convert.search.search import EXAMPLES, Build, Goals, Search
from kerasq_convert.settings.settings import Settings, nearest
from kerasq_convert.settings.template import settings_template

EQUALIZED = "equalized"  # metadata of a file whose network is the float one up to sizes of channels


class Converter:
    """Converts one model. The model itself is never changed. Inputs and outputs of shape (batch,) become (batch, 1).

    Args:
        source: Path of a SavedModel folder, a `.keras` or an `.h5` file; or a `keras.Model`.

    Attributes:
        representative_dataset: Some hundred examples of what the network will see, to choose the formats of buffers: an
            array `(count, ...)`, for several inputs a list or tuple of arrays in the network's order or a dict by name; the path
            of an `.npy` file, of an `.npz` file with an array per input, by name, or of a folder of images; or a callable (or
            iterable) that yields batches in any of these forms, or as `fit` takes them, as a `tf.data.Dataset` does. `None`:
            buffers stay FLOAT32, unless there are statistics.
        statistics: What `kerasq.callbacks.ActivationStatistics` wrote: its file or its folder, or a `Statistics`.
        settings: Formats by tensor name: the path of a YAML file, or its contents as a mapping.
        criterion: How fractional bits are chosen, tensor by tensor: `"mse"`, `"minmax"`, `"percentile"` or `"kl"`.
        bits: Width of automatic buffers, 8 or 16.
        per_channel: Whether kernels of free float weights use the full range of 8 bits in every output channel, at the cost
            of a multiplier; `None`: those that gain a bit by it, where ranges were observed.
        correct_bias: Whether biases of operators with such weights take back what rounding did to the mean of each channel,
            measured behind clamps and tables on one half of the first examples of `representative_dataset`, where the other half
            agrees that it helps the outputs; without a dataset nothing is corrected.
        equalize: Whether the channels of neighbouring layers share their sizes evenly (passes/equalize.py): for networks with
            one format per kernel, where multipliers are unwanted. Ranges must then come from `representative_dataset`.
        refine: Whether to change formats by what they do to the network's outputs for the first examples of
            `representative_dataset`, which is then needed.
        goals: `Goals` that single buffers get 16 bits for; needs `representative_dataset` too.
        labels: Class of each example of it, in its order, for `Goals.max_accuracy_drop`: an array or the path of an `.npy` file.
        analyze: Whether the report tells each layer's error, for the first examples of `representative_dataset`, which is then
            needed.
        allow_float: Whether buffers may stay FLOAT32 for want of a range although a dataset or statistics are given.
        input_type: Format of the network's inputs, as `"UFIXED8_0"` for raw 8-bit pixels; `None`: as observed.
        signature: Name of the signature to convert, where a SavedModel has several.
        input_shape: Sizes, without the batch, of inputs whose sizes the model leaves open: `(10200, 4)`, or by name of the input
            `{"signal": (10200, 4)}`.
        verbose: Whether long work shows a progress bar.

    There are no other attributes: to set a misspelt one is an `AttributeError` that names the nearest.

    Example:

    >>> converter = kerasq.Converter.from_keras_model(model)
    >>> converter.representative_dataset = x_train[:256]
    >>> pathlib.Path("model.kq").write_bytes(converter.convert())
    >>> print(converter.report.to_text())
    """

    def __init__(self, source: Any):
        self._source = source
        self.representative_dataset: Dataset | None = None
        self.statistics: str | os.PathLike | Statistics | None = None
        self.settings: str | os.PathLike | dict | Settings | None = None
        self.criterion: str = Criterion.MSE
        self.bits = 8
        self.per_channel: bool | None = None
        self.correct_bias = True
        self.equalize = False
        self.refine = False
        self.goals = Goals()
        self.labels: str | os.PathLike | np.ndarray | None = None
        self.analyze = False
        self.allow_float = False
        self.input_type: str | QFormat | None = None
        self.signature: str | None = None
        self.input_shape: Mapping[str, Sequence[int]] | Sequence[int] | None = None
        self.verbose = False
        self._report: Report | None = None
        self._formats: Formats | None = None
        self._model: Model | None = None
        self._statistics: Statistics | None = None

        self._complete = True

    def __setattr__(self, name: str, value: Any) -> None:
        if "_complete" in vars(self) and name not in vars(self) and not hasattr(type(self), name):
            raise unknown_option(self, name)
        super().__setattr__(name, value)

    @classmethod
    def from_keras_model(cls, model: Any) -> Converter:
        """A converter of a live Keras model."""
        return cls(model)

    @classmethod
    def from_saved_model(cls, path: str | os.PathLike) -> Converter:
        """A converter of a SavedModel folder, as `model.export(path)` writes it."""
        return cls(path)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> Converter:
        """A converter of a `.keras` or `.h5` file."""
        return cls(path)

    def convert(self) -> bytes:
        """The bytes of the .kq file; afterwards `report` and `settings_template()` tell what was done.

        Raises:
            ConversionError: The model, the settings or the data can't be used; every problem is listed.
            GoalsMissedError: A goal or limit is missed; `report` then tells how near the network came.
        """
        policy = self._policy()
        settings = Settings.load(self.settings)
        statistics = self._load_statistics()
        graph, removed = run_passes(read_model(self._source, self.signature, InputSizes(self.input_shape)))
        if self.input_type is not None:
            settings = settings.with_buffers(graph.inputs, _as_format(self.input_type))
        graph, names = _with_fused_additions(graph, removed, settings)
        if self.equalize:
            graph = equalize(graph)
        metadata = {"producer": f"kerasq {kerasq.__version__}"} | ({EQUALIZED: "yes"} if self.equalize else {})
        examples: list[np.ndarray] = []
        reference: Model | None = None
        held: Wanted | None = None
        searching = self.refine or self.goals.given
        if self.representative_dataset is not None:
            reference = _in_float(graph, names, metadata)
            statistics, examples = observe(
                reference, self.representative_dataset, ordered=graph.ordered, verbose=self.verbose, examples=EXAMPLES
            )
            held = Wanted.of(reference, [array[1::2] if len(array) > 1 else array for array in examples])
        elif statistics is not None:
            statistics = by_buffer(graph, names, statistics)

        free = {names.kernel(node) for node in graph.nodes if isinstance(node, WeightedNode) and is_free(node)}
        unscaled = graph
        graph = self._scaled(graph, names, settings, observed=statistics is not None)  # only now: not the reference

        def build(decided: dict[str, Choice]) -> tuple[Model, Formats]:
            formats = choose_formats(graph, names, settings, statistics, dataclasses.replace(policy, decided=decided))
            return plan_memory(emit(graph, names, formats, settings, metadata)), formats

        correction, decided, curve, missed, search = None, {}, [], [], None
        if reference is not None and held is not None and self.correct_bias:
            halves = [array[::2] for array in examples]
            correction = BiasCorrection(reference, halves, held, free, verbose=self.verbose)
        if reference is not None and searching:
            search = self._search(build, examples, reference, correction)
            if self.refine:
                search.refine()
            search.promote(self.goals, statistics or Statistics(), policy.criterion)
            decided = search.decided
        model, formats = build(decided)
        if statistics is not None and not self.allow_float:
            require_ranges(graph, names, formats)
        if correction is not None:
            model = correction.measure(model)
        if search is not None:
            missed, curve = search.finish(model, self.goals), search.curve
        examined = None if held is None else held.inputs
        silenced = silence.problems(
            model, formats, unscaled, names, statistics, lambda: reference or _in_float(unscaled, names, metadata), examined
        )
        if silenced:
            raise ConversionError("the network does not fit its formats", silenced)
        content = _verified(model)
        self._formats, self._model, self._statistics = formats, model, statistics
        report = make_report(graph, names, plan(model), formats, statistics, removed, len(content))
        if held is not None:
            report = with_outputs(report, model, held)
        errors = analyze(model, reference, examples, verbose=self.verbose) if reference is not None and self.analyze else None
        self._report = dataclasses.replace(report, trade_off=curve, analysis=errors)
        if missed:
            raise GoalsMissedError("goals missed", missed)
        return content

    def _policy(self) -> Policy:
        """How formats are to be chosen, from the attributes."""
        check_options(self)
        return Policy(Criterion(self.criterion), self.bits)

    def _scaled(self, graph: Graph, names: Names, settings: Settings, *, observed: bool) -> Graph:
        """The graph with multipliers for its kernels, as `per_channel` says; never for one that the settings want otherwise.

        Settings that name both formats of a scaled kernel tell that it is one, and those that name its own alone that it is
        not: so those of a conversion lead to the same file, whatever it was that scaled there.
        """

        def told(node: WeightedNode) -> bool:
            return settings.parameter(names.kernel(node)) == SCALED and settings.parameter(names.multiplier(node)) is not None

        def allowed(node: WeightedNode) -> bool:
            wanted = settings.parameter(names.kernel(node))
            return (wanted is None and observed) or (wanted in (None, SCALED) and self.per_channel is True)

        if self.per_channel is False:
            return graph
        graph = scale_channels(graph, allowed=told)
        return scale_channels(graph, -np.inf if self.per_channel else WORTHWHILE_DB, allowed)

    def _search(self, build: Build, examples: list[np.ndarray], reference: Model, correction: BiasCorrection | None) -> Search:
        labels = load_labels(self.labels)
        if labels is not None:
            labels = labels[: len(examples[0])]
            if len(labels) < len(examples[0]):
                raise ConversionError("labels", [f"{len(examples[0])} examples need as many labels. Received: {len(labels)}"])
        outputs = run(with_logits(reference), examples, engine="reference")  # BLAS: the faster one in float
        return Search(build, examples, outputs, labels, correction, self.verbose)

    def _load_statistics(self) -> Statistics | None:
        if self.statistics is None or isinstance(self.statistics, Statistics):
            return self.statistics
        try:
            return Statistics.load(self.statistics)
        except OSError as error:
            place = os.fspath(error.filename or self.statistics)  # of a folder, the file in it
            raise ConversionError(place, [f"the statistics can't be read: {error.strerror}"]) from error
        except ValueError as error:
            raise ConversionError(os.fspath(self.statistics), [str(error)]) from error

    @property
    def report(self) -> Report:
        """What the last `convert()` did."""
        if self._report is None:
            raise RuntimeError("There is no report yet: call convert() first")
        return self._report

    def figures(self) -> dict[str, Any]:
        """What the pictures of the HTML report show: see `kerasq_convert.figures`."""
        if self._model is None:
            raise RuntimeError("There are no figures yet: call convert() first")
        return figures(self._model, self._statistics)

    def html_report(self, title: str = "network") -> str:
        """One HTML file with the report of the last `convert()` and its pictures."""
        return html_report(title, self.report, self.figures())

    def settings_template(self) -> str:
        """The YAML text of a settings file with the formats of the last `convert()`."""
        if self._formats is None:
            raise RuntimeError("There are no formats yet: call convert() first")
        return settings_template(self.report, self._formats)


def float_model(source: Any, quantized: Model | None = None) -> Model:
    """A model as `Converter` takes it, with every tensor in FLOAT32: what quantized networks are compared with.

    Args:
        source: As for `Converter`.
        quantized: What is to be compared with it: tensors have other sizes where that was equalized, and inputs, where the model
            leaves their sizes open, are as large as its own.

    Raises:
        ConversionError: The model can't be used.
    """
    inputs = [] if quantized is None else [quantized.tensors[index] for index in quantized.inputs]
    sizes = InputSizes({tensor.name: tensor.shape[1:] for tensor in inputs}, strict=False)
    graph, names = _with_fused_additions(*run_passes(read_model(source, sizes=sizes)))
    if quantized is not None and EQUALIZED in quantized.metadata:
        graph = equalize(graph)
    return _in_float(graph, names, {})


def _with_fused_additions(graph: Graph, removed: dict[str, int], settings: Settings | None = None) -> tuple[Graph, Names]:
    """Additions become part of a convolution, except where settings have a format of its own for the convolution's buffer."""
    names, given = Names(graph), settings or Settings()
    fused = fuse_additions(graph, lambda term, total: given.tell_apart(names.buffer(term), names.buffer(total)))
    removed["fuse_additions"] = len(graph.nodes) - len(fused.nodes)
    return fused, Names(fused, names)


def _in_float(graph: Graph, names: Names, metadata: dict[str, str]) -> Model:
    return plan_memory(emit(graph, names, float_formats(graph, names), Settings(), metadata))


def _as_format(wanted: str | QFormat) -> QFormat:
    return wanted if isinstance(wanted, QFormat) else QFormat.parse(wanted)


def _verified(model: Model) -> bytes:
    """The bytes of a model that keeps every rule of the file format."""
    try:
        return dumps(model)
    except ModelError as error:
        raise ConversionError("the network can't be written as a .kq file", error.problems) from error


_OPTIONS = tuple(name for name in vars(Converter(None)) if not name.startswith("_"))


def convert(source: Any, **options: Any) -> bytes:
    """The bytes of the .kq file of a model, in one call.

    Args:
        source: As for `Converter`.
        **options: Attributes of the `Converter`: `representative_dataset`, `criterion` and so on.

    Raises:
        ConversionError: As `Converter.convert`.
        TypeError: There is no such option.
    """
    converter = Converter(source)
    for name, value in options.items():
        if name not in _OPTIONS:
            raise TypeError(f"convert() got an unexpected option {name!r}{nearest(name, _OPTIONS)}")
        setattr(converter, name, value)
    return converter.convert()


__all__ = ["Converter", "convert"]
