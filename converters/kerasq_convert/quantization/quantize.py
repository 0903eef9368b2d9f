"""`quantize_model` and `strip`: a float model made ready for training as a chip will compute it, and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasq.inputs import Input
from kerasq.layers import FixedPointQuantize, Quantize, twins
from kerasq.layers.base import QuantizedKernel
from kerasq.layers.kernel_part import KERNEL
from kerasq.quantizers import Quantizer
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.dataset import load_dataset
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.naming import unique
from kerasq_convert.quantization import recipes
from kerasq_convert.quantization.calls import BETWEEN, SUM, Run, Site, inputs_of, require_graph
from kerasq_convert.quantization.context import Kernels
from kerasq_convert.quantization.folding import with_folded_normalizations
from kerasq_convert.quantization.formats import Quantizers, choose_quantizers
from kerasq_convert.quantization.placement import place
from kerasq_convert.quantization.positions import by_outputs, lasting
from kerasq_convert.quantization.reading import layers_of, observe, read
from kerasq_convert.quantization.rebuilding import Rebuilding, cloned
from kerasq_convert.settings import Settings
from kerasq_convert.settings.settings import nearest

BITS = range(2, 17)  # of activations


def quantized(
    model: keras.Model,
    dataset: Any,
    recipe: str | Mapping[Any, Any],
    activations: int | None,
    settings: str | os.PathLike | Mapping[str, Any] | Settings | None,
    criterion: str,
    fold_batch_norm: bool,
) -> keras.Model:
    """`kerasq.quantize_model`, which describes the arguments."""
    require_graph(model)
    problems = []
    if activations is not None and activations not in BITS:
        problems.append(
            f"`activations` must be None or an integer of {BITS[0]} to {BITS[-1]}. Received: activations={activations!r}"
        )
    if criterion not in list(Criterion):
        expected = ", ".join(map(repr, map(str, Criterion)))
        problems.append(
            f"`criterion` must be one of {expected}. Received: criterion={criterion!r}{nearest(criterion, Criterion)}"
        )
    if problems:
        raise ConversionError("the model can't be quantized", problems)
    loaded = Settings.load(settings)
    if fold_batch_norm:
        model = with_folded_normalizations(model)
    observed = observe(model, _examples(model, dataset))
    kernels = kernel_quantizers(observed.runs, recipe, Criterion(criterion))
    chosen = Quantizers({}, {})
    if activations is not None:
        reading = read(observed, kernels)
        placement = place(reading, loaded)
        by_name = {
            one.name: lasting(kernels.get(id(one.call.operation), {}).get(KERNEL.quantizer), one.call.operation)
            for one in observed.runs
        }
        chosen = choose_quantizers(placement, reading.statistics, loaded, activations, Criterion(criterion), by_name)
    return _built(model, observed.runs, kernels, chosen)


def _examples(model: keras.Model, dataset: Any) -> list[np.ndarray]:
    inputs = [Input(n, tensor.shape, n) for n, tensor in zip(inputs_of(model), model.inputs, strict=True)]
    batches = list(load_dataset(dataset, inputs))
    return [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]


def kernel_quantizers(every_run: Sequence[Run], recipe: str | Mapping[Any, Any], criterion: Criterion) -> Kernels:
    """The quantizers of all kernels that get one, by the layer's `id` and the argument of its twin.

    Raises:
        ConversionError: A rule is for no layer, or a layer has no quantized form.
    """
    runs = [one for one in every_run if has_kernel(one.call.operation)]
    behind, ahead = _followers(every_run, {one.value for one in runs})
    layers: dict[str, recipes.Layer] = {}
    for one in runs:
        is_first, is_last = not behind[one.value], one.value not in ahead
        for kernel in recipes.kernels_of(one.name, one.call.operation, is_first=is_first, is_last=is_last):
            layers.setdefault(kernel.name, kernel)
    chosen = recipes.choose(recipe, list(layers.values()))
    quantizers: dict[int, dict[str, Quantizer]] = {}
    problems = []
    for name, kernel in ((name, layers[name]) for name, choice in chosen.items() if choice is not None):
        if kernel.part is None:
            what = f"layer {name!r} ({type(kernel.layer).__name__}) has a kernel and no quantized form"
            problems.append(f"{what}; the rule {{{name!r}: None}} leaves it as it is")
        elif not isinstance(kernel.layer, QuantizedKernel):
            values = np.asarray(keras.ops.convert_to_numpy(getattr(kernel.layer, kernel.part.latent)), np.float32)
            quantizer = recipes.quantizer_for(chosen[name], values, criterion)
            if recipes.is_open(chosen[name]) and criterion is Criterion.MSE:
                calls_of = [one for one in runs if one.call.operation is kernel.layer]
                quantizer = by_outputs(quantizer, kernel.layer, kernel.part, calls_of)
            quantizers.setdefault(id(kernel.layer), {})[kernel.part.quantizer] = quantizer
    if problems:
        raise ConversionError("the model can't be quantized", problems)
    return quantizers


def has_kernel(operation: Any) -> bool:
    """Whether a layer multiplies by weights that a file would store."""
    return isinstance(operation, keras.layers.Layer) and any(variable.name.endswith("kernel") for variable in operation.weights)


def _followers(runs: Sequence[Run], kernels: set[str]) -> tuple[dict[str, set[str]], set[str]]:
    """For every value, those of layers with a kernel before it; and of these all that have another one behind them."""
    before: dict[str, set[str]] = {}
    ahead: set[str] = set()
    for one in runs:
        read: set[str] = set()
        for name in one.inputs:
            source = name.split(":")[0]
            read |= before.get(source, set()) | ({source} & kernels)
        before[one.value] = read
        if one.value in kernels:
            ahead |= read
    return before, ahead


def _built(model: keras.Model, runs: Sequence[Run], kernels: Kernels, chosen: Quantizers) -> keras.Model:
    sites, places = chosen.activations, dict[int, dict[Site, None]]()
    paths = {id(one.call.operation): one.name for one in runs}
    for one in runs:
        places.setdefault(id(one.call.operation), {})[one.site] = None
    taken = {layer.name for layer in layers_of(model)}
    inside: set[Site] = set()

    def replaced(layer: Any) -> Any:
        calls_of = list(places.get(id(layer), ()))
        arguments: dict[str, Any] = {}
        if twins.kind_of(layer) is not None:
            for slot, argument in ((SUM, "sum_quantizer"), (BETWEEN, "depthwise_output_quantizer")):
                inner = [sites[place] for call in calls_of if (place := dataclasses.replace(call, slot=slot)) in sites]
                if inner:
                    arguments[argument] = min(inner, key=lambda quantizer: quantizer.frac_bits)
            if len(calls_of) == 1 and calls_of[0] in sites:
                arguments["output_quantizer"] = sites[calls_of[0]]
            bias = chosen.biases.get(paths.get(id(layer), ""))
            if bias is not None:
                arguments["bias_quantizer"] = bias
        arguments |= kernels.get(id(layer), {})
        if not arguments:
            return cloned(layer)
        inside.update(calls_of if "output_quantizer" in arguments else ())
        return twins.quantized(layer, **arguments)

    def after(owner: keras.Model, call: int, name: str) -> Any:
        site = Site(id(owner), call)
        if site not in sites or site in inside:
            return None
        quantizer = sites[site]
        named = unique(f"{name}_quantizer", taken, "_")
        return FixedPointQuantize(quantizer.bits, quantizer.frac_bits, quantizer.signed, name=named)

    return Rebuilding(replaced, after).build(model)


def stripped(model: keras.Model) -> keras.Model:
    """`kerasq.strip`, which describes the arguments."""
    require_graph(model)

    def replaced(layer: Any) -> Any:
        return twins.in_float(layer) if isinstance(layer, QuantizedKernel) else cloned(layer)

    return Rebuilding(replaced, skipped=lambda layer: isinstance(layer, FixedPointQuantize | Quantize)).build(model)
