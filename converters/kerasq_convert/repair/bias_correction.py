"""Bias correction: rounding a kernel moves the mean of what a channel computes, and its bias can take that back.

For every output channel c of an operator, in the order of execution, over calibration examples, a shift of the bias is looked
for with which

    mean of f(sum of the quantized network + shift[c]) = mean of what the float network gives on

where f is what follows: the clamp, the ends of the format and, where nothing else reads the result, the function of a table.
(The means before a ReLU are those of values that it takes away: a channel that is mostly far below zero would be shifted for the
sake of what nobody sees.) A step of Newton's method, the missing mean divided by the mean slope of f, finds it nearly, a second
one well.

The quantized operator reads what the operators before it, already corrected, really give it. So the correction also takes back
what rounding and saturation of the inputs did to the mean. It costs nothing on the device (Nagel et al. 2019, Data-free
quantization, arXiv:1906.04721, section 4.2, with measured means in place of modelled ones).

Shifts come from one half of the examples; which of them are kept is for the other half to say, which had no part in them. Layer
by layer, one is kept if it brings the network's outputs nearer to the float network's, by more than chance. Shifts too small to
tell apart are then tried all together; so are those of networks so large that a layer at a time would take too long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.progress import Progress
from kerasq.qformat import FLOAT32, QFormat
from kerasq.runtime import available, tiers
from kerasq_convert.comparison.logits import beside_logits, scored_outputs
from kerasq_convert.comparison.outputs import Wanted, is_better
from kerasq_convert.examples.in_batches import computed_in_batches, in_batches
from kerasq_convert.operators import activations_read, with_real_zero

STEPS = 2  # of Newton's method
LEAST_SLOPE = 1 / 64  # of what follows, on average: a channel that shows less than that is left alone
LEAST_EXAMPLES = 16  # that a single shift is judged by
WORK = {"native": 1 << 40, "reference": 1 << 37}  # multiply-accumulates that all judging together may take, by what computes

Function = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Follower:
    """What follows the sum of an operator: the tensor that the next one reads, and the function that leads to it."""

    name: str
    function: Function


class BiasCorrection:
    """Corrects biases of quantized versions of one network, and remembers by how much.

    Args:
        reference: The network in FLOAT32; tensors belong together by name.
        inputs: Values of the examples that shifts come from, an array (count, ...) for each input of the network.
        held: The other examples, which decide what is kept.
        kernels: Names of the kernels whose operators are corrected.
        verbose: Whether to show progress.

    """

    def __init__(
        self, reference: Model, inputs: list[np.ndarray], held: Wanted, kernels: Collection[str], *, verbose: bool = False
    ):
        self._reference, self._inputs, self.held, self._kernels, self._verbose = reference, inputs, held, kernels, verbose
        self._followers: dict[str, _Follower] = {}  # by name of the operator's output
        self._means: dict[str, np.ndarray] = {}  # by name of a follower: what the float network gives on, `_means`
        self._kept: dict[str, _Kept] = {}
        self._float: dict[str, _Kept] | None = None  # as `follow_float` has it

    def measure(self, model: Model) -> Model:
        """`model` with biases corrected; one that its format can't hold, or whose sum could overflow, stays.

        Args:
            model: The quantized network, its biases as rounded.
        """
        corrected = {model.output(operator).name for operator in model.operators if _is_corrected(model, operator, self._kernels)}
        self._kept = {}
        if not corrected:
            return model
        self._look_at_reference(corrected)
        shown, outputs = beside_logits(model), len(scored_outputs(model))
        noise = self.held.noise(shown, outputs)
        for judge in (_Judge(self.held, shown, outputs, len(corrected)), None):
            if judge is None or judge.is_affordable:
                kept = self._pass(model, corrected, judge)
                corrected_noise = self.held.noise(_with_shifts(shown, kept), outputs)
                if is_better(corrected_noise, noise):
                    self._kept, noise = kept, corrected_noise
        return _with_shifts(model, self._kept)

    def _pass(self, model: Model, corrected: Collection[str], judge: _Judge | None) -> dict[str, _Kept]:
        """The shifts that `judge` agrees with, or all of them, by name of the operator's output."""
        kept: dict[str, _Kept] = {}
        spans = model.lifetimes()
        inputs = zip(model.inputs, self._inputs, strict=True)
        values = {index: model.tensors[index].format.quantize(array) for index, array in inputs}
        with Progress("correcting biases", len(model.operators), "operators", enabled=self._verbose) as progress:
            for position, operator in enumerate(model.operators):
                name, sources = model.output(operator).name, activations_read(model, operator)
                if name in corrected:
                    shift = self._shift(model, operator, values)
                    changed = _shifted(model, name, shift)
                    if changed is not None and (judge is None or judge.agrees(name, shift)):
                        kept[name] = _Kept(shift, *_read(model, operator, values))
                        model = changed
                run = ops.prepare(model, model.operators[position])
                values[operator.outputs[0]] = computed_in_batches(run, [values[index] for index in sources])
                values = {index: array for index, array in values.items() if spans[index][1] > position}
                progress.advance(1)
        return kept

    def apply(self, model: Model) -> Model:
        """About what `measure` gives, without looking at examples: operators read on average what they read when it did.

        A sum before its clamp is affine in what is read: its mean for another kernel is the sum for the mean of what is read.
        """
        for operator in model.operators:
            name = model.output(operator).name
            if name in self._kept and _is_corrected(model, operator, self._kernels):
                kept = self._kept[name]
                shift = kept.shift + kept.sum - _mean(_in_float(model, operator)(*kept.read))
                model = _shifted(model, name, shift) or model
        return model

    def follow_float(self, model: Model) -> None:
        """From now on `apply` takes back what rounding kernels does to means, for what operators read in the float network.

        That is no measurement, but holds for all formats alike: for a search that compares them.

        Args:
            model: Any quantized version of the network.
        """
        if self._float is None:
            names = {model.output(o).name for o in model.operators if _is_corrected(model, o, self._kernels)}
            self._float = self._means_read(names)
        self._kept = self._float

    def _means_read(self, names: Collection[str]) -> dict[str, _Kept]:
        """What operators of the float network read and sum up, on average, without a shift."""
        model = self._reference
        operators = [operator for operator in model.operators if model.output(operator).name in names]
        means: dict[int, list[np.ndarray]] = {index: [] for operator in operators for index in activations_read(model, operator)}

        def look(index: int, values: np.ndarray) -> None:
            if index in means:
                means[index].append(values.sum(axis=0, dtype=np.float64, keepdims=True))

        engine, count = ReferenceEngine(model), len(self._inputs[0])
        for batch in in_batches(self._inputs):
            engine.run(batch, look)
        kept = {}
        for operator in operators:
            sums = [np.sum(means[index], axis=0) for index in activations_read(model, operator)]
            read = [(each / count).astype(np.float32) for each in sums]
            total = _mean(_in_float(model, operator)(*read))
            kept[model.output(operator).name] = _Kept(np.zeros_like(total), total, read)
        return kept

    def _look_at_reference(self, corrected: Collection[str]) -> None:
        """The means that the float network gives on, of operators that were not looked at before."""
        model = self._reference
        missing = [operator for operator in model.operators if model.output(operator).name in corrected - self._followers.keys()]
        if not missing:
            return
        followers = {model.output(operator).name: _follower(model, operator) for operator in missing}
        means: dict[str, list[np.ndarray]] = {follower.name: [] for follower in followers.values()}

        def look(index: int, values: np.ndarray) -> None:
            name = model.tensors[index].name
            if name in means:
                means[name].append(_means(values))

        engine = ReferenceEngine(model)
        for batch in in_batches(self._inputs):
            engine.run(batch, look)
        self._means |= {name: np.concatenate(parts) for name, parts in means.items()}
        self._followers |= followers

    def _shift(self, model: Model, operator: Operator, values: dict[int, np.ndarray]) -> np.ndarray:
        """What to add to the bias of each channel.

        The mean that is missing, over n examples, is known but to their deviation / sqrt(n): where it is hardly more, it
        is mostly chance, and so is the shift. It shrinks by the share of chance in its square, to nothing where that is all (the
        positive part of James and Stein 1961).
        """
        follower, output = self._followers[model.output(operator).name], model.output(operator).format
        run, sources = _in_float(model, operator), activations_read(model, operator)
        low, high = _limits(operator, output)
        shift = np.zeros(1)
        for step in range(STEPS):
            means, slopes = [], []
            for batch in in_batches([values[index] for index in sources]):
                floats = [model.tensors[index].format.dequantize(stored) for index, stored in zip(sources, batch, strict=True)]
                sums = run(*floats) + shift
                half = output.step if output.is_fixed else 1e-3 * float(np.abs(sums).max() or 1.0)
                below, at, above = (follower.function(np.clip(sums + offset, low, high)) for offset in (-half, 0.0, half))
                means.append(_means(at))
                slopes.append(_means((above - below) / (2 * half)))
            missing, slope = self._means[follower.name] - np.concatenate(means), np.concatenate(slopes).mean(axis=0)
            if step == 0:
                believed = _believed(missing)
            steep = np.abs(slope) >= LEAST_SLOPE
            shift = shift + np.where(steep, missing.mean(axis=0) / np.where(steep, slope, 1.0), 0.0)
        return shift * believed


