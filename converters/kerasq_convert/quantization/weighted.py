"""Layers with kernels as nodes: a row for each kind, by its class; and the activation functions that they have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from kerasq.layers import twins
from kerasq.layers.base import QuantizedKernel
from kerasq.layers.kernel_part import KernelPart
from kerasq_convert.graph import Convolution, Curve, Dense, Identity, Node, Softmax
from kerasq_convert.quantization.calls import BETWEEN, CLAMPS, SUM, name_of
from kerasq_convert.quantization.context import Context, Rows, in_numpy, numpy_of, pair_of

L = keras.layers


def activated(context: Context, function: Any, source: str) -> Iterator[Node]:
    """What an activation function makes of a value."""
    common, name = context.common(source), name_of(function)
    if name == "linear":
        return
    if name in CLAMPS:
        yield Identity(**common, clamp=CLAMPS[name])
    elif name == "softmax":
        yield Softmax(**common)
    else:
        yield Curve(**common, function=in_numpy(function))


def weighted(context: Context, node: Callable[..., Node], kernel: np.ndarray, source: str = "", **fields: Any) -> Iterator[Node]:
    """A layer with a kernel, its bias and its activation function."""
    layer, one = context.layer, context.run
    bias = None if layer.bias is None else numpy_of(layer.bias)
    sums = one.value if name_of(layer.activation) == "linear" else f"{one.value}:{SUM}"
    first = node(**context.common(source or one.inputs[0], output=sums), layer=one.name, kernel=kernel, bias=bias, **fields)
    nodes = [first, *activated(context, layer.activation, sums)]
    for place, name in ((0, "sum_quantizer"), (-1, "output_quantizer")):  # those that the layer has already
        quantizer = getattr(layer, name, None)
        if quantizer is not None:
            nodes[place] = dataclasses.replace(nodes[place], format=quantizer.spec())
    yield from nodes


def kernel_of(context: Context, part: KernelPart | None = None) -> np.ndarray:
    """A kernel as the layer computes with it, or will: the passes ask whether it is on a grid. By default its last one."""
    layer = context.layer
    part = part or twins.parts_of(layer)[-1]
    if isinstance(layer, QuantizedKernel):
        return numpy_of(layer.quantize_kernel(part))
    quantizer = context.kernels.get(id(layer), {}).get(part.quantizer)
    return numpy_of(getattr(layer, part.latent) if quantizer is None else twins.quantized_values(layer, part, quantizer))


def _dense(context: Context) -> Iterator[Node]:
    kernel = kernel_of(context).T
    if len(context.shapes[context.run.inputs[0]]) == 2:
        yield from weighted(context, Dense, kernel)
    else:
        yield from weighted(context, Convolution, kernel[:, None, None, :])


def _convolution(context: Context) -> Iterator[Node]:
    kernel = image_kernel(kernel_of(context)).transpose(3, 0, 1, 2)
    yield from weighted(context, Convolution, kernel, **windows_of(context.layer), groups=context.layer.groups)


def _depthwise(context: Context) -> Iterator[Node]:
    kernel = depthwise_kernel(kernel_of(context))
    channels = context.layer.kernel.shape[-2]
    yield from weighted(context, Convolution, kernel, **windows_of(context.layer), groups=int(channels))


def _separable(context: Context) -> Iterator[Node]:
    """Two convolutions, with a value between them."""
    layer, between = context.layer, f"{context.run.value}:{BETWEEN}"
    kernel = depthwise_kernel(kernel_of(context, twins.parts_of(layer)[0]))
    channels = int(layer.depthwise_kernel.shape[-2])
    fields = {"layer": f"{context.run.name}/depthwise", "kernel": kernel, **windows_of(layer), "groups": channels}
    common = context.common(output=between, shape=context.shapes[between])
    quantizer = getattr(layer, "depthwise_output_quantizer", None)
    yield Convolution(**common, bias=None, format=None if quantizer is None else quantizer.spec(), **fields)
    pointwise = image_kernel(kernel_of(context)).transpose(3, 0, 1, 2)
    yield from weighted(context, Convolution, pointwise, source=between)


def _transposed(context: Context) -> Iterator[Node]:
    kernel = image_kernel(kernel_of(context)).transpose(2, 0, 1, 3)
    yield from weighted(context, Convolution, kernel)


def image_kernel(kernel: np.ndarray) -> np.ndarray:
    """A kernel over a sequence as one of height 1."""
    return kernel if kernel.ndim == 4 else kernel[None]


def depthwise_kernel(kernel: np.ndarray) -> np.ndarray:
    """Kernel (height, width, channels, multiplier) as (outputs, height, width, 1)."""
    image = image_kernel(kernel)
    return image.transpose(2, 3, 0, 1).reshape(-1, *image.shape[:2], 1)


def windows_of(layer: Any) -> dict[str, Any]:
    """Strides and dilations; whether there is padding is all that the passes ask of it."""
    padding = (0, 0, 0, 0) if layer.padding == "valid" else (0, 0, 1, 1)
    return {"strides": pair_of(layer.strides), "dilations": pair_of(layer.dilation_rate), "padding": padding}


ROWS: dict[type, Rows] = (
    dict.fromkeys((L.Conv1D, L.Conv2D), _convolution)
    | dict.fromkeys((L.DepthwiseConv1D, L.DepthwiseConv2D), _depthwise)
    | dict.fromkeys((L.Conv1DTranspose, L.Conv2DTranspose), _transposed)
    | dict.fromkeys((L.SeparableConv1D, L.SeparableConv2D), _separable)
    | dict.fromkeys((L.Dense, L.EinsumDense), _dense)
)
