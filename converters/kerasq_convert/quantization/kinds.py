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
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.graph import (
    Add,
    Affine,
    ArgMax,
    Concat,
    Crop,
    Curve,
    Function,
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
from kerasq_convert.quantization import weighted
from kerasq_convert.quantization.calls import CLAMPS, Run
from kerasq_convert.quantization.context import Context, Kernels, Rows, in_numpy, numpy_of, pair_of, tuple_of

L = keras.layers
POOLED = "/pooled"  # what a global pooling gives, before axes are dropped
_STEPS = 5  # inputs of one Concat


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
    """An operation of keras.ops on one value: a function of its elements where it is one, else a barrier."""
    args, kwargs = context.run.arguments
    if len(context.run.inputs) != 1 or len(context.run.results) != 1 or context.shapes[context.run.inputs[0]] != context.shape:
        yield from _barrier(context)
        return

    def function(values: np.ndarray) -> np.ndarray:
        replaced = [values.astype(np.float32) if keras.ops.is_tensor(arg) else arg for arg in args]
        return np.asarray(keras.ops.convert_to_numpy(context.layer(*replaced, **kwargs)))

    (shape,) = (tuple(arg.shape) for arg in args if keras.ops.is_tensor(arg))  # the graph's may have an axis more
    if _is_by_element(function, shape):
        yield Curve(**context.common(), function=function)
    else:
        yield from _barrier(context)


def _is_by_element(function: Function, shape: Shape) -> bool:
    """Whether every element of what a function gives follows from the one in its place: those of two arrays mixed tell."""
    rng = np.random.default_rng(0)
    (first, second), chosen = rng.normal(size=(2, *shape)).astype(np.float32), rng.random(shape) < 0.5
    mixed = np.where(chosen, function(first), function(second))
    return np.allclose(function(np.where(chosen, first, second)), mixed, rtol=1e-5, atol=1e-6, equal_nan=True)


def _moved(context: Context) -> Iterator[Node]:
    yield Reshape(**context.common())


def _nothing(context: Context) -> Iterator[Node]:
    yield from ()


def _activation(context: Context) -> Iterator[Node]:
    yield from weighted.activated(context, context.layer.activation, context.run.inputs[0])


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
    yield Pool(**context.common(), average=average, window=pair_of(layer.pool_size), strides=pair_of(layer.strides))


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
    pairs = [tuple_of(pair) for pair in sizes] if isinstance(sizes[0], list | tuple) else [(0, 0), tuple_of(sizes)]
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
    weighted.ROWS
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
