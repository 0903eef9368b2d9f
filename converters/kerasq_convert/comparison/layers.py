"""Where accuracy is lost: a quantized network beside its float original, operator by operator, in one pass over the data.

For each batch the float network f runs first. Then every operator of the quantized network runs on the same examples, for each
tensor y of both, with float values y and stored values that stand for y':

    accumulated   y' of the quantized network as it runs: all that was lost up to here
    alone         the quantized operator on the float network's inputs, each stored in its own format: y' = op(Q(x)).
                  What this layer loses by itself, whatever came before: its inputs' formats, its constants, its output's
                  format. A tensor in a poor format so shows twice, at the layer that writes it and at those that read it;
    storage       y' = Q(y), the output's format alone. Where it is close to `alone`, that format is at fault, else the
                  constants or the inputs are.

Noise is the sum of (y' - y)**2, signal the sum of y**2, over all examples and elements; of labels, which are no quantities, noise
is how many differ, and signal how many there are. A tensor that the float network does not
have (a step within a layer) belongs to the layer that follows: `alone` goes through it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.labels import labels_of
from kerasq.format.model import Model, Tensor
from kerasq.interpreter.batches import inputs_of, slices
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.progress import Progress
from kerasq.qformat import QFormat
from kerasq_convert.comparison.contributions import Contribution, contributions
from kerasq_convert.comparison.noise import Noise, finite
from kerasq_convert.comparison.promotion import Variant, variants
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.dataset import EXAMPLES, Dataset, load_dataset
from kerasq_convert.network import PRUNED, zeros_of
from kerasq_convert.operators import activations_read

LITTLE = 0.1  # of the signal: rule of thumb for noise at the outputs that costs little accuracy
_BATCH_BYTES = 1 << 26
_MAX_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Promotion:
    """What 16 bits for the output, the kernel or both would cost, and what `alone` would be then."""

    what: str
    arena_bytes: int
    model_bytes: int
    alone: Noise

    def gain_db(self, before: Noise) -> float:
        """Of the layer itself; 0 where there is no noise to begin with."""
        return self.alone.sqnr_db - before.sqnr_db if before.power else 0.0


@dataclasses.dataclass(frozen=True)
class LayerError:
    """The errors of one tensor: of an input of the network, or what an operator computes.

    Attributes:
        name, kind, format: Name of the tensor, kind of the operator ("input" for an input), format of the tensor.
        accumulated, alone, storage: See this module's description.
        at_limits: Share of the stored values at the ends of the format (0 of an unsigned one is none).
        saturated: Share of the float network's values that round beyond those ends.
        promotions: What 16 bits would do.
        labels: Whether the values are labels: noise is then how many differ, and no ratio in dB says anything.
    """

    name: str
    kind: str
    format: str
    accumulated: Noise
    alone: Noise
    storage: Noise
    at_limits: float
    saturated: float
    promotions: list[Promotion]
    labels: bool = False

    def to_dict(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values |= {name: values[name].to_dict() for name in ("accumulated", "alone", "storage")}
        values["promotions"] = [
            {
                "what": promotion.what,
                "arena_bytes": promotion.arena_bytes,
                "model_bytes": promotion.model_bytes,
                "alone": promotion.alone.to_dict(),
                "gain_db": finite(promotion.gain_db(self.alone)),
            }
            for promotion in self.promotions
        ]
        return values


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The errors of every layer.

    Attributes:
        examples: How many were looked at.
        layers: In the order of execution, inputs first.
        outputs: Names of the network's outputs that are compared.
        unmatched: Activations that the float network does not have.
        contributions: What tensors add to the noise at the outputs, the greatest effect first.
    """

    examples: int
    layers: list[LayerError]
    outputs: list[str]
    unmatched: list[str]
    contributions: list[Contribution]

    def layer(self, name: str) -> LayerError:
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def first_loss(self) -> LayerError | None:
        """The first tensor whose accumulated noise exceeds a tenth of its signal."""
        return next((layer for layer in self.layers if layer.accumulated.share > LITTLE), None)

    @property
    def saturating(self) -> list[LayerError]:
        """Tensors that lose values at the ends of their formats, the worst first."""
        saturated = [layer for layer in self.layers if layer.saturated > 0]
        return sorted(saturated, key=lambda layer: layer.saturated, reverse=True)

    def to_text(self) -> str:
        """The analysis as a person reads it."""
        from kerasq_convert.comparison import analysis_text  # which reads this class

        return analysis_text.to_text(self)

    def to_dict(self) -> dict[str, Any]:
        """The analysis as JSON values."""
        first = self.first_loss
        return {
            "examples": self.examples,
            "first_loss": first and first.name,
            "outputs": self.outputs,
            "unmatched": self.unmatched,
            "layers": [layer.to_dict() for layer in self.layers],
            "contributions": [one.to_dict() for one in self.contributions],
        }


