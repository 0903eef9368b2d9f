"""CONV_2D and DENSE.

A multiplier becomes the scale of its channel, a negative one with the weights' signs changed; an addend an ADD behind the
convolution, whose own output then has the range that can matter to the sum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.model import Operator, OperatorKind, Tensor
from kerasq.qformat import QFormat
from kerasq_convert.tflite.values import (
    MOST_STEPS,
    Network,
    before_clamp,
    clamp_of,
    clamped,
    narrowed,
    reach_problems,
    result_of,
    source_of,
    sum_problems,
    too_fine,
    wider,
)
from kerasq_convert.tflite.windows import VALID, padded, padding_of

_MOST, _MOST_16, _STEPS, _HALF = 127, 32767, 255, 128  # of int8 and int16
_CONV, _DEPTHWISE, _DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
_MOST_RATIO = 256  # of the step of a product by that of an output, in XNNPACK
_PER_CHANNEL_DENSE = 12
_VERSIONS = {_CONV: (3, 4), _DEPTHWISE: (3, 5), _DENSE: (4, 7)}  # with inputs of 8 bits, of 16


def problems(network: Network, operator: Operator) -> Iterator[str]:
    """Why TFLite has no such product."""
    kernel, source = _operand(network, operator, "kernel"), _operand(network, operator, "input")
    assert kernel is not None
    if kernel.format.bits > 8:
        yield f"{kernel.name} is {kernel.format}: TFLite has kernels of 8 bits; give it FIXED8 in --settings"
    if source is not None and source.format.is_float:
        yield f"{source.name} is FLOAT32: TFLite has no integer kernel for it; convert with --representative_dataset"
        return
    output = network.model.output(operator)
    if source is None or output.format.is_float:
        return
    weights, bias, addend = (
        _weights(network, operator),
        _operand(network, operator, "bias"),
        _operand(network, operator, "addend"),
    )
    sums = np.abs(weights.integers.reshape(len(weights.integers), -1)).sum(axis=1)
    largest = sums * weights.steps * source.format.largest_magnitude * source.format.step
    if bias is not None:
        largest += np.abs(bias.values)
    more = 0.0 if addend is None else addend.format.largest_magnitude * addend.format.step
    yield from reach_problems(output.name, float(largest.max()) + more, output.format)
    if addend is not None:
        yield from sum_problems(output.name, [addend.format], output.format)
    units = source.format.step * weights.steps  # of sums, and so of the bias
    integers = _bias_integers(network, operator, units)
    lost = np.zeros(1) if bias is None else np.abs(integers * units - bias.values) / output.format.step
    if units.max() / output.format.step >= _MOST_RATIO or lost.max() > 1:
        yield too_fine(output.name, output.format)
    if np.abs(integers + _taken_back(network, operator, weights)).max() >= MOST_STEPS:
        yield f"{output.name} has a bias that is too large for TFLite, beside its products: give its input fewer fractional bits"


def add(network: Network, operator: Operator) -> None:
    """Adds a product, with what follows it."""
    form, addend = network.model.output(operator).format, ops.operand_index(operator, "addend")
    formats = [network.model.tensors[index].format for index in (source_of(operator), *([addend] if addend >= 0 else []))]
    wide = 16 in (form.bits, *(other.bits for other in formats))
    clamp = clamp_of(operator, form)
    target = before_clamp(network, operator, clamp)
    result = result_of(network, target, form, wide)
    if addend < 0:
        _product(network, operator, result, clamp.fused, wide)
    else:
        product = _before_addend(network, operator, formats[1], wide)
        _product(network, operator, product, 0, wide)
        other = network.in_format(addend, wider(formats[1])) if wide else network.activation(addend)
        options = {"options": "AddOptions", "fusedActivationFunction": clamp.fused, "potScaleInt16": False}
        network.builder.operator("ADD", 3 if wide else 2, [product, other], result, **options)
    narrowed(network, result, target, form)
    clamped(network, operator, clamp, target)


def _before_addend(network: Network, operator: Operator, addend: QFormat, wide: bool) -> int:
    """A tensor for the product that an addend is added to: what lies outside of its range can't change the clamped sum."""
    output = network.model.output(operator)
    low, high = (end * output.format.step for end in operator.clamp or (output.format.min_int, output.format.max_int))
    low, high = min(low - addend.max, 0.0), max(high - addend.min, 0.0)
    name = f"{output.name}/product"
    if wide:
        return network.builder.tensor(name, output.shape, np.int16, [max(-low, high) / _MOST_16])
    step = (high - low) / _STEPS
    return network.builder.tensor(name, output.shape, np.int8, [step], round(-low / step) - _HALF)


def _operand(network: Network, operator: Operator, name: str) -> Tensor | None:
    index = ops.operand_index(operator, name)
    return None if index < 0 else network.model.tensors[index]


