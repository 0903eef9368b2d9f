"""CONV_2D: convolution with groups, from one group to depthwise.

A convolution is a product of matrices: patches of the input, a row for each output place, by the kernel, a column for each
output channel. BLAS does it exactly wherever the accumulator proof allows (kerasq.ops.requantization). A depthwise
convolution has no such matrices and is summed tap by tap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import weighted, zero
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.product import product
from kerasq.ops.spec import OperatorSpec, Shape
from kerasq.ops.windows import MAX_SIDE, Window, blocks


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """(1, rows, columns, output channels)."""
    x, kernel = shapes[:2]
    return (x[0], *Window.of(operator, (kernel[1], kernel[2])).output_size(x[1], x[2]), kernel[0])


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Ranks, groups, window, multiplier and bias."""
    operands = _operands(model, operator)
    x, kernel = operands.shapes
    if len(x) != 4 or len(kernel) != 4:
        yield f"input and kernel must have 4 axes. Received: shapes {x} and {kernel}"
        return
    channels, outputs, groups = x[3], kernel[0], operator.groups
    if groups < 1 or channels % groups or outputs % groups:
        yield f"groups must divide the {channels} input and {outputs} output channels. Received: groups={groups}"
    elif kernel[3] != channels // groups:
        yield (
            f"the kernel must have {channels // groups} input channels ({channels} in {groups} groups). Received: shape={kernel}"
        )
    yield from Window.of(operator, (kernel[1], kernel[2])).problems()
    yield from weighted.vector_problems(operands)
    yield from weighted.addend_problems(operands)
    yield from zero.problems(SPEC, model, operator)
    if operator.zero and not any(operator.padding):
        yield f"without padding zero must be 0: nothing has its value. Received: zero={operator.zero}"


def _operands(model: Model, operator: Operator) -> weighted.Operands:
    return weighted.Operands.of(SPEC, model, operator)


def bounds(model: Model, operator: Operator) -> Bounds:
    """As of every weighted operator."""
    return weighted.bounds(_operands(model, operator))


def macs(model: Model, operator: Operator) -> int:
    """Output elements times taps times input channels of a group."""
    return weighted.macs(_operands(model, operator))


def window(model: Model, operator: Operator) -> tuple[int, int]:
    """Height and width of the kernel."""
    _, height, width, _ = _operands(model, operator).kernel.shape
    return height, width


def prepare(model: Model, operator: Operator) -> Callable[..., np.ndarray]:
    """A callable from stored (batch, height, width, channels), and the stored addend if there is one, to the stored output."""
    stages, output = weighted.stages(_operands(model, operator), operator), model.output(operator).shape
    outputs, height, width, channels = stages.kernel.shape
    window, sum_dtype = Window.of(operator, (height, width)), stages.sum_dtype
    depthwise = operator.groups > 1 and channels == 1
    sums_of = (_tapwise if depthwise else _columnwise)(stages, operator.groups)
    # Temporary arrays: the patches (or a product of one tap) and the sums.
    place_elements = outputs * 2 if depthwise else height * width * channels * operator.groups + outputs
    row_bytes = output[2] * place_elements * sum_dtype.itemsize

    def run(x: np.ndarray, addend: np.ndarray | None = None) -> np.ndarray:
        # One cast of the input for all taps; patches are cast as they are copied.
        x = stages.inputs(x)
        patches = window.patches(x, sum_dtype if depthwise else x.dtype)
        y = np.empty((len(x), *output[1:]), stages.dtype)
        for block in blocks(len(x), output[1], row_bytes):
            added = None if addend is None else addend[block].reshape(-1, output[3])
            stages.finish(sums_of(patches[block]), y[block].reshape(-1, output[3]), added)
        return y

    return run


def _columnwise(stages: weighted.Stages, groups: int) -> Callable[[np.ndarray], np.ndarray]:
    """Sums (places, output channels) of a block of patches: one product of matrices per group."""
    outputs, height, width, channels = stages.kernel.shape
    matrix = stages.arranged(
        groups, lambda kernel: np.ascontiguousarray(kernel.reshape(groups, outputs // groups, -1).transpose(0, 2, 1))
    )

    def sums_of(patches: np.ndarray) -> np.ndarray:
        grouped = patches.reshape(*patches.shape[:5], groups, channels) if groups > 1 else patches[..., None, :]
        columns = np.ascontiguousarray(grouped.transpose(5, 0, 1, 2, 3, 4, 6), matrix.dtype)
        columns = columns.reshape(groups, -1, height * width * channels)
        sums = np.empty((columns.shape[1], groups, outputs // groups), matrix.dtype)
        product(columns, matrix, out=sums.transpose(1, 0, 2))
        return sums.reshape(-1, outputs)

    return sums_of


def _tapwise(stages: weighted.Stages, groups: int) -> Callable[[np.ndarray], np.ndarray]:
    """Sums (places, output channels) of a block of patches with one input channel per group, tap by tap."""
    outputs, height, width, _ = stages.kernel.shape
    taps = stages.arranged(
        ("taps", groups), lambda kernel: kernel.reshape(groups, outputs // groups, height, width).transpose(2, 3, 0, 1)
    )

    def sums_of(patches: np.ndarray) -> np.ndarray:
        sums = np.zeros((*patches.shape[:3], groups, outputs // groups), taps.dtype)
        terms = np.empty_like(sums)
        for row, column in np.ndindex(height, width):
            # A tap's weights repeated for a row of places let NumPy run along whole rows, not one place's channels.
            weights = np.repeat(taps[row, column][np.newaxis], patches.shape[2], axis=0)
            np.multiply(patches[:, :, :, row, column, :, np.newaxis], weights, out=terms)
            np.add(sums, terms, out=sums)
        return sums.reshape(-1, outputs)

    return sums_of


SPEC = OperatorSpec(
    kind=OperatorKind.CONV_2D,
    operands=(
        Operand("input", overlap=Overlap.WINDOW),
        dataclasses.replace(weighted.CONSTANTS[0], paired=True),
        *weighted.CONSTANTS[1:],
        Operand("addend", trailing=True, overlap=Overlap.ELEMENT_WISE, since=2),
    ),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=("strides", "dilations", "padding", "groups", "zero", "real_zero", "total_bits"),
    limits={"max_side": MAX_SIDE},
    macs=macs,
    float_tolerance=weighted.FLOAT_TOLERANCE,
    window=window,
)