def analyze(model: Model, reference: Model, inputs: list[np.ndarray], *, verbose: bool = False) -> Analysis:
    """Compare a quantized network with its float original.

    Args:
        model: The quantized network.
        reference: The same network in FLOAT32; tensors belong together by name.
        inputs: Values of the examples, an array (count, ...) for each input of the network, finite.
        verbose: Whether to show progress.

    Raises:
        ConversionError: The two are not the same network.
    """
    problems = list(_differences(model, reference))
    if problems and PRUNED in model.metadata:
        problems = ["channels that can't change are left out of the .kq file: convert with --noprune to compare its layers"]
    if problems:
        raise ConversionError("the float network", problems)
    names = {tensor.name for tensor in reference.activations()}
    comparison = _Comparison(model, reference, names)
    size = sum(4 * math.prod(tensor.shape) for tensor in reference.activations())
    count = len(inputs[0])
    with Progress("comparing with float", count, "examples", enabled=verbose) as progress:
        for examples in slices(count, int(np.clip(_BATCH_BYTES // size, 1, _MAX_BATCH))):
            comparison.add([array[examples].astype(np.float32) for array in inputs])
            progress.advance(examples.stop - examples.start)
    outputs = [model.tensors[index].name for index in model.outputs if model.tensors[index].name in names]
    unmatched = [tensor.name for tensor in model.activations() if tensor.name not in names]
    layers = [measured.result() for measured in comparison.measured.values()]
    return Analysis(count, layers, outputs, unmatched, contributions(model, reference, inputs))


def analyze_dataset(
    model: Model, reference: Model, dataset: Dataset, *, examples: int = EXAMPLES, verbose: bool = False
) -> Analysis:
    """`analyze` on the first examples of a dataset, as `Converter.representative_dataset` is one.

    Raises:
        ConversionError: The dataset can't be used, or the two are not the same network.
    """
    batches: list[list[np.ndarray]] = []
    for batch in load_dataset(dataset, inputs_of(reference)):
        batches.append(batch)
        if sum(len(arrays[0]) for arrays in batches) >= examples:
            break
    inputs = [np.concatenate(parts)[:examples] for parts in zip(*batches, strict=True)]
    return analyze(model, reference, inputs, verbose=verbose)


def _differences(model: Model, reference: Model) -> list[str]:
    shapes = {tensor.name: tensor.shape for tensor in reference.activations()}
    problems = [
        f"its input {model.tensors[index].name!r} is missing: it is another network, or its layers are named otherwise"
        for index in model.inputs
        if model.tensors[index].name not in shapes
    ]
    for tensor in model.activations():
        if tensor.name in shapes and shapes[tensor.name] != tensor.shape:
            problems.append(f"{tensor.name!r} has shape {shapes[tensor.name]} in it, and {tensor.shape} in the .kq file")
    if not any(model.output(operator).name in shapes for operator in model.operators):
        problems.append("it has no layer of the same name: it is another network")
    return problems


class _Measured:
    """Sums for one tensor."""

    def __init__(self, tensor: Tensor, kind: str, tried: list[Variant], *, zero: float = 0.0, labels: bool = False):
        self.tensor, self.kind, self.tried, self.zero, self.labels = tensor, kind, tried, zero, labels
        self.accumulated, self.alone, self.storage = Noise(), Noise(), Noise()
        self.promoted = [Noise() for _ in tried]
        self.count = self.at_limits = self.saturated = 0

    def add(self, wanted: np.ndarray, accumulated: np.ndarray, alone: np.ndarray, stored: np.ndarray) -> None:
        format_ = self.tensor.format
        for noise, values in ((self.accumulated, accumulated), (self.alone, alone), (self.storage, stored)):
            told = format_.dequantize(values, np.float64)
            noise.add(*((np.ones(wanted.shape), wanted == told) if self.labels else (wanted, told, self.zero)))
        self.count += wanted.size
        if format_.is_fixed:
            ends = (format_.min_int, format_.max_int) if format_.signed else (format_.max_int,)
            self.at_limits += int(np.count_nonzero(np.isin(accumulated, ends)))
            half = format_.step / 2
            self.saturated += int(np.count_nonzero((wanted < format_.min - half) | (wanted >= format_.max + half)))

    def result(self) -> LayerError:
        promotions = [
            Promotion(variant.what, variant.arena_bytes, variant.model_bytes, noise)
            for variant, noise in zip(self.tried, self.promoted, strict=True)
        ]
        shares = (self.at_limits / self.count, self.saturated / self.count)
        noises = (self.accumulated, self.alone, self.storage)
        return LayerError(self.tensor.name, self.kind, str(self.tensor.format), *noises, *shares, promotions, self.labels)


class _Comparison:
    """Both networks side by side, a batch at a time."""

    def __init__(self, model: Model, reference: Model, names: set[str]):
        self._model, self._reference, self._float = model, reference, ReferenceEngine(reference)
        self._runs: list[Callable[..., np.ndarray]] = [ops.prepare(model, operator) for operator in model.operators]
        tried = variants(model, reference)
        labels, zeros = labels_of(model), zeros_of(reference)
        self.measured = {index: _Measured(model.tensors[index], "input", []) for index in model.inputs}
        for position, operator in enumerate(model.operators):
            tensor = model.output(operator)
            if tensor.name in names:
                (index,) = operator.outputs
                usable = [variant for variant in tried(position) if index not in labels and self._has_inputs(variant, names)]
                zero = zeros.get(tensor.name, 0.0)
                self.measured[index] = _Measured(tensor, str(operator.kind), usable, zero=zero, labels=index in labels)

    def _has_inputs(self, variant: Variant, names: set[str]) -> bool:
        """Whether inputs that it wants in another format are in the float network, to be stored so."""
        tensors = self._model.tensors
        return all(tensors[i].name in names or tensors[i].format == format_ for i, format_ in variant.inputs)

    def add(self, inputs: list[np.ndarray]) -> None:
        values: dict[str, np.ndarray] = {}
        tensors = self._reference.tensors
        self._float.run(inputs, lambda index, array: values.update({tensors[index].name: array.astype(np.float64)}))
        accumulated: dict[int, np.ndarray] = {}
        alone: dict[int, np.ndarray] = {}
        for index in self._model.inputs:
            tensor = self._model.tensors[index]
            accumulated[index] = alone[index] = stored = tensor.format.quantize(values[tensor.name])
            self.measured[index].add(values[tensor.name], stored, stored, stored)
        for run, operator in zip(self._runs, self._model.operators, strict=True):
            sources, output = activations_read(self._model, operator), operator.outputs[0]
            with np.errstate(all="ignore"):  # FLOAT32 operators may overflow, as in the engine
                accumulated[output] = run(*(accumulated[index] for index in sources))
                alone[output] = run(*(alone[index] for index in sources))
            if output in self.measured:
                wanted = values[self._model.tensors[output].name]
                stored = self._model.tensors[output].format.quantize(wanted)
                self.measured[output].add(wanted, accumulated[output], alone[output], stored)
                self._try(self.measured[output], wanted, values, alone)
                alone[output] = stored

    def _try(self, measured: _Measured, wanted: np.ndarray, values: dict[str, np.ndarray], alone: dict[int, np.ndarray]) -> None:
        def source(index: int, format_: QFormat) -> np.ndarray:
            tensor = self._model.tensors[index]
            return alone[index] if tensor.format == format_ else format_.quantize(values[tensor.name])

        for variant, noise in zip(measured.tried, measured.promoted, strict=True):
            stored = variant.run(*(source(index, format_) for index, format_ in variant.inputs))
            noise.add(wanted, variant.output.dequantize(stored, np.float64), measured.zero)
