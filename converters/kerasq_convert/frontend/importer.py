"""From a frozen TensorFlow graph to the converter's nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq_convert.errors import ConversionError, UnsupportedError
from kerasq_convert.frontend.frozen import FrozenGraph
from kerasq_convert.frontend.handlers import import_operation
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.names import LayerNames
from kerasq_convert.frontend.quantizer_pattern import find_quantizers
from kerasq_convert.frontend.refusals import Refusals
from kerasq_convert.frontend.repeated_steps import RepeatedSteps
from kerasq_convert.graph import Graph, Identity, Node


def import_graph(frozen: FrozenGraph, source: str) -> Graph:
    """The nodes of a frozen graph.

    Args:
        frozen: The graph.
        source: What error messages call the model.

    Raises:
        ConversionError: Operations are not supported, or weights are not finite; all of them are listed.
    """
    importer = Importer(frozen, _layer_names(frozen), {}, [], [])
    for name, tensor in frozen.inputs.items():
        importer.values[tensor.name] = name
    refusals = Refusals()
    quantizers = find_quantizers(frozen.operations, importer.constant)
    repeated = RepeatedSteps(importer)
    passed_over = {operation for quantizer in quantizers.values() for operation in quantizer.inner} | repeated.passed_over
    for operation in frozen.operations:
        outputs = [tensor for tensor in operation.outputs if tensor.name not in frozen.constants]
        if not outputs or operation.type == "Placeholder" or operation in passed_over:
            continue
        try:
            if repeated.takes(operation):
                continue
            if operation in quantizers:
                found = quantizers[operation]
                common = importer.common(operation, found.source)
                importer.add(Identity(**common, format=found.format, clamp=found.clamp))
            else:
                import_operation(importer, operation)
        except UnsupportedError as error:
            refusals.add(importer.layer(operation), operation.type, str(error))
            for tensor in outputs:  # go on, so that every problem is found
                importer.values[tensor.name] = tensor.name
    repeated.finish()
    problems = [*refusals.lines(), *_not_finite(importer.nodes)]
    outputs_by_name = {name: importer.values.get(tensor.name) for name, tensor in frozen.outputs.items()}
    if not problems:
        problems = [f"output {name!r} does not depend on an input" for name, value in outputs_by_name.items() if value is None]
    if problems:
        raise ConversionError(f"{source} can't be converted", problems)
    inputs = {name: shape_of(tensor) for name, tensor in frozen.inputs.items()}
    shown = _each_once(importer, frozen, {name: value for name, value in outputs_by_name.items() if value})
    return Graph(inputs, shown, tuple(importer.nodes), tuple(importer.notes))


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
            while weight.type in ("Identity", "Reshape", "Squeeze", "ExpandDims") and weight.inputs:
                weight = weight.inputs[0].op
            if weight.type in ("Const", "Placeholder"):  # Placeholder: a variable
                weights.append((operation.name, weight.name))
    return LayerNames((op.name for op in dependent if op.type not in ("Placeholder", "NoOp")), weights)


def _not_finite(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        for field in ("kernel", "bias", "scale", "offset"):
            value = getattr(node, field, None)
            if value is not None and not np.all(np.isfinite(value)):
                what = "NaN" if np.any(np.isnan(value)) else "infinity"
                yield f"layer {node.layers[-1]!r}: its {field} holds {what}; the training diverged, or the file is damaged"
