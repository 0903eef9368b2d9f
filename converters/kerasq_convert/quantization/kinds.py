"""What each kind of layer is in the converter's graph: a row for each, by its class.

What has no row is a barrier: what it reads is stored, and what it returns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from kerasq.layers import FixedPointQuantize, Quantize, twins
from kerasq.layers.base import QuantizedKernel
from kerasq.layers.kernel_part import KernelPart
from kerasq.quantizers import Quantizer
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.graph import (
    Add,
    Affine,
    ArgMax,
    Concat,
    Convolution,
    Crop,
    Curve,
    Dense,
    Gather,
    Identity,
    Limits,
    Multiply,
    Node,
    Opaque,
    Pad,
    Pool,
    Reshape,
    Shape,
    Softmax,
)
from kerasq_convert.quantization.calls import BETWEEN, CLAMPS, SUM, Run, name_of

L = keras.layers
Kernels = Mapping[int, Mapping[str, Quantizer]]  # by the `id` of a layer and the argument of its twin
POOLED = "/pooled"  # what a global pooling gives, before axes are dropped
_STEPS = 5  # inputs of one Concat


@dataclasses.dataclass(frozen=True)
class Context:
    """A call that becomes nodes."""

    run: Run
    shapes: Mapping[str, Shape]
    kernels: Kernels

    @property
    def layer(self) -> Any:
        return self.run.call.operation

    @property
    def shape(self) -> Shape:
        return self.shapes[self.run.value]

    def common(self, *inputs: str, output: str = "", shape: Shape | None = None) -> dict[str, Any]:
        """What every node has; its inputs are those of the call unless they are named."""
        return {
            "output": output or self.run.value,
            "inputs": inputs or tuple(self.run.inputs),
            "shape": shape or self.shape,
            "layers": (self.run.name,),
        }


Rows = Callable[[Context], Iterator[Node]]


def nodes_of(one: Run, shapes: Mapping[str, Shape], kernels: Kernels, more: Mapping[type, Rows]) -> list[Node]:
    """The nodes of one call, by ROWS and `more` of them; none for a layer that does nothing in inference."""
    context = Context(one, shapes, kernels)
    row = more.get(type(one.call.operation)) or _row(one.call.operation)
    try:
        return list(row(context))
    except (AttributeError, ValueError, TypeError, IndexError, UnsupportedError):
        return list(_barrier(context))  # arguments that make of it something else than its kind is


def _row(operation: Any) -> Rows:
    kind = twins.kind_of(operation) or type(operation)
    if kind in twins.TWINS and twins.kind_of(operation) is None:  # computes something else by its arguments
        return _barrier
    if kind in ROWS:
        return ROWS[kind]
    if not isinstance(operation, keras.layers.Layer):
        return OPERATIONS.get(type(operation).__name__, _pointwise)
    return _barrier


def _barrier(context: Context) -> Iterator[Node]:
    for number in range(len(context.run.results)):
        output = context.run.value if not number else f"{context.run.value}:{number}"
        inputs = tuple(context.run.inputs[:_STEPS])
        common = context.common(*inputs, output=output, shape=context.shapes[output])
        yield Opaque(**common, kind=type(context.layer).__name__)


def _pointwise(context: Context) -> Iterator[Node]:
    """An operation of keras.ops on one value: a function of it where the shape stays, else a barrier."""
    args, kwargs = context.run.arguments
    if len(context.run.inputs) != 1 or len(context.run.results) != 1 or context.shapes[context.run.inputs[0]] != context.shape:
        yield from _barrier(context)
        return

    def function(values: np.ndarray) -> np.ndarray:
        replaced = [values.astype(np.float32) if keras.ops.is_tensor(arg) else arg for arg in args]
        return np.asarray(keras.ops.convert_to_numpy(context.layer(*replaced, **kwargs)))

    yield Curve(**context.common(), function=function)


def _moved(context: Context) -> Iterator[Node]:
    yield Reshape(**context.common())


def _nothing(context: Context) -> Iterator[Node]:
    yield from ()


def _activated(context: Context, function: Any, source: str) -> Iterator[Node]:
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


def in_numpy(function: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of tensors as one of arrays."""

    def applied(values: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(values.astype(np.float32)))))

    return applied


def _activation(context: Context) -> Iterator[Node]:
    yield from _activated(context, context.layer.activation, context.run.inputs[0])


def _relu(context: Context) -> Iterator[Node]:
    layer = context.layer
    if layer.negative_slope or layer.threshold:
        yield Curve(**context.common(), function=in_numpy(layer))
    else:
        yield Identity(**context.common(), clamp=(0.0, np.inf if layer.max_value is None else float(layer.max_value)))


def _curve(context: Context) -> Iterator[Node]:
    yield Curve(**context.common(), function=in_numpy(context.layer))


def _softmax(context: Context) -> Iterator[Node]:
    if context.layer.axis not in (-1, len(context.run.results[0].shape) - 1):
        raise ValueError("not the last axis")
    yield Softmax(**context.common())


