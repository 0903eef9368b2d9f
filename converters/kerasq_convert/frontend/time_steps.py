"""Steps that do the same: TimeDistributed, and a stack of what one layer makes of x[:, 0], x[:, 1], ...

Keras exports TimeDistributed as a copy of its layer for each time step, which reads a slice, and a Pack of the results. These
copies are found by going from the inputs of a Pack upwards, in all of them at once; the operations must be the same everywhere
until slices 0, 1, ... of one tensor are reached. The first copy is then read, and applied to all steps at once
(kerasq_convert.frontend.every_step).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kerasq_convert.frontend.importing import shape_of
from kerasq_convert.frontend.selections import sliced_places

Constant = Callable[[Any], np.ndarray | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """What a Pack puts together.

    Attributes:
        pack: The operation.
        sources: Name of each slice that the first step reads, with that slice and the tensor that all steps read slices of.
        first: Operations of the first step, slices included.
        others: Operations of the other steps.
    """

    pack: Any
    sources: dict[str, tuple[Any, Any]]
    first: set[Any]
    others: set[Any]

    @property
    def count(self) -> int:
        return len(self.pack.inputs)


def find_steps(operations: Iterable[Any], constant: Constant) -> list[Steps]:
    """All Packs of equal steps in a graph, those inside of another one's first step before it."""
    repeated = []
    for operation in operations:
        if operation.type == "Pack" and len(operation.inputs) > 1 and constant(operation.outputs[0]) is None:
            steps = _steps(operation, constant)
            if steps is not None:
                repeated.append(steps)
    return repeated


def _steps(pack: Any, constant: Constant) -> Steps | None:
    axis = pack.get_attr("axis")
    shape = pack.outputs[0].shape
    if not shape.is_fully_defined() or math.prod(shape[: axis % len(shape)]) != 1:
        return None
    steps = Steps(pack, {}, set(), set())
    copies: dict[str, list[str]] = {}
    waiting = [list(pack.inputs)]
    while waiting:
        tensors = waiting.pop()
        names = [tensor.name for tensor in tensors]
        if tensors[0].name in copies:
            if copies[tensors[0].name] != names:
                return None
            continue
        values = [constant(tensor) for tensor in tensors]
        if values[0] is not None:
            if not all(value is values[0] or (value is not None and np.array_equal(value, values[0])) for value in values):
                return None
            continue
        copies[tensors[0].name] = names
        operations = [tensor.op for tensor in tensors]
        source = _source(tensors, constant)
        if source is not None:
            steps.sources[tensors[0].name] = tensors[0], source
        elif _are_alike(tensors):
            waiting += [list(inputs) for inputs in zip(*(operation.inputs for operation in operations), strict=True)]
        else:
            return None
        steps.first.add(operations[0])
        steps.others.update(operations[1:])
    steps.others.difference_update(steps.first)  # one operation may make the slices of all
    return steps if steps.sources and _is_closed(steps, constant) else None


def _are_alike(tensors: list[Any]) -> bool:
    """Whether tensors are made by operations of their own, all of the same type and attributes."""
    first, operations = tensors[0].op, [tensor.op for tensor in tensors]
    if len(set(operations)) < len(operations) or first.type == "Placeholder" or not first.inputs or first.control_inputs:
        return False
    return all(
        operation.type == first.type
        and len(operation.inputs) == len(first.inputs)
        and tensor.value_index == tensors[0].value_index
        and operation.node_def.attr == first.node_def.attr
        for operation, tensor in zip(operations, tensors, strict=True)
    )


def _source(tensors: list[Any], constant: Constant) -> Any | None:
    """The tensor of which these are all slices, 0, 1, ..., along an axis that none of any length comes before; else None."""
    sources = {tensor.op.inputs[0].name if tensor.op.inputs else None for tensor in tensors}
    if len(sources) > 1 or any(tensor.op.type not in ("StridedSlice", "Unpack") for tensor in tensors):
        return None
    source = tensors[0].op.inputs[0]
    if constant(source) is not None or not source.shape.is_fully_defined():
        return None
    shape = shape_of(source)
    axis = next((axis for axis, size in enumerate(shape) if size > 1), 0)
    if shape[axis] != len(tensors):
        return None
    for number, tensor in enumerate(tensors):
        if _taken(tensor, axis, constant) != number:
            return None
    return source


def _taken(tensor: Any, axis: int, constant: Constant) -> int | None:
    """The place along an axis that a slice takes, if it takes a single one there and everything of other axes."""
    operation = tensor.op
    if operation.type == "Unpack":
        return tensor.value_index if operation.get_attr("axis") % len(operation.inputs[0].shape) == axis else None
    places, shape = sliced_places(operation, constant), shape_of(operation.inputs[0])
    if places is None or len(places.get(axis, ())) != 1:
        return None
    whole = all(np.array_equal(place, np.arange(shape[at])) for at, place in places.items() if at != axis)
    return int(places[axis][0]) if whole else None


def _is_closed(steps: Steps, constant: Constant) -> bool:
    """Whether nothing but the Pack and the steps themselves reads what is computed within them (but for its shape)."""
    inside = steps.first | steps.others | {steps.pack}
    results = (result for operation in inside - {steps.pack} for result in operation.outputs)
    readers = {reader for result in results for reader in result.consumers()} - inside
    return all(constant(result) is not None for reader in readers for result in reader.outputs)
