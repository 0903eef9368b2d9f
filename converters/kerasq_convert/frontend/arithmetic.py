"""Element by element: sums and products with constants, BatchNorm, sums of activations, and limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.curves import combined, pointwise
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.joins import both_widened, multiply, quotient, widened
from kerasq_convert.frontend.windows import channel_last_pair
from kerasq_convert.graph import Add, Affine, Extreme, Identity, Scaled, Shape


def bias_add(importer: Importer, operation: Any) -> None:
    bias = importer.constant(operation.inputs[1])
    if bias is not None and operation.get_attr("data_format") == b"NCHW":
        bias = bias.reshape(-1, *(1,) * (len(shape_of(operation.inputs[0])) - 2))
    _affine(importer, operation, operation.inputs[0], np.array(1.0), bias)


def _affine(importer: Importer, operation: Any, x: Any, scale: Any, offset: Any) -> None:
    shape, read = shape_of(operation.outputs[0]), shape_of(x)
    constants = []
    for constant in (scale, offset):
        if constant is None:
            raise UnsupportedError(f"{operation.type} of two activations is not supported")
        constants.append(np.asarray(constant, np.float64))
    if all(constant.size in (1, constant.shape[-1] if constant.ndim else 1) for constant in constants):
        vectors = [constant.reshape(-1) if constant.size > 1 else constant.reshape(()) for constant in constants]
        common = importer.common(operation, x)
        if read != shape and len(read) == len(shape):
            common["inputs"] = (widened(importer, operation, x, shape),)
            read = shape
        if read == shape:
            importer.add(Affine(**common, scale=vectors[0], offset=vectors[1]))
            return
    if read != shape:
        raise UnsupportedError(f"{operation.type} that widens {read} to {shape} is not supported")
    if len(shape) in (3, 4) and all(_is_of_axis_1(constant, shape) for constant in constants):  # channels first
        vectors = [constant.reshape(-1) if constant.size > 1 else constant.reshape(()) for constant in constants]
        importer.add_with_channels_last(Affine, operation, x, None, scale=vectors[0], offset=vectors[1])
        return
    # A constant for each element, as of a Normalization over whole examples: every element is a channel.
    vectors = [np.broadcast_to(constant, shape).reshape(-1) for constant in constants]
    flat = (1, vectors[0].size)
    importer.add_reshaped(Affine, operation, x, flat, flat, scale=vectors[0], offset=vectors[1])


def _is_of_axis_1(constant: np.ndarray, shape: Shape) -> bool:
    """Whether a constant is a scalar, or has one value for each place of the axis after the batch."""
    along = (1,) * (len(shape) - constant.ndim) + constant.shape
    return constant.size == 1 or along == (1, shape[1], *(1,) * (len(shape) - 2))


def arithmetic(importer: Importer, operation: Any) -> None:
    """Add, Sub, Mul, RealDiv and DivNoNan: with a constant they are affine; of two activations, the sum is an Add."""
    a, b = operation.inputs
    u, v = importer.constant(a), importer.constant(b)
    kind = operation.type
    if u is None and v is None:
        if kind in ("RealDiv", "DivNoNan"):
            of_several = math.prod(shape_of(b)) < math.prod(shape_of(a))
            quotient(importer, operation, a, b) if of_several else pointwise(importer, operation)
        elif kind == "Mul":
            multiply(importer, operation, a, b)
        elif kind == "Sub":
            _difference(importer, operation, a, b)
        else:
            importer.add(Add(**importer.common(operation) | {"inputs": both_widened(importer, operation, a, b)}))
        return
    one, zero = np.array(1.0), np.array(0.0)
    x: Any
    scale: np.ndarray | None
    offset: np.ndarray | None
    if kind in ("Add", "AddV2"):
        x, scale, offset = (b, one, u) if v is None else (a, one, v)
    elif kind == "Sub":
        x, scale, offset = (b, -one, u) if v is None else (a, one, -np.asarray(v, np.float64))
    elif kind == "Mul":
        x, scale, offset = (b, u, zero) if v is None else (a, v, zero)
    elif v is not None and kind == "RealDiv":
        with np.errstate(divide="ignore"):
            x, scale, offset = a, 1 / np.asarray(v, np.float64), zero
    else:
        pointwise(importer, operation)
        return
    _affine(importer, operation, x, scale, offset)


def _difference(importer: Importer, operation: Any, a: Any, b: Any) -> None:
    """a - b is a + (-b), and the sign moves into what computes b."""
    common = importer.common(operation, b)
    negated = Affine(
        **common | {"output": f"{common['output']}/negated", "shape": shape_of(b)}, scale=np.array(-1.0), offset=np.array(0.0)
    )
    importer.nodes.append(negated)
    importer.scaled[negated.output] = Scaled(negated.inputs[0], negated.scale, negated.offset)
    importer.add(Add(**common | {"inputs": both_widened(importer, operation, a, b, negated.output)}))


def negate(importer: Importer, operation: Any) -> None:
    """Neg: a scale of -1."""
    _affine(importer, operation, operation.inputs[0], np.array(-1.0), np.array(0.0))


def batch_norm(importer: Importer, operation: Any) -> None:
    channel_last_pair(operation, None)
    x, *parameters = operation.inputs
    constants = [importer.constant(tensor) for tensor in parameters]
    if operation.get_attr("is_training") or any(constant is None for constant in constants):
        raise UnsupportedError("batch normalization by the batch's own statistics is not supported: export for inference")
    gamma, beta, mean, variance = (np.asarray(constant, np.float64) for constant in constants)
    scale = gamma / np.sqrt(variance + operation.get_attr("epsilon"))
    _affine(importer, operation, x, scale, beta - mean * scale)


def clamp(importer: Importer, operation: Any) -> None:
    """Relu, Relu6, Maximum, Minimum and ClipByValue."""
    x, *limits = operation.inputs
    low, high = -np.inf, np.inf
    if operation.type in ("Relu", "Relu6"):
        low, high = 0.0, 6.0 if operation.type == "Relu6" else np.inf
    else:
        if importer.constant(x) is not None:
            x, limits = limits[0], [x]
        values = [importer.constant(tensor) for tensor in limits]
        limit = values[0]
        if operation.type != "ClipByValue" and limit is None:
            _extreme(importer, operation)
            return
        if operation.type != "ClipByValue" and limit is not None and limit.size > 1:
            _limit_of_each(importer, operation, x, limit)
            return
        if any(value is None or np.size(value) != 1 for value in values):
            raise UnsupportedError(f"{operation.type} needs one constant limit for the whole tensor")
        scalars = [float(np.reshape(value, ())) for value in values if value is not None]
        if operation.type == "ClipByValue":
            low, high = scalars
        elif operation.type == "Maximum":
            low = scalars[0]
        else:
            high = scalars[0]
    importer.add(Identity(**importer.common(operation, x), clamp=(low, high)))


def _extreme(importer: Importer, operation: Any) -> None:
    """Maximum and Minimum of two activations."""
    common = importer.common(operation) | {"inputs": both_widened(importer, operation, *operation.inputs)}
    function = combined(operation.type, ("x", "y"), (None, None))
    importer.add(Extreme(**common, function=function, largest=operation.type == "Maximum"))


def _limit_of_each(importer: Importer, operation: Any, x: Any, limit: np.ndarray) -> None:
    """Maximum and Minimum with a constant c for each channel or element: relu(x - c) + c, and c - relu(c - x)."""
    sign = 1.0 if operation.type == "Maximum" else -1.0
    shape = shape_of(x)
    if shape_of(operation.outputs[0]) != shape:
        raise UnsupportedError(f"{operation.type} that widens {shape} to {shape_of(operation.outputs[0])} is not supported")
    chain = Chain.of(importer, operation, x)
    per_channel = np.size(limit) == limit.shape[-1] == shape[-1]
    c = np.reshape(limit, -1) if per_channel else np.broadcast_to(limit, shape).reshape(-1)
    if not per_channel:
        chain.view((1, c.size))
    before = chain.value
    chain.add(Affine, chain.shape, scale=np.array(sign), offset=-sign * c)
    importer.scaled[chain.value] = Scaled(before, np.array(sign), -sign * c)
    chain.add(Identity, chain.shape, clamp=(0.0, np.inf))
    chain.add(Affine, chain.shape, scale=np.array(sign), offset=np.asarray(c, np.float64))
    chain.finish(importer, operation.outputs[0].name, shape)
