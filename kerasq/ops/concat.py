"""CONCAT: two to five tensors side by side along the last axis, each requantized into the output's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import largest_magnitude, requantization, rounding_half
from kerasq.ops.slots import Slot
from kerasq.ops.spec import OperatorSpec, Shape, fixed_inputs
from kerasq.qformat import QFormat

MAX_INPUTS = 5


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """The first input's shape, with as many channels as all inputs together."""
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Shapes that differ in the last axis only."""
    shapes = [model.tensors[index].shape for index in operator.inputs]
    if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
        yield f"the inputs' shapes may differ in the last axis only. Received: shapes {', '.join(map(str, shapes))}"


def bounds(model: Model, operator: Operator) -> Bounds:
    """The largest max|x| with its rounding half."""
    output = model.output(operator).format
    formats = [model.tensors[index].format for index in operator.inputs]
    return Bounds(max(largest_magnitude(source) + rounding_half(source.frac_bits or 0, output) for source in formats))


def prepare(model: Model, operator: Operator) -> Callable[..., np.ndarray]:
    """A callable from as many stored arrays as there are inputs to the stored output."""
    output, proven = model.output(operator).format, bounds(model, operator)
    integer = fixed_inputs(model, operator)
    formats = [model.tensors[index].format for index in operator.inputs]

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
    slots=(
        Slot("first input"),
        Slot("second input"),
        *(Slot(f"{number} input", trailing=True) for number in ("third", "fourth", "fifth")),
    ),
    output_shape=output_shape,
    rules=rules,
    bounds=bounds,
    prepare=prepare,
)
