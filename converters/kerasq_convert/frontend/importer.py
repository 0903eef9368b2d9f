"""From a frozen TensorFlow graph to the converter's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from kerasq.scopes import LayerNames
from kerasq_convert.errors import ConversionError, UnsupportedError
from kerasq_convert.frontend.frozen import FrozenGraph
from kerasq_convert.frontend.handlers import import_operation
from kerasq_convert.frontend.importing import Importer, UnknownShapeError, shape_of
from kerasq_convert.frontend.labels import NegativeZeros
from kerasq_convert.frontend.normalization_pattern import find_normalizations
from kerasq_convert.frontend.normalizations import normalization
from kerasq_convert.frontend.origins import Origins
from kerasq_convert.frontend.quantizer_pattern import find_quantizers
from kerasq_convert.frontend.refusals import Refusals
from kerasq_convert.frontend.repeated_steps import RepeatedSteps
from kerasq_convert.graph import Graph, Identity, Node, Shape
from kerasq_convert.passes.curves import undecided

_OF_SHAPES = ("Shape", "StridedSlice", "GatherV2", "Prod", "Pack", "ConcatV2", "Add", "AddV2", "Sub", "Mul", "Range")


def import_graph(frozen: FrozenGraph, source: str, origins: Origins | None = None) -> Graph:
    """The nodes of a frozen graph.

    Args:
        frozen: The graph.
        source: What error messages call the model.
        origins: What is known of the Keras model behind the graph.

    Raises:
        ConversionError: Operations are not supported, or weights are not finite; all of them are listed.
    """
    importer = Importer(frozen, _layer_names(frozen), {}, [], [], {})
    for name, tensor in frozen.inputs.items():
        importer.values[tensor.name] = name
    refusals = Refusals(origins or Origins())
    unknown = _import_operations(importer, frozen, refusals)
    for node in undecided(_as_far_as_known(importer, frozen, unknown)):
        name = node.output.split(":")[0]
        refusals.add(_layer(importer, name), name, "Pointwise", "")
    _check_outputs(importer, frozen, refusals)
    problems = [*_of_states(frozen.states), *refusals.lines(), *_not_finite(importer.nodes)]
    if not problems:
        missing = [name for name, tensor in frozen.outputs.items() if tensor.name not in importer.values]
        problems = [f"output {name!r} does not depend on an input" for name in missing]
    if problems:
        raise ConversionError(f"{source} can't be converted", problems)
    inputs = {name: shape_of(tensor) for name, tensor in frozen.inputs.items()}
    shown = _each_once(importer, frozen, {name: importer.values[tensor.name] for name, tensor in frozen.outputs.items()})
    places = {
        tensor.name: importer.names.place(tensor.op.name, tensor.value_index)
        for operation in frozen.operations
        for tensor in operation.outputs
    }
    return Graph(inputs, shown, tuple(importer.nodes), tuple(importer.notes), places=places, scaled=importer.scaled)


def _import_operations(importer: Importer, frozen: FrozenGraph, refusals: Refusals) -> dict[str, Shape]:
    """Adds the nodes of all operations; returns the values that those which are refused would have computed."""
    unknown: dict[str, Shape] = {}
    quantizers = find_quantizers(frozen.operations, importer.constant)
    normalizations = find_normalizations(frozen.operations, importer.constant)
    repeated = RepeatedSteps(importer)
    zeros = NegativeZeros.among(frozen.operations)
    inner = [*(found.inner for found in quantizers.values()), *(found.inner for found in normalizations.values()), zeros.inner]
    passed_over = repeated.passed_over.union(*inner)
    for operation in frozen.operations:
        outputs = [tensor for tensor in operation.outputs if tensor.name not in frozen.constants]
        if not outputs or operation.type == "Placeholder" or operation in passed_over:
            continue
        if all(tensor.dtype.name == "resource" for tensor in outputs):  # a table: its readers are refused
            importer.values |= {tensor.name: tensor.name for tensor in outputs}
            continue
        try:
            if repeated.takes(operation):
                continue
            if operation in quantizers:
                quantizer = quantizers[operation]
                common = importer.common(operation, quantizer.source)
                importer.add(Identity(**common, format=quantizer.format, clamp=quantizer.clamp))
            elif operation in normalizations:
                normalization(importer, normalizations[operation])
            elif operation in zeros.sources:
                importer.alias(operation, zeros.sources[operation])
            else:
                import_operation(importer, operation)
        except UnsupportedError as error:
            is_consequence = bool(refusals) and (isinstance(error, UnknownShapeError) or _reckons_shapes(operation))
            layer, name = _layer(importer, operation.name), operation.name
            kind = "Steps" if repeated.puts_together(operation) else operation.type  # what a step lacks is no fault of the Pack
            refusals.add(layer, name, kind, str(error), is_consequence=is_consequence)
            for tensor in outputs:  # go on, so that every problem is found
                importer.values[tensor.name] = tensor.name
                unknown[tensor.name] = tuple(size or 1 for size in tensor.shape) if tensor.shape.rank else ()
    repeated.finish()
    return unknown


def _layer(importer: Importer, name: str) -> str:
    """The layer of an operation, if it is in one and not in the scope that holds all of them."""
    layer, common = importer.names.layer(name), importer.names.common
    return "" if layer in (name.split("/")[-1], common) else layer.removeprefix(f"{common}/")


def _reckons_shapes(operation: Any) -> bool:
    """Whether an operation computes with the sizes of a tensor, as it must where they are not known."""
    return operation.type in _OF_SHAPES and all(tensor.dtype.is_integer for tensor in operation.outputs)


def _check_outputs(importer: Importer, frozen: FrozenGraph, refusals: Refusals) -> None:
    """Refuses what computes an output whose first axis is not the batch."""
    for name, tensor in frozen.outputs.items():
        if tensor.name in importer.values and tensor.shape.rank and tensor.shape[0] not in (1, None):
            made = importer.values[tensor.name].split(":")[0]
            shape = tuple(tensor.shape)
            reason = f"it makes the output {name!r} of shape {shape} for one example, whose first axis is not the batch"
            wanted = ", ".join(map(str, ("batch", *shape)))
            remedy = f"end the network before it, or with a Reshape to ({wanted})"
            refusals.add(_layer(importer, made), made, "Reshape", f"{reason}: {remedy}")


def _as_far_as_known(importer: Importer, frozen: FrozenGraph, unknown: dict[str, Shape]) -> Graph:
    """The nodes so far as a graph that reads what is unknown, and shows what leads to it."""
    inputs = {name: shape_of(tensor) for name, tensor in frozen.inputs.items()} | unknown
    read = {value for node in importer.nodes for value in node.inputs}
    ends = [node.output for node in importer.nodes if node.output not in read]
    shown = [value for tensor in frozen.outputs.values() if (value := importer.values.get(tensor.name))]
    return Graph(inputs, {value: value for value in (*ends, *shown)}, tuple(importer.nodes), ())


def _each_once(importer: Importer, frozen: FrozenGraph, outputs: dict[str, str]) -> dict[str, str]:
    """The outputs, a value that is shown several times copied for each time after the first."""
    shown: dict[str, str] = {}
    for name, value in outputs.items():
        if value in shown.values():
            copy, shape = f"{value}/{name}", shape_of(frozen.outputs[name])
            importer.nodes.append(Identity(output=copy, inputs=(value,), shape=shape, layers=(name,)))
            value = copy
        shown[name] = value
    return shown


def _layer_names(frozen: FrozenGraph) -> LayerNames:
    dependent = [op for op in frozen.operations if any(tensor.name not in frozen.constants for tensor in op.outputs)]
    weights = []
    for operation in frozen.operations:
        for tensor in operation.inputs:
            weight = tensor.op
            while weight.type in ("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims") and weight.inputs:
                weight = weight.inputs[0].op
            if weight.type in ("Const", "Placeholder"):  # Placeholder: a variable
                weights.append((operation.name, weight.name))
    return LayerNames((op.name for op in dependent if op.type not in ("Placeholder", "NoOp")), weights)


def _of_states(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        reason = "is assigned in a call and read by the network, but a file keeps nothing from one call to the next"
        remedy = "make it an input and its new value an output (a recurrent layer: initial_state and return_state=True)"
        yield f"its variable {name!r} {reason}: {remedy}"


def _not_finite(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        for field in ("kernel", "bias", "scale", "offset"):
            value = getattr(node, field, None)
            if value is not None and not np.all(np.isfinite(value)):
                what = "NaN" if np.any(np.isnan(value)) else "infinity"
                yield f"layer {node.layers[-1]!r}: its {field} holds {what}; the training diverged, or the file is damaged"
