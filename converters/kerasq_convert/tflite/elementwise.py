"""All other kinds of operators."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.model import Operator, OperatorKind
from kerasq.qformat import QFormat
from kerasq_convert.tflite import values
from kerasq_convert.tflite.values import (
    Network,
    before_clamp,
    clamp_of,
    clamped,
    narrowed,
    quantize,
    result_of,
    source_of,
    wider,
)
from kerasq_convert.tflite.windows import SAME, VALID, padded, padding_of

_PROBABILITIES = {8: QFormat.parse("UFIXED8_8"), 16: QFormat.parse("FIXED16_15")}  # what SOFTMAX gives
_HALF = 128
_VERSIONS = {"ADD": (2, 3), "MUL": (2, 4)}  # in 8 bits, in 16


def _pair(network: Network, operator: Operator, name: str, **options: Any) -> None:
    """ADD or MUL: two activations of one width."""
    form = network.model.output(operator).format
    clamp = clamp_of(operator, form)
    formats = [network.model.tensors[index].format for index in operator.inputs]
    wide = 16 in (form.bits, *(own.bits for own in formats))
    reads = zip(operator.inputs, formats, (operator.zero, 0), strict=True)
    entries = [network.in_format(index, wider(own) if wide else own, zero) for index, own, zero in reads]
    target = before_clamp(network, operator, clamp)
    result = result_of(network, target, form, wide)
    version = _VERSIONS[name][wide]
    network.builder.operator(name, version, entries, result, fusedActivationFunction=clamp.fused, **options)
    narrowed(network, result, target, form)
    clamped(network, operator, clamp, target)


def _reach(form: QFormat) -> float:
    return form.largest_magnitude * form.step


def reach_problems(network: Network, operator: Operator) -> Iterator[str]:
    """Of what adds, multiplies or requantizes: inputs that reach too far beyond the output."""
    output, forms = network.model.output(operator), [network.model.tensors[index].format for index in operator.inputs]
    if output.format.is_fixed and all(form.is_fixed for form in forms):
        combine = math.prod if operator.kind == OperatorKind.MUL else sum
        yield from values.reach_problems(output.name, combine(map(_reach, forms)), output.format)
        if operator.kind == OperatorKind.ADD:
            yield from values.sum_problems(output.name, forms, output.format)


def add_add(network: Network, operator: Operator) -> None:
    _pair(network, operator, "ADD", options="AddOptions", potScaleInt16=False)


def add_mul(network: Network, operator: Operator) -> None:
    _pair(network, operator, "MUL", options="MulOptions")


def add_max_pool(network: Network, operator: Operator) -> None:
    _pool(network, operator, "MAX_POOL_2D", lowest=True)


def _pool(network: Network, operator: Operator, name: str, lowest: bool) -> None:
    tensor, form = network.model.tensors[source_of(operator)], network.model.output(operator).format
    clamp = clamp_of(operator, form)
    entry = network.activation(source_of(operator))
    padding = padding_of(operator, tensor.shape, operator.window)
    if padding is None:
        assert lowest, "an average counts the taps that there are"
        entry, padding = padded(network, operator, entry, form, form.min_int), VALID
    target = before_clamp(network, operator, clamp)
    (height, width), (down, right) = operator.window, operator.strides
    sizes = {"filterHeight": height, "filterWidth": width, "strideH": down, "strideW": right, "padding": padding}
    options = {"options": "Pool2DOptions", "fusedActivationFunction": clamp.fused, **sizes}
    network.builder.operator(name, 3 if form.bits == 16 else 2, [entry], target, **options)
    clamped(network, operator, clamp, target)


def average_problems(network: Network, operator: Operator) -> Iterator[str]:
    """Averages with a padding that TFLite has not; with another output format, only where none is padded."""
    tensor, output = network.model.tensors[source_of(operator)], network.model.output(operator)
    padding = padding_of(operator, tensor.shape, operator.window)
    if padding is None or (padding == SAME and tensor.format != output.format):
        yield (
            f"{output.name} averages over a border: TFLite has that with 'same' padding only, and with one format before and "
            "after: --settings can give both the same"
        )


def add_average_pool(network: Network, operator: Operator) -> None:
    """AVERAGE_POOL_2D keeps the format; a MEAN, or a depthwise convolution with ones, changes it."""
    tensor, output = network.model.tensors[source_of(operator)], network.model.output(operator)
    form, window = output.format, operator.window
    if tensor.format == form:
        _pool(network, operator, "AVERAGE_POOL_2D", lowest=False)
        return
    clamp, wide = clamp_of(operator, form, fusing=False), 16 in (form.bits, tensor.format.bits)
    entry = network.in_format(source_of(operator), wider(tensor.format) if wide else tensor.format)
    target = before_clamp(network, operator, clamp)
    result = result_of(network, target, form, wide)
    if tensor.shape[1:3] == window:
        axes, version = network.constant(f"{output.name}/axes", np.array([1, 2], np.int32)), 3 if wide else 2
        network.builder.operator("MEAN", version, [entry, axes], result, options="ReducerOptions", keepDims=True)
    else:
        _mean_of_windows(network, operator, entry, result, wide)
    narrowed(network, result, target, form)
    clamped(network, operator, clamp, target)


def _mean_of_windows(network: Network, operator: Operator, entry: int, result: int, wide: bool) -> None:
    output, step = network.model.output(operator), network.model.tensors[source_of(operator)].format.step
    (height, width), (down, right), name = operator.window, operator.strides, output.name
    channels, share = output.shape[3], 1.0 / math.prod(operator.window)
    ones = np.ones((1, height, width, channels), np.int8)
    kernel = network.builder.tensor(f"{name}/ones", ones.shape, np.int8, [share], data=ones)
    zeros = np.zeros(channels, np.int64 if wide else np.int32)
    bias = network.builder.tensor(f"{name}/zeros", zeros.shape, zeros.dtype, [step * share], data=zeros)
    options: dict[str, Any] = {"depthMultiplier": 1, "strideH": down, "strideW": right, "padding": VALID}
    options |= {"options": "DepthwiseConv2DOptions", "dilationHFactor": 1, "dilationWFactor": 1}
    network.builder.operator("DEPTHWISE_CONV_2D", 5 if wide else 3, [entry, kernel, bias], result, **options)


def add_concat(network: Network, operator: Operator) -> None:
    """All of one quantization."""
    form = network.model.output(operator).format
    clamp = clamp_of(operator, form, fusing=False)
    target = before_clamp(network, operator, clamp)
    entries = [network.in_format(index, form) for index in operator.inputs]
    axis = len(network.model.output(operator).shape) - 1
    version = 3 if form.bits == 16 else 2
    network.builder.operator("CONCATENATION", version, entries, target, options="ConcatenationOptions", axis=axis)
    clamped(network, operator, clamp, target)


def add_quantize(network: Network, operator: Operator) -> None:
    source, form = network.model.tensors[source_of(operator)].format, network.model.output(operator).format
    clamp = clamp_of(operator, form, fusing=False)
    target = before_clamp(network, operator, clamp)
    quantize(network.builder, network.activation(source_of(operator)), target, source, form)
    clamped(network, operator, clamp, target)


def _reshaped(network: Network, source: int, target: int, shape: tuple[int, ...], name: str) -> int:
    sizes = network.constant(f"{name}/shape", np.array(shape, np.int32))
    return network.builder.operator("RESHAPE", 1, [source, sizes], target, options="ReshapeOptions", newShape=list(shape))


def add_reshape(network: Network, operator: Operator) -> None:
    output = network.model.output(operator)
    clamp = clamp_of(operator, output.format, fusing=False)
    target = before_clamp(network, operator, clamp)
    _reshaped(network, network.activation(source_of(operator)), target, output.shape, output.name)
    clamped(network, operator, clamp, target)


def add_transpose(network: Network, operator: Operator) -> None:
    """As (A, B, C, D), of which B and C change places."""
    tensor, output = network.model.tensors[source_of(operator)], network.model.output(operator)
    clamp = clamp_of(operator, output.format, fusing=False)
    (b, c), d = operator.window, operator.groups
    seen = (math.prod(tensor.shape) // (b * c * d), b, c, d)
    turned = (seen[0], c, b, d)
    source = network.activation(source_of(operator))
    if tensor.shape != seen:
        source = _reshaped(network, source, network.add(f"{tensor.name}/seen", seen, tensor.format), seen, tensor.name)
    target = before_clamp(network, operator, clamp)
    result = target if output.shape == turned else network.add(f"{output.name}/turned", turned, output.format)
    order = network.constant(f"{output.name}/order", np.array([0, 2, 1, 3], np.int32))
    network.builder.operator(
        "TRANSPOSE", 4 if output.format.bits == 16 else 2, [source, order], result, options="TransposeOptions"
    )
    if result != target:
        _reshaped(network, result, target, output.shape, output.name)
    clamped(network, operator, clamp, target)


def lookup_problems(network: Network, operator: Operator) -> Iterator[str]:
    """Tables of 16-bit inputs interpolate."""
    source, output = network.model.tensors[source_of(operator)], network.model.output(operator)
    if source.format.bits != 8:
        yield f"{output.name} is a table for {source.format}: TFLite has none that interpolates; give {source.name} 8 bits"


def add_lookup(network: Network, operator: Operator) -> None:
    """A GATHER of the table by the input's integers."""
    tensor, output = network.model.tensors[source_of(operator)], network.model.output(operator)
    table = network.model.tensors[ops.operand_index(operator, "table")]
    clamp = clamp_of(operator, output.format, fusing=False)
    builder, name, source = network.builder, output.name, network.activation(source_of(operator))
    indices = builder.tensor(f"{name}/integers", tensor.shape, np.int32)
    builder.operator("CAST", 1, [source], indices, options="CastOptions", inDataType=9, outDataType=2)
    offset = network.constant(f"{name}/offset", np.array([_HALF], np.int32))
    places = builder.tensor(f"{name}/places", tensor.shape, np.int32)
    builder.operator("ADD", 1, [indices, offset], places, options="AddOptions")
    zero = network.zero(operator.outputs[0])
    entries = network.constant(table.name, table.data, output.format, zero)  # type: ignore[arg-type]
    target = before_clamp(network, operator, clamp)
    builder.operator("GATHER", 4 if output.format.bits == 16 else 2, [entries, places], target, options="GatherOptions", axis=0)
    clamped(network, operator, clamp, target)


def softmax_problems(network: Network, operator: Operator) -> Iterator[str]:
    """In and out of one width."""
    source, output = network.model.tensors[source_of(operator)].format, network.model.output(operator)
    if source.is_float or output.format.bits != source.bits:
        yield f"{output.name} is {output.format} of {source}: TFLite's softmax keeps the width; give both 8 bits in --settings"


def add_softmax(network: Network, operator: Operator) -> None:
    output = network.model.output(operator)
    clamp, form = clamp_of(operator, output.format, fusing=False), output.format
    target, own = before_clamp(network, operator, clamp), _PROBABILITIES[form.bits]
    result = target if own == form else network.add(f"{output.name}/{own}", output.shape, own)
    entry, version = network.activation(source_of(operator)), 3 if form.bits == 16 else 2
    network.builder.operator("SOFTMAX", version, [entry], result, options="SoftmaxOptions", beta=1.0)
    if result != target:
        quantize(network.builder, result, target, own, form)
    clamped(network, operator, clamp, target)