@dataclasses.dataclass(frozen=True)
class _Weights:
    """Integers, output channels first, and the value of one for each channel."""

    integers: np.ndarray
    steps: np.ndarray

    @property
    def clipped(self) -> np.ndarray:
        """The integers that TFLite's kernels may have."""
        return np.clip(self.integers, -_MOST, _MOST)

    @property
    def per_channel(self) -> bool:
        return len(set(self.steps)) > 1

    def scales(self, factor: float = 1.0) -> list[float]:
        """The steps, times a factor; one where all are equal."""
        return (factor * (self.steps if self.per_channel else self.steps[:1])).tolist()


def _weights(network: Network, operator: Operator) -> _Weights:
    kernel, multiplier = _operand(network, operator, "kernel"), _operand(network, operator, "multiplier")
    assert kernel is not None
    assert kernel.data is not None
    integers = kernel.data.astype(np.int32)
    step = 1.0 if kernel.format.is_sign else kernel.format.step
    factors = np.ones(len(integers)) if multiplier is None else multiplier.values
    channel = (-1,) + (1,) * (integers.ndim - 1)
    integers = integers * np.where(factors < 0, -1, np.sign(np.abs(factors))).reshape(channel).astype(np.int32)
    return _Weights(integers, step * np.where(factors == 0, 1.0, np.abs(factors)))


def _product(network: Network, operator: Operator, result: int, fused: int, wide: bool) -> None:
    """Adds the product alone, `wide` with an input and a result of 16 bits."""
    index = source_of(operator)
    source = network.model.tensors[index]
    entry = network.in_format(index, wider(source.format)) if wide else network.activation(index)
    weights = _weights(network, operator)
    kind, options = _dense() if operator.kind == OperatorKind.DENSE else _convolution(network, operator)
    if kind != _DENSE:
        _, height, width, _ = weights.integers.shape
        padding = padding_of(operator, source.shape, (height, width))
        value = None if operator.zero == network.zero(index) else operator.zero
        if padding is None or (padding != VALID and value is not None):
            entry, padding = padded(network, operator, entry, wider(source.format) if wide else source.format, value), VALID
        options["padding"] = padding
    kernel, bias = _kernel(network, operator, weights, kind), _bias(network, operator, weights, source.format.step, wide)
    version = _PER_CHANNEL_DENSE if kind == _DENSE and weights.per_channel else _VERSIONS[kind][wide]
    network.builder.operator(kind, version, [entry, kernel, bias], result, fusedActivationFunction=fused, **options)


def _dense() -> tuple[str, dict[str, Any]]:
    return _DENSE, {"options": "FullyConnectedOptions"}


def _convolution(network: Network, operator: Operator) -> tuple[str, dict[str, Any]]:
    options: dict[str, Any] = {
        "strideH": operator.strides[0],
        "strideW": operator.strides[1],
        "dilationHFactor": operator.dilations[0],
        "dilationWFactor": operator.dilations[1],
    }
    kernel = _operand(network, operator, "kernel")
    assert kernel is not None
    if operator.groups > 1 and kernel.shape[3] == 1:
        outputs = kernel.shape[0] // operator.groups
        return _DEPTHWISE, {"options": "DepthwiseConv2DOptions", "depthMultiplier": outputs, **options}
    return _CONV, {"options": "Conv2DOptions", **options}


def _kernel(network: Network, operator: Operator, weights: _Weights, kind: str) -> int:
    network.clipped += int(np.count_nonzero(np.abs(weights.integers) > _MOST))
    integers, axis = weights.clipped.astype(np.int8), 0
    if kind == _DEPTHWISE:
        integers, axis = integers.transpose(3, 1, 2, 0), 3
    kernel = _operand(network, operator, "kernel")
    assert kernel is not None
    return network.builder.tensor(kernel.name, integers.shape, np.int8, weights.scales(), axis=axis, data=integers)


def _bias_integers(network: Network, operator: Operator, units: np.ndarray) -> np.ndarray:
    """The bias in the units of its channels."""
    bias = _operand(network, operator, "bias")
    return np.zeros(len(units)) if bias is None else np.floor(bias.values / units + 0.5)


def _taken_back(network: Network, operator: Operator, weights: _Weights) -> np.ndarray:
    """What TFLite subtracts from the sums with the zero point of the input, and the bias must add, in the same units."""
    return network.zero(source_of(operator)) * weights.clipped.reshape(len(weights.integers), -1).sum(axis=1)


def _bias(network: Network, operator: Operator, weights: _Weights, step: float, wide: bool) -> int:
    """In 32 bits, or in 64 beside an input of 16."""
    bias = _operand(network, operator, "bias")
    name = f"{network.model.output(operator).name}/bias" if bias is None else bias.name
    sums = _bias_integers(network, operator, step * weights.steps) + _taken_back(network, operator, weights)
    integers = sums.astype(np.int64 if wide else np.int32)
    return network.builder.tensor(name, integers.shape, integers.dtype, weights.scales(step), data=integers)
