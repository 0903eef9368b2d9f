"""What joins branches or moves values about: products, concatenations, repetitions, permutations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format import OperatorKind
from kerasq.format.schema import MAX_SIZE
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import Concat, Multiply, Node, Reshape, Shape, Transpose

MAX_JOINED = len(ops.TABLE[OperatorKind.CONCAT].operands)
MAX_AXIS = MAX_SIZE  # of those that TRANSPOSE swaps


def multiply(importer: Importer, operation: Any, a: Any, b: Any) -> None:
    """A product of two activations of one shape, or of one and a value for each of its channels."""
    for x, factor in ((a, b), (b, a)):
        shape, other = shape_of(x), shape_of(factor)
        if shape == other or (len(other) in (2, len(shape)) and math.prod(other) == other[-1] == shape[-1]):
            importer.add(Multiply(**importer.common(operation, x, factor)))
            return
        if len(shape) == 4 and other == (1, shape[1], 1, 1):  # channels first
            gate, layers = f"{operation.outputs[0].name}/gate", (importer.layer(operation),)
            per_channel = (1, 1, 1, shape[1])
            importer.nodes.append(Reshape(output=gate, inputs=(importer.values[factor.name],), shape=per_channel, layers=layers))
            importer.add_with_channels_last(Multiply, operation, x, None, beside=(gate,))
            return
    raise UnsupportedError(
        f"Mul of activations of shapes {shape_of(a)} and {shape_of(b)} is not supported: of one shape, or one value per channel"
    )


def concat(importer: Importer, operation: Any) -> None:
    """ConcatV2 along any axis: what follows the axis is the last axis of a (1, outer, inner) view."""
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
    axes = [axis for axis, count in enumerate(np.reshape(times, -1).tolist()) if count > 1]
    if len(axes) != 1:
        raise UnsupportedError("a repetition along several axes at once is not supported: repeat one after the other")
    count = int(np.reshape(times, -1)[axes[0]])
    _joined(importer, operation, [importer.values[x.name]] * count, [shape_of(x)] * count, axes[0])


def _joined(importer: Importer, operation: Any, values: list[str], shapes: list[Shape], axis: int) -> None:
    """Concat nodes of at most MAX_JOINED inputs each."""
    common = importer.common(operation)
    output, layers, shape = common["output"], common["layers"], common["shape"]
    outer = math.prod(shape[:axis])
    flat: dict[str, str] = {}
    sizes = [math.prod(part[axis:]) for part in shapes]
    is_last = axis == len(shape) - 1 and len(shape) <= 4
    for number, (value, size) in enumerate(zip(values, sizes, strict=True)):
        if not is_last and value not in flat:
            flat[value] = f"{output}/in{number}"
            importer.nodes.append(Reshape(output=flat[value], inputs=(value,), shape=(1, outer, size), layers=layers))
    rest = [(flat.get(value, value), size) for value, size in zip(values, sizes, strict=True)]
    step = 0
    while len(rest) > 1:
        taken, rest = rest[:MAX_JOINED], rest[MAX_JOINED:]
        size = sum(size for _, size in taken)
        last = not rest
        name = output if last and is_last else f"{output}/joined{step}"
        joined_shape = (*shape[:-1], size) if is_last else (1, outer, size)
        importer.nodes.append(Concat(output=name, inputs=tuple(value for value, _ in taken), shape=joined_shape, layers=layers))
        rest = [(name, size), *rest]
        step += 1
    (value, _), *_ = rest
    if value == output:
        importer.values[output] = output
    else:
        importer.add(Reshape(output=output, inputs=(value,), shape=shape, layers=layers))


def transpose(importer: Importer, operation: Any) -> None:
    """Any permutation of the axes after the batch: groups of neighbouring axes change places, one after the other."""
    x = operation.inputs[0]
    order, shape = importer.constant(operation.inputs[1]), shape_of(x)
    if order is None:
        raise UnsupportedError("a transposition that depends on the input is not supported")
    wanted = [int(axis) for axis in np.reshape(order, -1)]
    moved = [axis for axis in wanted if shape[axis] != 1]
    if moved == sorted(moved):
        importer.add(Reshape(**importer.common(operation, x)))
        return
    moved, shape = _in_blocks(moved, shape)
    common = importer.common(operation, x)
    value, current = common["inputs"][0], sorted(moved)
    steps: list[Node] = []
    for place, axis in enumerate(moved):
        at = current.index(axis)
        if at == place:
            continue
        before = math.prod(shape[a] for a in current[place:at])
        together = math.prod(shape[a] for a in current[at + 1 :])
        if max(before, shape[axis], together) > MAX_AXIS:
            raise UnsupportedError(f"a permutation of axes longer than {MAX_AXIS:,} is not supported")
        current.insert(place, current.pop(at))
        is_last = current == moved
        outer = math.prod(shape[a] for a in current[:place])
        name = common["output"] if is_last else f"{common['output']}/moved{len(steps)}"
        written = common["shape"] if is_last else (1, outer * shape[axis] * before * together)
        sizes = (before, shape[axis])
        steps.append(
            Transpose(output=name, inputs=(value,), shape=written, layers=common["layers"], sizes=sizes, together=together)
        )
        value = name
    importer.nodes.extend(steps[:-1])
    importer.add(steps[-1])


def _in_blocks(moved: list[int], shape: Shape) -> tuple[list[int], Shape]:
    """A permutation of axes as one of blocks of axes that stay side by side, as long as TRANSPOSE holds their sizes."""
    following = dict(zip(sorted(moved), sorted(moved)[1:], strict=False))
    blocks: list[list[int]] = []
    for axis in moved:
        if blocks and following.get(blocks[-1][-1]) == axis and math.prod(shape[a] for a in (*blocks[-1], axis)) <= MAX_AXIS:
            blocks[-1].append(axis)
        else:
            blocks.append([axis])
    in_place = sorted(blocks)
    return [in_place.index(block) for block in blocks], tuple(math.prod(shape[axis] for axis in block) for block in in_place)