@dataclasses.dataclass(frozen=True)
class _Kept:
    """A shift that was kept, the mean of the sum that it was added to, and the mean of what the operator read: batches of one."""

    shift: np.ndarray
    sum: np.ndarray
    read: list[np.ndarray]


class _Judge:
    """Says whether a shift brings the outputs nearer to the float network's, and remembers the network with those that do.

    Args:
        held: Examples, of which as many are looked at as the work allows.
        model: The quantized network, `beside_logits`; `outputs` of its outputs are those that it had.
        shifts: How many there may be.
    """

    def __init__(self, held: Wanted, model: Model, outputs: int, shifts: int):
        self._outputs, self._model = outputs, model
        work = sum(ops.macs(model, operator) for operator in model.operators) * (shifts + 1)
        allowed = WORK["reference" if not available() or tiers()[-1] == "portable" else "native"] // max(work, 1)
        self.is_affordable = allowed >= LEAST_EXAMPLES
        if self.is_affordable:
            self._seen = held.first(allowed)
            self._noise = self._seen.noise(self._model, self._outputs)

    def agrees(self, name: str, shift: np.ndarray) -> bool:
        changed = _shifted(self._model, name, shift)
        if changed is None:
            return False
        noise = self._seen.noise(changed, self._outputs)
        if not is_better(noise, self._noise):
            return False
        self._model, self._noise = changed, noise
        return True


