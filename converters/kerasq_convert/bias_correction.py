"""Bias correction: rounding a kernel moves the mean of what a channel computes, and its bias can take that back.

For every output channel c of an operator, in the order of execution, over calibration examples, before the clamp:

    bias[c] += mean of the float network's sum - mean of the quantized network's sum

where the quantized operator reads what the operators before it, already corrected, really give it. So the correction also
takes back what rounding and saturation of the inputs did to the mean. It costs nothing on the device (Nagel et al. 2019,
Data-free quantization, arXiv:1906.04721, section 4.2, with measured means in place of modelled ones).

A sum before its clamp is affine in what it reads, so its mean over the examples is the sum for the mean of what it reads:
one evaluation, not one per example, and one that can be repeated for another kernel without any example at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, Tensor
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.progress import Progress
from kerasq.qformat import FLOAT32

BATCH = 16
_BIAS = 3  # place of the bias among the inputs of CONV_2D and DENSE
_KERNEL = 1


class BiasCorrection:
    """Corrects biases of quantized versions of one network, and remembers by how much.

    Args:
        reference: The network in FLOAT32; tensors belong together by name.
        inputs: Values of the examples, an array (count, ...) for each input of the network.
        kernels: Names of the kernels whose operators are corrected.
        verbose: Whether to show progress.

    """

    def __init__(self, reference: Model, inputs: list[np.ndarray], kernels: Collection[str], *, verbose: bool = False):
        self._reference, self._inputs, self._kernels, self._verbose = reference, inputs, kernels, verbose
        self._wanted: dict[str, np.ndarray] = {}  # by name of the operator's output: the mean of each channel
        self._read: dict[str, list[np.ndarray]] = {}  # by the same name: the mean of what the operator reads, batches of one

    def measure(self, model: Model) -> Model:
        """`model` with biases corrected; one that its format can't hold, or whose sum could overflow, stays.

        Args:
            model: The quantized network, its biases as rounded.
        """
        corrected = {model.output(operator).name for operator in model.operators if _is_corrected(model, operator, self._kernels)}
        if missing := corrected - self._wanted.keys():
            self._wanted |= _float_means(self._reference, self._inputs, missing)
        spans = model.lifetimes()
        inputs = zip(model.inputs, self._inputs, strict=True)
        values = {index: model.tensors[index].format.quantize(array) for index, array in inputs}
        with Progress("correcting biases", len(model.operators), "operators", enabled=self._verbose) as progress:
            for position, operator in enumerate(model.operators):
                name, sources = model.output(operator).name, _activations(model, operator)
                if name in corrected:
                    self._read[name] = [_mean_example(model.tensors[index], values[index]) for index in sources]
                    model = self._corrected(model, position)
                run = ops.prepare(model, model.operators[position])
                values[operator.outputs[0]] = np.concatenate([run(*batch) for batch in _batches(values, sources)])
                values = {index: array for index, array in values.items() if spans[index][1] > position}
                progress.advance(1)
        return model

    def apply(self, model: Model) -> Model:
        """About what `measure` gives, without looking at examples: operators read on average what they read when it did."""
        for position, operator in enumerate(model.operators):
            if _is_corrected(model, operator, self._kernels):
                model = self._corrected(model, position)
        return model

    def _corrected(self, model: Model, position: int) -> Model:
        operator = model.operators[position]
        name = model.output(operator).name
        if name not in self._wanted or name not in self._read:
            return model
        shift = self._wanted[name] - _mean(_in_float(model, operator)(*self._read[name]))
        index = operator.inputs[_BIAS]
        bias = model.tensors[index]
        data = bias.format.quantize(bias.values.astype(np.float64) + shift.reshape(bias.shape))
        tensors = list(model.tensors)
        tensors[index] = dataclasses.replace(bias, data=data)
        changed = dataclasses.replace(model, tensors=tuple(tensors))
        try:
            proven = ops.with_widths(changed, operator)
        except OverflowError:
            return model
        operators = tuple(proven if place == position else each for place, each in enumerate(model.operators))
        return dataclasses.replace(changed, operators=operators)


def _is_corrected(model: Model, operator: Operator, kernels: Collection[str]) -> bool:
    if not ops.is_integer(model, operator) or len(operator.inputs) <= _BIAS or operator.inputs[_BIAS] == ABSENT:
        return False
    kernel = model.tensors[operator.inputs[_KERNEL]]
    return kernel.is_constant and kernel.name in kernels


def _float_means(reference: Model, inputs: list[np.ndarray], names: Collection[str]) -> dict[str, np.ndarray]:
    """The mean of each channel of these tensors, before the clamp."""
    unclamped = {
        operator.outputs[0]: (ops.prepare(reference, operator.replace(clamp=None)), _activations(reference, operator))
        for operator in reference.operators
        if reference.output(operator).name in names
    }
    totals: dict[str, np.ndarray] = {}
    engine, count = ReferenceEngine(reference), len(inputs[0])
    for start in range(0, count, BATCH):
        batch: dict[int, np.ndarray] = {}

        def look(index: int, found: np.ndarray, batch: dict[int, np.ndarray] = batch) -> None:
            batch[index] = found
            if index in unclamped:
                run, sources = unclamped[index]
                name = reference.tensors[index].name
                share = len(found) / count
                totals[name] = totals.get(name, 0.0) + share * _mean(run(*(batch[source] for source in sources)))

        engine.run([array[start : start + BATCH] for array in inputs], look)
    return totals


def _in_float(model: Model, operator: Operator) -> Callable[..., np.ndarray]:
    """The operator with the parameters that it has, for activations in float, without clamp."""
    tensors = list(model.tensors)
    for index in (*_activations(model, operator), *operator.outputs):
        tensors[index] = dataclasses.replace(tensors[index], format=FLOAT32)
    return ops.prepare(dataclasses.replace(model, tensors=tuple(tensors)), operator.replace(clamp=None))


def _mean_example(tensor: Tensor, stored: np.ndarray) -> np.ndarray:
    """The mean over the examples, of shape (1, ...)."""
    return (stored.mean(axis=0, dtype=np.float64, keepdims=True) * tensor.format.step).astype(np.float32)


def _mean(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)


def _activations(model: Model, operator: Operator) -> list[int]:
    return [index for index in operator.inputs if index != ABSENT and not model.tensors[index].is_constant]


def _batches(values: dict[int, np.ndarray], sources: list[int]) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(values[sources[0]]), BATCH):
        yield [values[index][start : start + BATCH] for index in sources]
