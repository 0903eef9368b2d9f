"""A Keras model as its file will have it, as far as its layers tell without TensorFlow: what `kerasq.summary` then shows."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from kerasq.format import Model
from kerasq_convert import roles
from kerasq_convert.emission.emit import emit
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import float_formats
from kerasq_convert.formats.choosing import choose_formats
from kerasq_convert.graph import Curve, Opaque, WeightedNode
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.quantization import normalizations
from kerasq_convert.quantization.calls import inputs_of, require_graph
from kerasq_convert.quantization.quantize import has_kernel
from kerasq_convert.quantization.reading import Observed, observe, read
from kerasq_convert.settings import Settings


@dataclasses.dataclass(frozen=True)
class Draft:
    """A network of which nothing is planned or proven.

    Attributes:
        model: The network.
        unknown: Classes of layers for which a CONCAT stands in, by the name of the tensor that it computes.
    """

    model: Model
    unknown: dict[str, str]


def draft(model: keras.Model, *, is_float: bool) -> Draft:
    """The network of a model: operators, formats and constants.

    Activations without a quantizer are FLOAT32. A transposed convolution is one convolution, with the kernel of its layer.

    Args:
        model: A functional or Sequential model.
        is_float: Whether it has no quantizer. With functions that take a table all of it is FLOAT32 then, as there is no file.

    Raises:
        ConversionError: The model is subclassed, has an input of unknown size, or a layer with a kernel that is not known.
    """
    require_graph(model)
    open_sizes = [
        f"input {name!r} has sizes that are open"
        for name, x in zip(inputs_of(model), model.inputs, strict=True)
        if None in x.shape[1:]
    ]
    if open_sizes:
        raise ConversionError("the model can't be summarized", open_sizes)
    observed = observe(model, [np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in model.inputs])
    network = simplify(read(observed, {}, normalizations.ROWS).graph)
    _require_kernels(observed, {node.layer for node in network.graph.nodes if isinstance(node, WeightedNode)})
    if is_float and any(isinstance(node, Curve) for node in network.graph.nodes):
        formats = float_formats(network.graph)
    else:
        formats = choose_formats(network.graph, network.names, Settings(), None)
    emitted = emit(network.graph, network.names, formats, Settings(), network.metadata, proven=False)
    opaque = (node for node in network.graph.nodes if isinstance(node, Opaque))
    return Draft(emitted.model, {emitted.name(roles.buffer(node.output)): node.kind for node in opaque})


def _require_kernels(observed: Observed, layers: set[str]) -> None:
    """Refuses layers with kernels of which nothing would be shown."""
    runs = {one.name: one.call.operation for one in observed.runs if has_kernel(one.call.operation)}
    problems = [
        f"layer {name!r} ({type(layer).__name__}) is of no kind that is known"
        for name, layer in runs.items()
        if name not in layers
    ]
    if problems:
        raise ConversionError("the model can't be summarized without TensorFlow", problems)
