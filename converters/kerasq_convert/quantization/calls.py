"""A model as the calls of its layers, nested models entered: where each tensor comes from, and where a quantizer can stand.

A value is one tensor of one run through the network: of a layer that is called twice, or that lies in a nested model that is,
there are several. A site is a place in the model's code: all values of a nested model's tensor share it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from kerasq.callbacks.recorder import Call, calls, has_graph, history, replaced
from kerasq.layers.base import QuantizedKernel
from kerasq.layers.convolutional.depthwise_kernel import depthwise_outputs
from kerasq.layers.twins import kind_of
from kerasq_convert.errors import ConversionError
from kerasq_convert.graph import Limits

OUTPUT, SUM, BETWEEN = "output", "sum", "between"
CLAMPS: dict[str, Limits] = {  # activations that are a clamp
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "hard_tanh": (-1.0, 1.0),
}
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
PLAIN = ("linear", *CLAMPS)  # nothing is stored before them


@dataclasses.dataclass(frozen=True)
class Site:
    """A place for a quantizer.

    Attributes:
        model: `id` of the Functional or Sequential model whose graph has it.
        call: Which of its calls, in the order of `kerasq.callbacks.recorder.calls`; of an input of the network -1, -2, ...
        slot: What of the call: `output`, what the layer returns; `sum`, what its activation function reads; `between`, what the
            second half of a separable convolution reads.
    """

    model: int
    call: int
    slot: str = OUTPUT


@dataclasses.dataclass(frozen=True)
class Run:
    """One call in one run through the network.

    Attributes:
        call: The call.
        site: Where its result may be quantized.
        path: Names of the nested models around it and of the layer.
        value: The name of what it returns; `value:slot` that of its other values.
        inputs: Names of the values that it reads.
        results: Its tensor, or tensors.
        inner: What else was seen in it, by slot.
        arguments: What it was called with.
    """

    call: Call
    site: Site
    path: tuple[str, ...]
    value: str
    inputs: list[str]
    results: list[Any]
    inner: dict[str, Any]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]

    @property
    def name(self) -> str:
        return "/".join(self.path)


def require_graph(model: Any) -> None:
    """Refuses what has no graph of layers.

    Raises:
        ConversionError: The model, or one inside of it, is subclassed, or not built.
    """
    problems = list(_without_graph(model, ()))
    if problems:
        raise ConversionError("the model can't be quantized", problems)


def _without_graph(model: Any, path: tuple[str, ...]) -> Iterator[str]:
    if has_graph(model):
        for call in calls(model):
            if isinstance(call.operation, keras.Model):
                yield from _without_graph(call.operation, (*path, call.operation.name))
        return
    what = "/".join(path) or getattr(model, "name", type(model).__name__)
    if isinstance(model, keras.Sequential):
        yield f"{what!r} is a Sequential model that is not built: give it a keras.Input as its first entry, or call build()"
    elif isinstance(model, keras.Model):
        yield (
            f"{what!r} is a subclassed model ({type(model).__name__}): its calls are Python code, not a graph of layers. Write "
            "it as keras.Model(inputs, outputs), or use layers of kerasq.layers in it"
        )
    else:
        yield f"a keras.Model was expected. Received: {type(model).__name__}"


def run(model: keras.Model, inputs: list[tuple[str, Any]], visit: Callable[[Run], None]) -> list[tuple[str, Any]]:
    """Calls the layers of a model one by one, in inference.

    Args:
        model: A model with a graph.
        inputs: Names and tensors of its inputs.
        visit: Gets every call of a layer or operation, those of nested models included.

    Returns:
        Names and tensors of its outputs.
    """
    return _run(model, inputs, visit, (), "")


def _run(
    model: keras.Model, inputs: list[tuple[str, Any]], visit: Callable[[Run], None], path: tuple[str, ...], prefix: str
) -> list[tuple[str, Any]]:
    known = {id(symbolic): named for symbolic, named in zip(model.inputs, inputs, strict=True)}
    for index, call in enumerate(calls(model)):
        operation, value = call.operation, f"{prefix}{index}"
        here = (*path, operation.name)
        sources = [known[id(tensor)] for tensor in call.inputs]
        if has_graph(operation):
            results = _run(operation, sources, visit, here, f"{value}.")
        else:
            args, kwargs = call.arguments.fill_in({id(tensor): known[id(tensor)][1] for tensor in call.inputs})
            inner: dict[str, Any] = {}
            tensors = keras.tree.flatten(_observed(operation, inner)(*args, **kwargs))
            results = [(value if not number else f"{value}:{number}", tensor) for number, tensor in enumerate(tensors)]
            names = [name for name, _ in sources]
            visit(Run(call, Site(id(model), index), here, value, names, tensors, inner, (args, kwargs)))
        known |= {id(symbolic): named for symbolic, named in zip(call.outputs, results, strict=True)}
    return [known[id(tensor)] for tensor in model.outputs]


def _observed(operation: Any, inner: dict[str, Any]) -> Callable[..., Any]:
    """The operation; what its activation function reads goes to `inner`, and what lies between the halves of a separable one."""
    watched = has_inner_activation(operation)
    separable = kind_of(operation) in SEPARABLE
    if not watched and not separable:
        return operation

    def activation(layer: Any, function: Callable[..., Any], x: Any, *args: Any) -> Any:
        inner[SUM] = x
        return function(x, *args)

    def call(*args: Any, **kwargs: Any) -> Any:
        if separable:
            inner[BETWEEN] = _between(operation, *args, **kwargs)
        with replaced(operation, "activation", activation) if watched else contextlib.nullcontext():
            return operation(*args, **kwargs)

    return call


def _between(layer: Any, inputs: Any) -> Any:
    """What the first half of a separable layer computes."""
    if not isinstance(layer, QuantizedKernel):
        return depthwise_outputs(layer, inputs, layer.depthwise_kernel)
    values = depthwise_outputs(layer, inputs, layer.quantized_depthwise_kernel)
    return layer.quantize_activation(layer.depthwise_output_quantizer, values, training=False)


def has_inner_activation(operation: Any) -> bool:
    """Whether a layer with a kernel has an activation function that reads a value which is stored."""
    function = getattr(operation, "activation", None)
    return kind_of(operation) is not None and callable(function) and name_of(function) not in PLAIN


def name_of(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def inputs_of(model: keras.Model) -> list[str]:
    """Names of a model's inputs, in its order."""
    return [history(tensor).operation.name for tensor in model.inputs]
