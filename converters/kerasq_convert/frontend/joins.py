"""What joins branches or moves values about: products, concatenations, repetitions, permutations, transposed convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.graph import Concat, Convolution, Crop, Multiply, Node, Reshape, Shape, Transpose

MAX_JOINED = 5  # inputs of one CONCAT


def multiply(importer: Importer, operation: Any, a: Any, b: Any) -> None:
    """A product of two activations of one shape, or of one and a value for each of its channels."""
    for x, factor in ((a, b), (b, a)):
        shape, other = shape_of(x), shape_of(factor)
        if shape == other or (len(other) in (2, len(shape)) and math.prod(other) == other[-1] == shape[-1]):
            importer.add(Multiply(**importer.common(operation, x, factor)))
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
    common = importer.common(operation, x)
    value, current = common["inputs"][0], sorted(moved)
    steps: list[Node] = []
    for place, axis in enumerate(moved):
        at = current.index(axis)
        if at == place:
            continue
        before = math.prod(shape[a] for a in current[place:at])
        together = math.prod(shape[a] for a in current[at + 1 :])
        if max(before, shape[axis], together) > 65535:
            raise UnsupportedError("a permutation of axes longer than 65,535 is not supported")
        current.insert(place, current.pop(at))
        outer = math.prod(shape[a] for a in current[:place])
        name = f"{common['output']}/moved{len(steps)}"
        sizes = (before, shape[axis])
        flat = (1, outer * shape[axis] * before * together)
        steps.append(Transpose(output=name, inputs=(value,), shape=flat, layers=common["layers"], sizes=sizes, together=together))
        value = name
    importer.nodes.extend(steps)
    importer.add(Reshape(**common | {"inputs": (value,)}))


def transposed_convolution(importer: Importer, operation: Any) -> None:
    """Conv2DBackpropInput (Conv2DTranspose) of strides s as an ordinary convolution that computes s[0] s[1] pixels at once.

    Output row y = Q s + r gets kernel row k from input row i where i s + k = y + p, p the rows that SAME cuts off at the top.
    With c = (r + p) div s, the kernel rows are (r + p) mod s + j s for j = 0, 1, ..., and i = Q + c - j: for each r a convolution
    over the input with steps of 1. Its results for all r are channels, which TRANSPOSE lays out as rows and columns (along a row
    they lie right as they are).
    """
    _, kernel_tensor, x = operation.inputs
    kernel = importer.constant(kernel_tensor)
    if kernel is None or operation.get_attr("data_format") != b"NHWC" or set(operation.get_attr("dilations")) != {1}:
        raise UnsupportedError("a transposed convolution with dilations or a computed kernel is not supported")
    strides = tuple(int(s) for s in operation.get_attr("strides")[1:3])
    read, written = image_shape(shape_of(x)), image_shape(shape_of(operation.outputs[0]))
    same = operation.get_attr("padding") == b"SAME"
    axes = [_phases(read[1 + a], written[1 + a], int(kernel.shape[a]), strides[a], same) for a in (0, 1)]
    outputs, inputs = kernel.shape[2:]
    (rows, row_padding, row_taps), (columns, column_padding, column_taps) = axes
    phases = np.zeros((*strides, outputs, len(row_taps[0]), len(column_taps[0]), inputs), np.float32)
    for r, c in np.ndindex(*strides):
        for i, row in enumerate(row_taps[r]):
            for j, column in enumerate(column_taps[c]):
                if row is not None and column is not None:
                    phases[r, c, :, i, j] = kernel[row, column]
    common, layer = importer.common(operation, x), importer.layer(operation)
    output, layers = common["output"], common["layers"]
    together = strides[1] * outputs
    convolution = Convolution(
        output=f"{output}/phases",
        inputs=(_reshaped(importer, f"{output}/in", common["inputs"][0], shape_of(x), read, layers),),
        shape=(1, rows, columns, strides[0] * together),
        layers=layers,
        layer=layer,
        kernel=phases.reshape(-1, *phases.shape[3:]),
        padding=(*row_padding, *column_padding),
    )
    whole = (1, rows * strides[0], columns * strides[1], outputs)
    place: dict[str, Any] = {"output": f"{output}/pixels", "inputs": (convolution.output,), "shape": whole, "layers": layers}
    moved: Node = Reshape(**place)
    if strides[0] > 1:
        moved = Transpose(**place, sizes=(columns, strides[0]), together=together)
    importer.nodes += [convolution, moved]
    value = moved.output
    if whole != written:
        cut = (0, whole[1] - written[1], 0, whole[2] - written[2])
        importer.nodes.append(Crop(output=f"{output}/cut", inputs=(value,), shape=written, layers=layers, frame=cut))
        value = f"{output}/cut"
    importer.add(Reshape(output=output, inputs=(value,), shape=common["shape"], layers=layers))


def _reshaped(importer: Importer, name: str, value: str, shape: Shape, wanted: Shape, layers: tuple[str, ...]) -> str:
    if shape == wanted:
        return value
    importer.nodes.append(Reshape(output=name, inputs=(value,), shape=wanted, layers=layers))
    return name


def _phases(size: int, written: int, taps: int, stride: int, same: bool) -> tuple[int, tuple[int, int], list[list[int | None]]]:
    """Along one axis: the convolution's outputs, its padding, and for each r the kernel's tap at each place, if there is one."""
    cut = max((size - 1) * stride + taps - written, 0) // 2 if same else 0
    count = -(-written // stride)
    shifts = [(r + cut) // stride for r in range(stride)]
    steps = -(-taps // stride)
    first, last = min(shifts) - (steps - 1), max(shifts)
    table: list[list[int | None]] = []
    for r in range(stride):
        row: list[int | None] = []
        for distance in range(first, last + 1):
            tap = (r + cut) % stride + (shifts[r] - distance) * stride
            row.append(tap if distance <= shifts[r] and tap < taps else None)
        table.append(row)
    while len(table[0]) > 1 and first < 0 and all(row[0] is None for row in table):  # places that no phase uses
        first += 1
        for row in table:
            row.pop(0)
    return count, (max(0, -first), max(0, count - 1 + last - (size - 1))), table
