"""A probe: one run of a network that returns the output of every layer, under the names of `kerasq.statistics`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras

from kerasq.statistics import Statistics


class Probe:
    """Reads all layer outputs and kernels of a Functional or Sequential model, as they are in inference.

    The probe shares the model's layers, so it always sees their present weights; the model itself is left as it is.

    Args:
        model: The network. Nested Functional and Sequential models are entered.

    Raises:
        ValueError: The model is subclassed or not built: it has no graph from which to read its layers' outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        _require_graph(model)
        self.input_names = [_history(tensor).operation.name for tensor in model.inputs]
        outputs = list(_outputs(model))
        self.output_names = [name for name, _ in outputs]
        self.layers = dict(_layers(model))
        self._model = keras.Model(model.inputs, [tensor for _, tensor in outputs], name=f"{model.name}_probe")

    def check(self, batch: Any) -> None:
        """Refuses a batch that `collect` could not take, without running the network.

        Raises:
            ValueError: The batch has other inputs than the network, or its arrays have other shapes.
        """
        arrays = zip(self._model.inputs, self._ordered(batch), strict=True)
        self._model.compute_output_spec([keras.KerasTensor(values.shape, tensor.dtype) for tensor, values in arrays])

    def collect(self, batches: Iterable[Any]) -> Statistics:
        """Statistics of the network's inputs, of all layers' outputs over `batches`, and of all kernels.

        Args:
            batches: Batches of inputs: an array, a list of arrays or a dictionary of arrays by input name.

        Raises:
            ValueError: A batch has other inputs than the network.
        """
        statistics = Statistics()
        for batch in batches:
            inputs = self._ordered(batch)
            for name, values in zip(self.input_names, inputs, strict=True):
                statistics.add(name, values)
            outputs = keras.tree.flatten(self._model.predict_on_batch(inputs))
            for name, values in zip(self.output_names, outputs, strict=True):
                statistics.add(name, values)
        for path, layer in self.layers.items():
            kernel = _kernel(layer)
            if kernel is not None:
                statistics.add(f"{path}/kernel", keras.ops.convert_to_numpy(kernel))
        return statistics

    def _ordered(self, batch: Any) -> list[Any]:
        """The arrays of a batch in the order of the network's inputs."""
        if isinstance(batch, dict) and set(batch) == set(self.input_names):
            return [batch[name] for name in self.input_names]
        arrays = keras.tree.flatten(batch)
        if isinstance(batch, dict) or len(arrays) != len(self.input_names):
            received = sorted(batch) if isinstance(batch, dict) else f"{len(arrays)} array(s)"
            raise ValueError(f"The network's inputs are {self.input_names}, in this order. Received: {received}")
        return arrays


def _require_graph(model: Any) -> None:
    if _has_graph(model):
        return
    if isinstance(model, keras.Sequential):
        raise ValueError(
            "Layer outputs can be read only once the model is built: give it a keras.Input as its first entry, or call "
            f"model.build(input_shape). Received: Sequential model {model.name!r}, not built"
        )
    raise ValueError(
        "Layer outputs can be read from Functional and Sequential models only: the calls of a subclassed model are Python "
        "code, not a graph. Write it as keras.Model(inputs, outputs); a part of it that is such a model can be watched by "
        f"training that. Received: model={model!r}"
    )


def _has_graph(model: Any) -> bool:
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None)) and bool(getattr(model, "outputs", None))


class _Call(NamedTuple):
    """One call of a layer or of another operation, as the graph has recorded it."""

    operation: Any
    inputs: list[Any]
    outputs: list[Any]


def _history(tensor: Any) -> Any:
    # The one place that leans on how Keras keeps its graph: a layer's public `output` is that of its first call only.
    return tensor._keras_history


def _calls(model: keras.Model) -> list[_Call]:
    """The calls that lead from the model's inputs to its outputs, in an order in which they can run."""
    entries = {id(tensor) for tensor in model.inputs}
    ordered, seen = [], set()
    pending = [(tensor, False) for tensor in reversed(model.outputs)]
    while pending:
        tensor, ready = pending.pop()
        operation, index, _ = _history(tensor)
        if ready:
            node = operation._inbound_nodes[index]
            ordered.append(_Call(operation, list(node.input_tensors), list(node.output_tensors)))
        elif id(tensor) not in entries and (id(operation), index) not in seen:
            seen.add((id(operation), index))
            pending.append((tensor, True))
            pending.extend((source, False) for source in reversed(operation._inbound_nodes[index].input_tensors))
    return [call for call in ordered if call.inputs]


def _outputs(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and symbolic tensors of all layer outputs; a layer called twice is there twice."""
    for operation, inputs, outputs in _calls(model):
        path = prefix + operation.name
        if _has_graph(operation):
            inner = list(_outputs(operation, f"{path}/"))
            tensors = keras.Model(operation.inputs, [tensor for _, tensor in inner])(inputs)
            yield from zip((name for name, _ in inner), keras.tree.flatten(tensors), strict=True)
            continue
        for index, tensor in enumerate(outputs):
            if tensor.dtype != "string" and not tensor.sparse:
                yield f"{path}/output" + (f":{index}" if index else ""), tensor


def _layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Paths and layers; a layer called twice is there twice."""
    for operation, _, _ in _calls(model):
        path = prefix + operation.name
        if _has_graph(operation):
            yield from _layers(operation, f"{path}/")
        elif isinstance(operation, keras.layers.Layer):
            yield path, operation


def _kernel(layer: keras.layers.Layer) -> Any:
    """The kernel as the layer computes with it."""
    quantized = getattr(layer, "quantized_kernel", None)
    return getattr(layer, "kernel", None) if quantized is None else quantized
