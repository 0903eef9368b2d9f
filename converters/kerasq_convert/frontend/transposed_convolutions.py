"""Transposed convolutions: ordinary ones that compute the pixels of a block as channels, and a transposition."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, image_shape, shape_of
from kerasq_convert.graph import Convolution, Crop, Node, Pad, Reshape, Scaled, Shape, Transpose


@dataclasses.dataclass(frozen=True)
class _Phases:
    """One axis of the ordinary convolution.

    Attributes:
        count: Its outputs.
        padding: Zeros before and after its input.
        excess: Zeros after its input beyond those: what an output that no input reaches reads.
        dilation: Distance of its taps.
        taps: For each of the phases, the tap of the transposed convolution at each place; None where there is none.
    """

    count: int
    padding: tuple[int, int]
    excess: int
    dilation: int
    taps: list[list[int | None]]


def transposed_convolution(importer: Importer, operation: Any) -> None:
    """Conv2DBackpropInput (Conv2DTranspose) of strides s as an ordinary convolution that computes s[0] s[1] pixels at once.

    Output row y = Q s + r gets kernel row k from input row i where i s + k d = y + p, d the dilation and p the rows that SAME
    cuts off at the top. With c = (r + p) div s, the rows of the dilated kernel are (r + p) mod s + j s for j = 0, 1, ..., and
    i = Q + c - j: for each r a convolution over the input with steps of 1. Its results for all r are channels, which TRANSPOSE
    lays out as rows and columns (along a row they lie right as they are). Rows that output_padding adds may get nothing from
    any input: their windows lie in zeros, and the bias is what is left.
    """
    _, kernel_tensor, x = operation.inputs
    kernel = importer.constant(kernel_tensor)
    if kernel is None:
        raise UnsupportedError("a transposed convolution with a kernel that is computed from the input is not supported")
    if operation.get_attr("data_format") != b"NHWC":
        raise UnsupportedError("data_format channels_first is not supported: build the network with channels_last")
    strides = tuple(int(s) for s in operation.get_attr("strides")[1:3])
    dilations = tuple(int(d) for d in operation.get_attr("dilations")[1:3])
    read, written = image_shape(shape_of(x)), image_shape(shape_of(operation.outputs[0]))
    same = operation.get_attr("padding") == b"SAME"
    rows, columns = (
        _phases(read[1 + a], written[1 + a], int(kernel.shape[a]), strides[a], dilations[a], same=same) for a in (0, 1)
    )
    common, layer = importer.common(operation, x), importer.layer(operation)
    output, layers = common["output"], common["layers"]
    outputs = kernel.shape[2]
    together = strides[1] * outputs
    value = _reshaped(importer, f"{output}/in", common["inputs"][0], shape_of(x), read, layers)
    convolution = Convolution(
        output=f"{output}/phases",
        inputs=(_with_excess(importer, f"{output}/padded", value, read, (rows.excess, columns.excess), layers),),
        shape=(1, rows.count, columns.count, strides[0] * together),
        layers=layers,
        layer=layer,
        kernel=_kernel_of_phases(kernel, rows.taps, columns.taps),
        dilations=(rows.dilation, columns.dilation),
        padding=(*rows.padding, *columns.padding),
    )
    whole = (1, rows.count * strides[0], columns.count * strides[1], outputs)
    place: dict[str, Any] = {"output": f"{output}/pixels", "inputs": (convolution.output,), "shape": whole, "layers": layers}
    moved: Node = Reshape(**place)
    if strides[0] > 1:
        moved = Transpose(**place, sizes=(columns.count, strides[0]), together=together)
    importer.nodes += [convolution, moved]
    importer.scaled |= {node.output: Scaled(output) for node in (convolution, moved)}  # and what is cut off, which nothing reads
    value = moved.output
    if whole != written:
        cut = (0, whole[1] - written[1], 0, whole[2] - written[2])
        importer.nodes.append(Crop(output=f"{output}/cut", inputs=(value,), shape=written, layers=layers, frame=cut))
        value = f"{output}/cut"
    importer.add(Reshape(output=output, inputs=(value,), shape=common["shape"], layers=layers))


def _kernel_of_phases(kernel: np.ndarray, rows: list[list[int | None]], columns: list[list[int | None]]) -> np.ndarray:
    """The ordinary kernel, its outputs in the order row phase, column phase, output channel."""
    outputs, inputs = kernel.shape[2:]
    phases = np.zeros((len(rows), len(columns), outputs, len(rows[0]), len(columns[0]), inputs), np.float32)
    for r, c in np.ndindex(len(rows), len(columns)):
        for i, row in enumerate(rows[r]):
            for j, column in enumerate(columns[c]):
                if row is not None and column is not None:
                    phases[r, c, :, i, j] = kernel[row, column]
    return phases.reshape(-1, *phases.shape[3:])


def _reshaped(importer: Importer, name: str, value: str, shape: Shape, wanted: Shape, layers: tuple[str, ...]) -> str:
    if shape == wanted:
        return value
    importer.nodes.append(Reshape(output=name, inputs=(value,), shape=wanted, layers=layers))
    return name


def _with_excess(
    importer: Importer, name: str, value: str, shape: Shape, excess: tuple[int, int], layers: tuple[str, ...]
) -> str:
    """A value with so many rows and columns of zeros below and at the right."""
    if not any(excess):
        return value
    padded = (1, shape[1] + excess[0], shape[2] + excess[1], shape[3])
    frame = (0, excess[0], 0, excess[1])
    importer.nodes.append(Pad(output=name, inputs=(value,), shape=padded, layers=layers, frame=frame))
    return name


def _phases(size: int, written: int, taps: int, stride: int, dilation: int, *, same: bool) -> _Phases:
    reach = (taps - 1) * dilation + 1
    cut = max((size - 1) * stride + reach - written, 0) // 2 if same else 0
    count = -(-written // stride)
    shifts = [(r + cut) // stride for r in range(stride)]
    steps = -(-reach // stride)
    first, last = min(shifts) - (steps - 1), max(shifts)
    # Without strides the taps lie as far apart as in the transposed convolution; with them, phases differ in where they lie.
    step = dilation if stride == 1 else 1
    table: list[list[int | None]] = []
    for r in range(stride):
        row: list[int | None] = []
        for distance in range(first, last + 1, step):
            tap, between = divmod((r + cut) % stride + (shifts[r] - distance) * stride, dilation)
            row.append(tap if distance <= shifts[r] and not between and tap < taps else None)
        table.append(row)
    while len(table[0]) > 1 and first < 0 and all(row[0] is None for row in table):  # places that no phase uses
        first += step
        for row in table:
            row.pop(0)
    after = max(0, count - 1 + last - (size - 1))
    held = min(after, (len(table[0]) - 1) * step)  # a window may not lie in the padding altogether
    return _Phases(count, (max(0, -first), held), after - held, step, table)
