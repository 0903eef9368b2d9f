"""Look-ups and labels: integers that are no quantized numbers, int32 in TFLite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq import ops
from kerasq.format.labels import labels_of
from kerasq.format.model import Operator, OperatorKind
from kerasq.ops import gather
from kerasq_convert.tflite.values import Network, source_of, zero_point_of

_INT8, _INT16, _INT32 = 9, 7, 2  # TensorType


def argmax_problems(network: Network, operator: Operator) -> Iterator[str]:
    """Labels that something else than a look-up reads, that are clamped, or of 16-bit scores."""
    output, (index,) = network.model.output(operator), operator.outputs
    readers = [other for other in network.model.operators if index in other.inputs]
    if operator.clamp is not None or any(reader.kind is not OperatorKind.GATHER for reader in readers):
        yield f"{output.name} are labels: TFLite has them at an output, or where an Embedding reads them, only"
    source = network.model.tensors[source_of(operator)]
    if source.format.bits == 16:
        yield f"{output.name} are labels of {source.format}: TFLite has none of 16 bits; give {source.name} 8 in --settings"


def add_argmax(network: Network, operator: Operator) -> None:
    """ARG_MAX, whose result is int32."""
    tensor, output = network.model.tensors[source_of(operator)], network.model.output(operator)
    axis = network.constant(f"{output.name}/axis", np.array([len(tensor.shape) - 1], np.int32))
    labels = network.builder.tensor(output.name, output.shape, np.int32)
    network.places[operator.outputs[0]] = labels
    shape = tensor.shape[:-1]
    places = labels if output.shape == shape else network.builder.tensor(f"{output.name}/places", shape, np.int32)
    inputs = [network.activation(source_of(operator)), axis]
    network.builder.operator("ARG_MAX", 2, inputs, places, options="ArgMaxOptions", outputType=_INT32)
    if places != labels:
        sizes = network.constant(f"{output.name}/shape", np.array(output.shape, np.int32))
        options = {"options": "ReshapeOptions", "newShape": list(output.shape)}
        network.builder.operator("RESHAPE", 1, [places, sizes], labels, **options)


def add_gather(network: Network, operator: Operator) -> None:
    """GATHER from the rows as our output stores them, by numbers that are brought into the table first."""
    output, rows = network.model.output(operator), gather.rows(network.model, operator)
    table = network.model.tensors[ops.operand_index(operator, "table")]
    entries = network.constant(table.name, rows, output.format)
    places = _limited(network, operator, _numbers(network, operator), len(rows))
    shape = (*network.builder.shape(places), rows.shape[1])
    result = network.activation(operator.outputs[0])
    looked_up = result if output.shape == shape else network.add(f"{output.name}/rows", shape, output.format)
    version = 4 if output.format.bits == 16 else 2
    network.builder.operator("GATHER", version, [entries, places], looked_up, options="GatherOptions", axis=0)
    if looked_up != result:
        sizes = network.constant(f"{output.name}/shape", np.array(output.shape, np.int32))
        options = {"options": "ReshapeOptions", "newShape": list(output.shape)}
        network.builder.operator("RESHAPE", 1, [looked_up, sizes], result, **options)


def _numbers(network: Network, operator: Operator) -> int:
    """What the input's integers stand for, int32."""
    tensor, source = network.model.tensors[source_of(operator)], network.activation(source_of(operator))
    if source_of(operator) in labels_of(network.model):
        return source
    builder, name = network.builder, network.model.output(operator).name
    before = _INT16 if tensor.format.bits == 16 else _INT8
    integers = builder.tensor(f"{name}/integers", tensor.shape, np.int32)
    builder.operator("CAST", 1, [source], integers, options="CastOptions", inDataType=before, outDataType=_INT32)
    offset = -zero_point_of(tensor.format)
    if offset == 0:
        return integers
    added = network.constant(f"{name}/offset", np.array([offset], np.int32))
    return builder.operator(
        "ADD", 1, [integers, added], builder.tensor(f"{name}/numbers", tensor.shape, np.int32), options="AddOptions"
    )


def _limited(network: Network, operator: Operator, numbers: int, rows: int) -> int:
    """Numbers below 0 as 0, and beyond the last row as that."""
    form, name = network.model.tensors[source_of(operator)].format, network.model.output(operator).name
    for kind, end, is_needed in (("MAXIMUM", 0, form.min_int < 0), ("MINIMUM", rows - 1, form.max_int >= rows)):
        if is_needed:
            bound = network.constant(f"{name}/{kind.lower()}/end", np.array([end], np.int32))
            target = network.builder.like(numbers, f"{name}/{kind.lower()}")
            numbers = network.builder.operator(kind, 1, [numbers, bound], target, options="MaximumMinimumOptions")
    return numbers
