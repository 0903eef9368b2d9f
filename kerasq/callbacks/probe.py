"""A probe: one run of a network that returns the output of every layer, under the names of `kerasq.statistics`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from kerasq.callbacks.recorder import Recorder, calls, has_graph, history
from kerasq.statistics import Statistics


class Probe:
    """Reads all layer outputs and kernels of a model, as they are in inference.

    It uses the model's own layers, so it always sees their present weights; the model itself is left as it is. Under the
    TensorFlow backend the model is traced as for an export, so that what layers and operations compute inside is seen, too,
    and subclassed models are; under others the layers of Functional and Sequential models are watched from outside.

    Args:
        model: The network. Nested Functional and Sequential models are entered.

    Raises:
        ValueError: The model is not built, or subclassed, under another backend than TensorFlow.
    """

    def __init__(self, model: keras.Model) -> None:
        _require_calls(model)
        self.model = model
        self.layers = dict(_layers(model)) if has_graph(model) else {layer.name: layer for layer in model.layers}
        self.input_names = [history(tensor).operation.name for tensor in model.inputs] if has_graph(model) else []
        self._traced: Any = None

    def check(self, batch: Any) -> None:
        """Refuses a batch that `collect` could not take, without running the network.

        Raises:
            ValueError: The batch has other inputs than the network, or its arrays have other shapes.
        """
        if not has_graph(self.model):
            return
        arrays = zip(self.model.inputs, self._ordered(batch), strict=True)
        symbolic = [keras.KerasTensor(values.shape, tensor.dtype) for tensor, values in arrays]
        self.model.compute_output_spec(self._structured(symbolic, batch))

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
            if not self.input_names:
                self.input_names = _names_of_inputs(batch, len(inputs))
            for name, values in zip(self.input_names, inputs, strict=True):
                statistics.add(name, values)
            for name, values in self._run(inputs, batch):
                statistics.add(name, values)
        for path, layer in self.layers.items():
            kernel = _kernel(layer)
            if kernel is not None:
                statistics.add(f"{path}/kernel", keras.ops.convert_to_numpy(kernel))
        statistics.inputs = list(self.input_names)
        statistics.places = dict(self._traced.places) if self._traced else {}
        return statistics

    def _run(self, inputs: list[Any], batch: Any) -> Iterator[tuple[str, np.ndarray]]:
        """Names and values of what the network computes."""
        types = [tensor.dtype for tensor in self.model.inputs] if has_graph(self.model) else ["float32"] * len(inputs)
        arrays = [np.asarray(values).astype(type_) for values, type_ in zip(inputs, types, strict=True)]
        if keras.backend.backend() == "tensorflow":
            yield from self._trace(arrays, batch)(arrays)
            return
        recorder = Recorder(self.model)
        with recorder.listening():
            self.model(self._structured([keras.ops.convert_to_tensor(array) for array in arrays], batch), training=False)
        for name, tensor in recorder.tensors:
            if keras.backend.standardize_dtype(tensor.dtype) != "string":
                yield name, keras.ops.convert_to_numpy(tensor)

    def _trace(self, arrays: list[np.ndarray], batch: Any) -> Any:
        if self._traced is None:
            import tensorflow as tf

            from kerasq.callbacks.traced import TracedModel

            shapes = [tensor.shape for tensor in self.model.inputs] if has_graph(self.model) else [a.shape for a in arrays]
            specifications = [tf.TensorSpec((None, *s[1:]), a.dtype) for s, a in zip(shapes, arrays, strict=True)]
            self._traced = TracedModel(self.model, specifications, lambda inputs: self._structured(inputs, batch))
        return self._traced

    def _structured(self, inputs: list[Any], batch: Any) -> Any:
        """Inputs as the model is called with them."""
        if isinstance(self.model, keras.Sequential):
            return inputs[0]
        structure = self.model.input if has_graph(self.model) else batch
        return keras.tree.pack_sequence_as(structure, inputs)

    def _ordered(self, batch: Any) -> list[Any]:
        """The arrays of a batch in the order of the network's inputs."""
        arrays = keras.tree.flatten(batch)
        if not self.input_names:
            return arrays
        if isinstance(batch, dict) and set(batch) == set(self.input_names):
            return [batch[name] for name in self.input_names]
        if isinstance(batch, dict) or len(arrays) != len(self.input_names):
            received = sorted(batch) if isinstance(batch, dict) else f"{len(arrays)} array(s)"
            raise ValueError(f"The network's inputs are {self.input_names}, in this order. Received: {received}")
        return arrays


def _require_calls(model: Any) -> None:
    if has_graph(model):
        return
    if isinstance(model, keras.Sequential):
        raise ValueError(
            "Layer outputs can be read only once the model is built: give it a keras.Input as its first entry, or call "
            f"model.build(input_shape). Received: Sequential model {model.name!r}, not built"
        )
    if not isinstance(model, keras.Model) or keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Under this backend layer outputs can be read from Functional and Sequential models only: the calls of a "
            "subclassed model are Python code, not a graph. Write it as keras.Model(inputs, outputs), or train under "
            f"KERAS_BACKEND=tensorflow. Received: model={model!r}"
        )


def _names_of_inputs(batch: Any, count: int) -> list[str]:
    if isinstance(batch, dict):
        return sorted(batch)
    return ["input", *(f"input_{number}" for number in range(1, count))]


def _layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Paths and layers; a layer called twice is there twice."""
    for operation, *_ in calls(model):
        path = prefix + operation.name
        if has_graph(operation):
            yield from _layers(operation, f"{path}/")
        elif isinstance(operation, keras.layers.Layer):
            yield path, operation


def _kernel(layer: keras.layers.Layer) -> Any:
    """The kernel as the layer computes with it."""
    quantized = getattr(layer, "quantized_kernel", None)
    return getattr(layer, "kernel", None) if quantized is None else quantized
