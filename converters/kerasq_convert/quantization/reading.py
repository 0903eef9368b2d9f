"""A Keras model as the converter's graph, read from its layers: what the passes need to tell which values are stored.

The converter itself reads a TensorFlow graph. This reads the same network without TensorFlow, so that a model is made ready for
training on any backend: where quantizers belong is then decided by the passes themselves, never by a second list of rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasq.callbacks.recorder import has_graph
from kerasq.statistics import Statistics
from kerasq_convert.examples.dataset import BATCH
from kerasq_convert.graph import Graph, Node, Scaled, Shape
from kerasq_convert.quantization import kinds
from kerasq_convert.quantization.calls import OUTPUT, Run, Site, inputs_of, run
from kerasq_convert.quantization.context import Kernels, Rows


@dataclasses.dataclass
class Observed:
    """What a model did with examples.

    Attributes:
        model: The model.
        inputs: The shapes of its inputs, by name.
        outputs: Names of the values that it returns.
        statistics: What was observed of every value.
        runs: Every call, in the order in which they run; of the first examples.
    """

    model: keras.Model
    inputs: dict[str, Shape]
    outputs: list[str]
    statistics: Statistics
    runs: list[Run]


@dataclasses.dataclass
class Reading:
    """A model as the converter's graph.

    Attributes:
        graph: Its network. Values have the names that `Run` gives them.
        sites: Where each value may be quantized; values that no quantizer can reach are not there.
        statistics: What was observed of every value.
    """

    graph: Graph
    sites: dict[str, Site]
    statistics: Statistics


def observe(model: keras.Model, examples: list[np.ndarray]) -> Observed:
    """Runs a model over examples.

    Args:
        model: A model with a graph (`calls.require_graph`).
        examples: An array `(count, ...)` for each of its inputs.
    """
    names = inputs_of(model)
    statistics = Statistics()
    observed: Observed | None = None
    for start in range(0, len(examples[0]), BATCH):
        arrays = [array[start : start + BATCH] for array in examples]
        runs: list[Run] = []
        tensors = [keras.ops.convert_to_tensor(a.astype(s.dtype)) for a, s in zip(arrays, model.inputs, strict=True)]
        outputs = run(model, list(zip(names, tensors, strict=True)), runs.append)
        for name, array in zip(names, arrays, strict=True):
            statistics.add(name, array)
        for one in runs:
            for value, tensor in values_of(one).items():
                statistics.add(value, np.asarray(keras.ops.convert_to_numpy(tensor), np.float32))
        if observed is None:
            inputs = {name: shape_of(tensor) for name, tensor in zip(names, tensors, strict=True)}
            observed = Observed(model, inputs, [name for name, _ in outputs], statistics, runs)
    assert observed is not None
    return observed


def values_of(one: Run) -> dict[str, Any]:
    """Every value of a call with its tensor."""
    outputs = {one.value if not number else f"{one.value}:{number}": tensor for number, tensor in enumerate(one.results)}
    return outputs | {f"{one.value}:{slot}": tensor for slot, tensor in one.inner.items()}


def read(observed: Observed, kernels: Kernels, more: Mapping[type, Rows] | None = None) -> Reading:
    """The graph of a model.

    Args:
        observed: The model.
        kernels: The quantizers that its layers are to have, by their `id` and the argument of their twin.
        more: Rows beside those of `kinds`, by class of layer.
    """
    sites = {name: Site(id(observed.model), -1 - number) for number, name in enumerate(observed.inputs)}
    nodes: list[Node] = []
    same: dict[str, str] = {}  # what a layer returns that does nothing
    shapes: dict[str, Shape] = dict(observed.inputs)
    for one in observed.runs:
        one = dataclasses.replace(one, inputs=[same.get(name, name) for name in one.inputs])
        for value, tensor in values_of(one).items():
            shapes[value] = shape_of(tensor)
            slot = value.removeprefix(one.value).removeprefix(":")
            if not slot.isdigit():
                sites[value] = dataclasses.replace(one.site, slot=slot or OUTPUT)
        made = kinds.nodes_of(one, shapes, kernels, more or {})
        nodes += made
        if not made:
            same[one.value] = one.inputs[0]
    pooled = [node.output for node in nodes if node.output.endswith(kinds.POOLED)]
    scaled = {value: Scaled(value.removesuffix(kinds.POOLED)) for value in pooled}
    shown = {f"output{number}": same.get(name, name) for number, name in enumerate(observed.outputs)}
    graph = Graph(observed.inputs, shown, tuple(nodes), places={value: value for value in shapes}, scaled=scaled)
    return Reading(graph, sites, observed.statistics)


def shape_of(tensor: Any) -> Shape:
    """The shape of a value as the graph has it: a batch of 1, a sequence as an image of height 1."""
    sizes = tuple(int(size) for size in tensor.shape[1:])
    match len(sizes):
        case 0:
            return (1, 1)
        case 2:
            return (1, 1, *sizes)
        case 1 | 3:
            return (1, *sizes)
        case _:
            return (1, sizes[0], int(np.prod(sizes[1:-1])), sizes[-1])


def layers_of(model: keras.Model) -> list[Any]:
    """Every layer of a model, those of nested ones included, once."""
    layers: dict[int, Any] = {}
    for layer in model.layers:
        layers |= {id(inner): inner for inner in (layers_of(layer) if has_graph(layer) else [layer])}
    return list(layers.values())
