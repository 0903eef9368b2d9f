"""Bias correction: rounding a kernel moves the mean of what a channel computes, and its bias can take that back.

For every output channel c of an operator, in the order of execution, over calibration examples, before the clamp:

    bias[c] += mean of the float network's sum - mean of the quantized network's sum

where the quantized operator reads what the operators before it, already corrected, really give it. So the correction also
takes back what rounding and saturation of the inputs did to the mean. It costs nothing on the device (Nagel et al. 2019,
Data-free quantization, arXiv:1906.04721, section 4.2, with measured means in place of modelled ones).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.progress import Progress
from kerasq.qformat import FLOAT32

BATCH = 16
_BIAS = 3  # place of the bias among the inputs of CONV_2D and DENSE
_KERNEL = 1


def correct_biases(
    model: Model, reference: Model, inputs: list[np.ndarray], kernels: Collection[str], *, verbose: bool = False
) -> Model:
    """`model` with biases corrected; one whose correction the bias's format can't hold, or whose sum could then overflow, stays.

    Args:
        model: The quantized network.
        reference: The same network in FLOAT32; tensors belong together by name.
        inputs: Values of the examples, an array (count, ...) for each input of the network.
        kernels: Names of the kernels whose operators are corrected.
        verbose: Whether to show progress.
    """
    corrected = [operator for operator in model.operators if _is_corrected(model, operator, kernels)]
    wanted = _float_means(reference, inputs, {model.output(operator).name for operator in corrected})
    spans = model.lifetimes()
    values = {index: model.tensors[index].format.quantize(array) for index, array in zip(model.inputs, inputs, strict=True)}
    with Progress("correcting biases", len(model.operators), "operators", enabled=verbose) as progress:
        for position, operator in enumerate(model.operators):
            name = model.output(operator).name
            if operator in corrected and name in wanted:
                model = _corrected(model, position, wanted[name] - _quantized_means(model, operator, values))
            operator, run = model.operators[position], ops.prepare(model, model.operators[position])
            sources = _activations(model, operator)
            values[operator.outputs[0]] = np.concatenate([run(*batch) for batch in _batches(values, sources)])
            values = {index: array for index, array in values.items() if spans[index][1] > position}
            progress.advance(1)
    return model


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


def _quantized_means(model: Model, operator: Operator, values: dict[int, np.ndarray]) -> np.ndarray:
    """The mean of each channel of what an operator computes, before rounding and clamp."""
    tensors = list(model.tensors)
    output = operator.outputs[0]
    tensors[output] = dataclasses.replace(tensors[output], format=FLOAT32)
    run = ops.prepare(dataclasses.replace(model, tensors=tuple(tensors)), operator.replace(clamp=None))
    sources = _activations(model, operator)
    count = len(values[sources[0]])
    return sum((len(batch[0]) / count * _mean(run(*batch)) for batch in _batches(values, sources)), np.zeros(1))


def _corrected(model: Model, position: int, difference: np.ndarray) -> Model:
    operator = model.operators[position]
    index = operator.inputs[_BIAS]
    bias = model.tensors[index]
    data = bias.format.quantize(bias.values.astype(np.float64) + difference.reshape(bias.shape))
    tensors = list(model.tensors)
    tensors[index] = dataclasses.replace(bias, data=data)
    changed = dataclasses.replace(model, tensors=tuple(tensors))
    try:
        proven = ops.with_widths(changed, operator)
    except OverflowError:
        return model
    operators = tuple(proven if place == position else each for place, each in enumerate(model.operators))
    return dataclasses.replace(changed, operators=operators)


def _mean(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)


def _activations(model: Model, operator: Operator) -> list[int]:
    return [index for index in operator.inputs if index != ABSENT and not model.tensors[index].is_constant]


def _batches(values: dict[int, np.ndarray], sources: list[int]) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(values[sources[0]]), BATCH):
        yield [values[index][start : start + BATCH] for index in sources]