def _with_shifts(model: Model, kept: dict[str, _Kept]) -> Model:
    for name, correction in kept.items():
        model = _shifted(model, name, correction.shift) or model
    return model


def _shifted(model: Model, name: str, shift: np.ndarray) -> Model | None:
    """`model` with another bias for the operator that computes a tensor; None where that changes nothing, or could overflow."""
    position = next(place for place, operator in enumerate(model.operators) if model.output(operator).name == name)
    operator = model.operators[position]
    index = ops.operand_index(operator, "bias")
    bias = model.tensors[index]
    data = bias.format.quantize(bias.values.astype(np.float64) + shift.reshape(bias.shape))
    if bias.data is None or np.array_equal(data, bias.data):
        return None
    tensors = list(model.tensors)
    tensors[index] = dataclasses.replace(bias, data=data)
    changed = dataclasses.replace(model, tensors=tuple(tensors))
    try:
        proven = ops.with_widths(changed, operator)
    except OverflowError:
        return None
    operators = (*model.operators[:position], proven, *model.operators[position + 1 :])
    return dataclasses.replace(changed, operators=operators)


def _is_corrected(model: Model, operator: Operator, kernels: Collection[str]) -> bool:
    if not ops.is_integer(model, operator) or ops.operand_index(operator, "bias") == ABSENT:
        return False
    kernel = ops.operand(model, operator, "kernel")
    return kernel is not None and kernel.name in kernels


def _follower(reference: Model, operator: Operator) -> _Follower:
    """What follows an operator of the float network, its own clamp apart."""
    index = operator.outputs[0]
    name = reference.tensors[index].name
    while index not in reference.outputs:
        readers = [reader for reader in reference.operators if index in reader.inputs]
        if len(readers) != 1:
            break
        (reader,), shape = readers, reference.output(readers[0]).shape
        if reader.function is not None:
            return _Follower(reference.output(reader).name, _clipped(reader.function, reader.clamp))
        if reader.kind is not OperatorKind.RESHAPE or shape[-1] != reference.tensors[index].shape[-1]:
            break
        index = reader.outputs[0]
    return _Follower(name, lambda values: values)


def _clipped(function: Function, clamp: tuple[float, float] | None) -> Function:
    return function if clamp is None else lambda values: np.clip(function(values), *clamp)


def _limits(operator: Operator, output: QFormat) -> tuple[float, float]:
    """The least and the largest value that an operator gives."""
    if output.is_float:
        return operator.clamp or (-np.inf, np.inf)
    low, high = operator.clamp or (output.min_int, output.max_int)
    return low * output.step, high * output.step


def _in_float(model: Model, operator: Operator) -> Callable[..., np.ndarray]:
    """The operator with the parameters that it has, for activations in float, without clamp."""
    tensors = list(model.tensors)
    for index in (*activations_read(model, operator), *operator.outputs):
        tensors[index] = dataclasses.replace(tensors[index], format=FLOAT32)
    in_values = with_real_zero(model, operator).replace(clamp=None)
    return ops.prepare(dataclasses.replace(model, tensors=tuple(tensors)), in_values)


def _read(model: Model, operator: Operator, values: dict[int, np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The mean of an operator's sum, and of what it is a sum of."""
    read = [_mean_example(model.tensors[index], values[index]) for index in activations_read(model, operator)]
    return _mean(_in_float(model, operator)(*read)), read


def _mean_example(tensor: Tensor, stored: np.ndarray) -> np.ndarray:
    """The mean over the examples, of shape (1, ...)."""
    return (stored.mean(axis=0, dtype=np.float64, keepdims=True) * tensor.format.step).astype(np.float32)


def _mean(values: np.ndarray) -> np.ndarray:
    return _means(values).mean(axis=0)


def _means(values: np.ndarray) -> np.ndarray:
    """The mean of each channel of each example, of shape (examples, channels)."""
    return values.reshape(len(values), -1, values.shape[-1]).mean(axis=1, dtype=np.float64)


def _believed(missing: np.ndarray) -> np.ndarray:
    """The share of each channel's mean, over the examples, that is not chance."""
    square = missing.mean(axis=0) ** 2  # 0 of what is too small for it, too: the mean of a swish far below zero
    chance = missing.var(axis=0) / max(len(missing) - 1, 1)
    return np.maximum(0.0, 1.0 - chance / np.where(square == 0, 1.0, square)) * (square != 0)
