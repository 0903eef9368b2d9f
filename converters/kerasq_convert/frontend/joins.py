"""What joins branches or moves values about: products, concatenations, repetitions, permutations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.curves import combined
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import Curve, Multiply, Reshape, Shape


def multiply(importer: Importer, operation: Any, a: Any, b: Any, value: str | None = None) -> None:
    """A product of two activations, of one shape or broadcast to one; a value for each channel need not be.

    Args:
        importer, operation, a, b: The operation, and the two that it reads.
        value: What is read in the place of b, of its shape; None for b itself.
    """
    read = {a.name: importer.values[a.name], b.name: value or importer.values[b.name]}
    for x, factor in ((a, b), (b, a)):
        shape, other = shape_of(x), shape_of(factor)
        if shape == other or (len(other) in (2, len(shape)) and math.prod(other) == other[-1] == shape[-1]):
            importer.add(Multiply(**importer.common(operation) | {"inputs": (read[x.name], read[factor.name])}))
            return
        if len(shape) == 4 and other == (1, shape[1], 1, 1):  # channels first
            gate, layers = f"{operation.outputs[0].name}/gate", (importer.layer(operation),)
            of_channels = (1, 1, 1, shape[1])
            importer.nodes.append(Reshape(output=gate, inputs=(read[factor.name],), shape=of_channels, layers=layers))
            importer.add_with_channels_last(Multiply, operation, x, None, beside=(gate,))
            return
        if len(shape) == len(other) and math.prod(other) == 1 and shape == shape_of(operation.outputs[0]):
            per_channel = (*other[:-1], shape[-1])
            values = (read[x.name], widened(importer, operation, factor, per_channel, read[factor.name]))
            importer.add(Multiply(**importer.common(operation) | {"inputs": values}))
            return
    importer.add(Multiply(**importer.common(operation) | {"inputs": both_widened(importer, operation, a, b, value)}))


def quotient(importer: Importer, operation: Any, a: Any, b: Any) -> None:
    """a / b of two activations, of which b has one value for several of a, such as their maximum: times its reciprocal."""
    reciprocal = f"{operation.outputs[0].name}/reciprocal"
    over = combined(operation.type, ("x", "y"), (np.ones(()), None))
    fields = importer.common(operation, b) | {"output": reciprocal, "shape": shape_of(b)}
    importer.nodes.append(Curve(**fields, function=over))
    multiply(importer, operation, a, b, reciprocal)


def both_widened(importer: Importer, operation: Any, a: Any, b: Any, value: str | None = None) -> tuple[str, str]:
    """Two activations in the shape of the result: values that are copied along axes of length 1 where they need be.

    Args:
        importer, operation, a, b: The operation, and the two that it reads.
        value: What is read in the place of b, of its shape; None for b itself.

    Raises:
        UnsupportedError: One has fewer axes than the other: what would be its batch?
    """
    shape = shape_of(operation.outputs[0])
    if not len(shape_of(a)) == len(shape_of(b)) == len(shape):
        kind, shapes = operation.type, f"{shape_of(a)} and {shape_of(b)}"
        raise UnsupportedError(f"{kind} of activations of shapes {shapes} is not supported: give them the same number of axes")
    return widened(importer, operation, a, shape), widened(importer, operation, b, shape, value)


def widened(importer: Importer, operation: Any, x: Any, shape: Shape, value: str | None = None) -> str:
    """A tensor, or a value of its shape, that is copied along axes of length 1 to a shape."""
    name = f"{operation.outputs[0].name}/of {x.name}"
    chain = Chain(name, (importer.layer(operation),), value or importer.values[x.name], shape_of(x))
    chain.widen(shape)
    return chain.attach(importer)


def concat(importer: Importer, operation: Any) -> None:
    """ConcatV2 along any axis."""
    *parts, axis_tensor = operation.inputs
    axis = importer.constant(axis_tensor)
    if axis is None or any(importer.constant(part) is not None for part in parts):
        raise UnsupportedError("concatenation with a constant is not supported")
    shape = shape_of(operation.outputs[0])
    at = int(axis) % len(shape)
    if at == 0:
        raise UnsupportedError("concatenation along the batch is not supported")
    values = [importer.values[part.name] for part in parts]
    _joined(importer, operation, values, [shape_of(part) for part in parts], at)


def pack(importer: Importer, operation: Any) -> None:
    """Pack (keras.ops.stack): values side by side along an axis of its own."""
    parts, shape = list(operation.inputs), shape_of(operation.outputs[0])
    if any(importer.constant(part) is not None for part in parts):
        raise UnsupportedError("a stack with a constant in it is not supported")
    at = int(operation.get_attr("axis")) % len(shape)
    view, layers = (*shape[:at], 1, *shape[at + 1 :]), (importer.layer(operation),)
    values = [f"{operation.outputs[0].name}/part{number}" for number in range(len(parts))]
    for value, part in zip(values, parts, strict=True):
        importer.nodes.append(Reshape(output=value, inputs=(importer.values[part.name],), shape=view, layers=layers))
    _joined(importer, operation, values, [view] * len(parts), at)


def tile(importer: Importer, operation: Any) -> None:
    """Tile (UpSampling, RepeatVector): an activation beside itself, axis by axis."""
    x = operation.inputs[0]
    times = importer.constant(operation.inputs[1])
    if times is None or int(np.reshape(times, -1)[0]) != 1:
        raise UnsupportedError("a repetition of the batch is not supported")
    chain = Chain.of(importer, operation, x)
    for axis, count in enumerate(np.reshape(times, -1).tolist()):
        chain.repeat(axis, count, whole=True)
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))


def broadcast(importer: Importer, operation: Any) -> None:
    """BroadcastTo: copies along axes of length 1."""
    shape = shape_of(operation.outputs[0])
    chain = Chain.of(importer, operation, operation.inputs[0])
    chain.view((1,) * (len(shape) - len(chain.shape)) + chain.shape)
    chain.widen(shape)
    chain.finish(importer, operation.outputs[0].name, shape)


def _joined(importer: Importer, operation: Any, values: list[str], shapes: list[Shape], axis: int) -> None:
    """Values side by side along an axis: what follows it is the last axis of a (1, outer, inner) view."""
    shape = shape_of(operation.outputs[0])
    is_last = axis == len(shape) - 1 and len(shape) <= 4
    widths = [math.prod(part[axis:]) for part in shapes]
    chain = Chain(operation.outputs[0].name, (importer.layer(operation),), values[0], shapes[0])
    viewed: dict[str, str] = {}
    for value, part, width in zip(values, shapes, widths, strict=True):
        if value not in viewed:
            chain.value, chain.shape = value, part
            if not is_last:
                chain.view((1, math.prod(shape[:axis]), width))
            viewed[value] = chain.value
    chain.join([viewed[value] for value in values], widths)
    chain.finish(importer, operation.outputs[0].name, shape)


def transpose(importer: Importer, operation: Any) -> None:
    """Any permutation of the axes after the batch."""
    order = importer.constant(operation.inputs[1])
    if order is None:
        raise UnsupportedError("a transposition that depends on the input is not supported")
    chain = Chain.of(importer, operation, operation.inputs[0])
    chain.permute([int(axis) for axis in np.reshape(order, -1)])
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))


def depth_to_space(importer: Importer, operation: Any) -> None:
    """DepthToSpace and SpaceToDepth: rows of a block and columns change places."""
    if operation.get_attr("data_format") != b"NHWC":
        raise UnsupportedError("data_format channels_first is not supported: build the network with channels_last")
    chain = Chain.of(importer, operation, operation.inputs[0])
    block, (_, height, width, channels) = operation.get_attr("block_size"), chain.shape
    if operation.type == "DepthToSpace":
        chain.view((1, height, width, block, channels // block))
    else:
        chain.view((1, height // block, block, width // block, block * channels))
    chain.permute((0, 1, 3, 2, 4))
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))