def weighted(context: Context, node: Callable[..., Node], kernel: np.ndarray, source: str = "", **fields: Any) -> Iterator[Node]:
    """A layer with a kernel, its bias and its activation function."""
    layer, one = context.layer, context.run
    bias = None if layer.bias is None else numpy_of(layer.bias)
    sums = one.value if name_of(layer.activation) == "linear" else f"{one.value}:{SUM}"
    first = node(**context.common(source or one.inputs[0], output=sums), layer=one.name, kernel=kernel, bias=bias, **fields)
    nodes = [first, *_activated(context, layer.activation, sums)]
    for place, name in ((0, "sum_quantizer"), (-1, "output_quantizer")):  # those that the layer has already
        quantizer = getattr(layer, name, None)
        if quantizer is not None:
            nodes[place] = dataclasses.replace(nodes[place], format=quantizer.spec())
    yield from nodes


def numpy_of(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


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
    return {"strides": _pair(layer.strides), "dilations": _pair(layer.dilation_rate), "padding": padding}


def _batch_norm(context: Context) -> Iterator[Node]:
    layer = context.layer
    rank = len(context.run.results[0].shape)
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis % rank != rank - 1:
        raise ValueError("not of channels")
    mean, variance = (numpy_of(part).astype(np.float64) for part in (layer.moving_mean, layer.moving_variance))
    gamma = numpy_of(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = numpy_of(layer.beta) if layer.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    yield Affine(**context.common(), scale=scale, offset=beta - mean * scale)


def _rescaling(context: Context) -> Iterator[Node]:
    scale, offset = (np.asarray(part, np.float64) for part in (context.layer.scale, context.layer.offset))
    if max(scale.size, offset.size) > 1:
        scale, offset = (np.broadcast_to(part, context.shape[-1:]) for part in (scale, offset))
    yield Affine(**context.common(), scale=scale, offset=offset)


def _normalization(context: Context) -> Iterator[Node]:
    layer = context.layer
    mean, variance = (np.asarray(keras.ops.convert_to_numpy(part), np.float64) for part in (layer.mean, layer.variance))
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    scale, offset = scale.reshape(-1), (-mean * scale).reshape(-1)
    if scale.size not in (1, context.shape[-1]):
        raise ValueError("a constant for each element")
    yield Affine(**context.common(), scale=scale, offset=offset)


def _add(context: Context) -> Iterator[Node]:
    yield from _chained(context, Add)


def _multiply(context: Context) -> Iterator[Node]:
    yield from _chained(context, Multiply)


def _chained(context: Context, node: Callable[..., Node]) -> Iterator[Node]:
    """A sum or product, term by term: what lies between no quantizer can reach."""
    first, *rest = context.run.inputs
    for number, term in enumerate(rest):
        is_last = number == len(rest) - 1
        output = "" if is_last else f"{context.run.value}/term{number}"
        yield node(**context.common(first, term, output=output))
        first = output


def _subtract(context: Context) -> Iterator[Node]:
    first, second = context.run.inputs
    negated = f"{context.run.value}/negated"
    yield Affine(**context.common(second, output=negated), scale=np.array(-1.0), offset=np.array(0.0))
    yield Add(**context.common(first, negated))


def _average(context: Context) -> Iterator[Node]:
    total, count = f"{context.run.value}/total", len(context.run.inputs)
    *nodes, last = _chained(context, Add)
    yield from nodes
    yield dataclasses.replace(last, output=total)
    yield Affine(**context.common(total), scale=np.array(1.0 / count), offset=np.array(0.0))


def _concatenate(context: Context) -> Iterator[Node]:
    """Values side by side, and again where they are more than an operator takes."""
    first, *rest = context.run.inputs
    step = 0
    while rest:
        taken, rest = rest[: _STEPS - 1], rest[_STEPS - 1 :]
        output = f"{context.run.value}/joined{step}" if rest else ""
        yield Concat(**context.common(first, *taken, output=output))
        first, step = output, step + 1


def _repeated(context: Context) -> Iterator[Node]:
    (source,) = context.run.inputs
    yield Concat(**context.common(source, source))


def _pool(context: Context) -> Iterator[Node]:
    layer = context.layer
    average = "Average" in type(layer).__name__
    yield Pool(**context.common(), average=average, window=_pair(layer.pool_size), strides=_pair(layer.strides))


def _pair(value: Any) -> tuple[int, int]:
    """Height and width; of a sequence the height is 1."""
    height, width = (1, *_tuple(value))[-2:]
    return height, width


def _tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _global_pool(context: Context) -> Iterator[Node]:
    (source,) = context.run.inputs
    _, height, width, channels = context.shapes[source]
    pooled = f"{context.run.value}{POOLED}"
    average = "Average" in type(context.layer).__name__
    shape = (1, 1, 1, channels)
    window = (height, width)
    yield Pool(**context.common(source, output=pooled, shape=shape), average=average, window=window, strides=window)
    yield Reshape(**context.common(pooled))


def _padded(context: Context) -> Iterator[Node]:
    yield Pad(**context.common(), frame=_frame(context.layer.padding))


def _cropped(context: Context) -> Iterator[Node]:
    yield Crop(**context.common(), frame=_frame(context.layer.cropping))


def _frame(sizes: Any) -> tuple[int, int, int, int]:
    pairs = [_tuple(pair) for pair in sizes] if isinstance(sizes[0], list | tuple) else [(0, 0), _tuple(sizes)]
    (top, bottom), (left, right) = pairs
    return top, bottom, left, right


def _upsampled(context: Context) -> Iterator[Node]:
    if getattr(context.layer, "interpolation", "nearest") != "nearest":
        raise ValueError("not of equal pixels")
    yield from _repeated(context)


def _embedding(context: Context) -> Iterator[Node]:
    yield Gather(**context.common(), layer=context.run.name, kernel=numpy_of(context.layer.embeddings))


def _labels(context: Context) -> Iterator[Node]:
    yield ArgMax(**context.common(), classes=context.shapes[context.run.inputs[0]][-1])


def _quantize(context: Context) -> Iterator[Node]:
    yield Identity(**context.common(), format=context.layer.output_format)


def _by_constant(scale: Callable[[Any], Any], offset: Callable[[Any], Any], of_two: Rows) -> Rows:
    """An operation of keras.ops with a constant, or of two values."""

    def row(context: Context) -> Iterator[Node]:
        args, _ = context.run.arguments
        constants = [np.asarray(arg, np.float64) for arg in args if not keras.ops.is_tensor(arg)]
        if len(context.run.inputs) == 2:
            yield from of_two(context)
            return
        (constant,) = constants
        if constant.size not in (1, context.shape[-1]):
            raise ValueError("a constant for each element")
        vector = constant.reshape(-1) if constant.size > 1 else constant.reshape(())
        yield Affine(**context.common(), scale=np.asarray(scale(vector)), offset=np.asarray(offset(vector)))

    return row


def _clamped(limits: Limits) -> Rows:
    def row(context: Context) -> Iterator[Node]:
        yield Identity(**context.common(), clamp=limits)

    return row


_ONE, _ZERO = (lambda c: np.ones_like(c)), (lambda c: np.zeros_like(c))

ROWS: dict[type, Rows] = (
    dict.fromkeys((L.Conv1D, L.Conv2D), _convolution)
    | dict.fromkeys((L.DepthwiseConv1D, L.DepthwiseConv2D), _depthwise)
    | dict.fromkeys((L.Conv1DTranspose, L.Conv2DTranspose), _transposed)
    | dict.fromkeys((L.SeparableConv1D, L.SeparableConv2D), _separable)
    | dict.fromkeys((L.Dense, L.EinsumDense), _dense)
    | {L.BatchNormalization: _batch_norm, L.Rescaling: _rescaling, L.Normalization: _normalization}
    | {L.Embedding: _embedding}
    | {L.ReLU: _relu, L.Activation: _activation, L.Softmax: _softmax}
    | dict.fromkeys((L.LeakyReLU, L.ELU), _curve)
    | {L.Add: _add, L.Subtract: _subtract, L.Average: _average, L.Multiply: _multiply, L.Concatenate: _concatenate}
    | dict.fromkeys((L.MaxPooling1D, L.MaxPooling2D, L.AveragePooling1D, L.AveragePooling2D), _pool)
    | dict.fromkeys(
        (L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalMaxPooling1D, L.GlobalMaxPooling2D), _global_pool
    )
    | dict.fromkeys((L.ZeroPadding1D, L.ZeroPadding2D), _padded)
    | dict.fromkeys((L.Cropping1D, L.Cropping2D), _cropped)
    | dict.fromkeys((L.UpSampling1D, L.UpSampling2D), _upsampled)
    | {L.RepeatVector: _repeated, FixedPointQuantize: _quantize, Quantize: _quantize}
    | dict.fromkeys((L.Flatten, L.Reshape, L.Permute), _moved)
    | dict.fromkeys(
        (
            L.Dropout,
            L.SpatialDropout1D,
            L.SpatialDropout2D,
            L.GaussianDropout,
            L.GaussianNoise,
            L.ActivityRegularization,
            L.Identity,
            L.Masking,
        ),
        _nothing,
    )
)
OPERATIONS: dict[str, Rows] = {
    "Relu": _clamped(CLAMPS["relu"]),
    "Relu6": _clamped(CLAMPS["relu6"]),
    "HardTanh": _clamped(CLAMPS["hard_tanh"]),
    "Add": _by_constant(_ONE, lambda c: c, _add),
    "Subtract": _by_constant(_ONE, lambda c: -c, _subtract),
    "Multiply": _by_constant(lambda c: c, _ZERO, _multiply),
    "TrueDivide": _by_constant(lambda c: 1 / c, _ZERO, _barrier),
    "Divide": _by_constant(lambda c: 1 / c, _ZERO, _barrier),
    "Concatenate": _concatenate,
    **dict.fromkeys(("Argmax", "Argmin"), _labels),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims", "Transpose", "GetItem", "Flip", "Roll"), _moved),
}
