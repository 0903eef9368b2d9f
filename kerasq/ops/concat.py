"""CONCAT: two to five tensors side by side along the last axis, each requantized into the output's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.spec import OperatorSpec, Shape, fixed_inputs
from kerasq.qformat import QFormat


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """The first input's shape, with as many channels as all inputs together."""
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def _tensors(model: Model, operator: Operator) -> Iterator[Tensor]:
    """All inputs, in order."""
    return (tensor for tensor in model.operands(operator) if tensor is not None)


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Shapes that differ in the last axis only."""
    shapes = [tensor.shape for tensor in _tensors(model, operator)]
    if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
        yield f"the inputs' shapes may differ in the last axis only. Received: shapes {', '.join(map(str, shapes))}"


def bounds(model: Model, operator: Operator) -> Bounds:
    """The largest max|x| with its rounding half."""
    output = model.output(operator).format
    formats = [tensor.format for tensor in _tensors(model, operator)]
    return Bounds(max(source.largest_magnitude + rounding_half(source.frac_bits or 0, output) for source in formats))


def prepare(model: Model, operator: Operator) -> Callable[..., np.ndarray]:
    """A callable from as many stored arrays as there are inputs to the stored output."""
    output, proven = model.output(operator).format, bounds(model, operator)
    integer = fixed_inputs(model, operator)
    formats = [tensor.format for tensor in _tensors(model, operator)]

    def convert(source: QFormat, stored: np.ndarray, to: np.ndarray) -> None:
        if not integer:
            to[...] = float_path.store(float_path.values(source, stored), output, operator)
            return
        rounding = requantization(operator, output, source.frac_bits or 0, proven)
        part = np.empty(stored.shape, output.dtype)
        rounding.finish(np.multiply(stored, rounding.gain, dtype=rounding.dtype), part)
        to[...] = part

    def run(*arrays: np.ndarray) -> np.ndarray:
        y = np.empty((*arrays[0].shape[:-1], sum(stored.shape[-1] for stored in arrays)), output.dtype)
        first = 0
        for source, stored in zip(formats, arrays, strict=True):
            convert(source, stored, y[..., first : first + stored.shape[-1]])
            first += stored.shape[-1]
        return y

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.CONCAT,
    operands=(
        Operand("first input"),
        Operand("second input"),
        *(Operand(f"{number} input", trailing=True) for number in ("third", "fourth", "fifth")),
    ),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    since=2,
)
