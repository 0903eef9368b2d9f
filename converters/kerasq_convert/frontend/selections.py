"""What takes values by their place along an axis: slices, splits, reversals, rotations, rows of constant numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.embedding import embedding, is_embedding
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.taking import Places, Taker


def strided_slice(importer: Importer, operation: Any) -> None:
    """StridedSlice: `x[a:b:c, i, ..., ::-1]`."""
    places = sliced_places(operation, importer.constant)
    if places is None:
        raise UnsupportedError("a slice whose place depends on the input is not supported")
    _take(importer, operation, operation.inputs[0], operation.outputs[0], places)


def sliced_places(operation: Any, constant: Callable[[Any], np.ndarray | None]) -> Places | None:
    """What a StridedSlice takes along each axis that it names; None where that depends on the input."""
    x, *limits = operation.inputs
    constants = [value for tensor in limits if (value := constant(tensor)) is not None]
    if len(constants) < len(limits):
        return None
    begins, ends, steps = (np.ravel(value).tolist() for value in constants)
    masks = {name: operation.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}

    def marked(name: str, entry: int) -> bool:
        return bool(masks[name] >> entry & 1)

    shape, axis = shape_of(x), 0
    places: dict[int, np.ndarray] = {}
    for entry, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if marked("ellipsis", entry):
            axis = len(shape) - sum(not marked("new_axis", later) for later in range(entry + 1, len(begins)))
        elif not marked("new_axis", entry):
            numbers = np.arange(shape[axis])
            if marked("shrink_axis", entry):
                places[axis] = numbers[[begin]]
            else:
                first, last = (None if marked(name, entry) else at for name, at in (("begin", begin), ("end", end)))
                places[axis] = numbers[slice(first, last, step)]
            axis += 1
    return places


def slice_(importer: Importer, operation: Any) -> None:
    """Slice: so many elements from a place on."""
    x, *limits = operation.inputs
    begin, size = (importer.constant(tensor) for tensor in limits)
    if begin is None or size is None:
        raise UnsupportedError("a slice whose place depends on the input is not supported")
    spans = zip(np.ravel(begin).tolist(), np.ravel(size).tolist(), shape_of(x), strict=True)
    places = {axis: np.arange(a, whole if n < 0 else a + n) for axis, (a, n, whole) in enumerate(spans)}
    _take(importer, operation, x, operation.outputs[0], places)


def gather(importer: Importer, operation: Any) -> None:
    """GatherV2: of an activation by constant numbers (keras.ops.take), or of constants by the input's (Embedding)."""
    if is_embedding(importer, operation):
        embedding(importer, operation)
        return
    x, *how = operation.inputs
    indices, axis = (importer.constant(tensor) for tensor in how)
    if indices is None or axis is None or importer.constant(x) is not None:
        raise UnsupportedError("a look-up by numbers that depend on the input is not supported")
    if operation.get_attr("batch_dims"):
        raise UnsupportedError("a look-up by other numbers for each example is not supported")
    at = int(axis) % len(shape_of(x))
    _take(importer, operation, x, operation.outputs[0], {at: np.arange(shape_of(x)[at])[np.ravel(indices)]})


def split(importer: Importer, operation: Any) -> None:
    """Split, SplitV and Unpack: a slice for each part."""
    x = operation.inputs[1 if operation.type == "Split" else 0]
    if operation.type == "Unpack":
        axis, sizes = operation.get_attr("axis"), [1] * len(operation.outputs)
    else:
        constant = importer.constant(operation.inputs[0 if operation.type == "Split" else 2])
        if constant is None:
            raise UnsupportedError("a split whose axis depends on the input is not supported")
        axis = int(constant)
        sizes = [shape_of(part)[axis] for part in operation.outputs]
    first = 0
    for part, size in zip(operation.outputs, sizes, strict=True):
        _take(importer, operation, x, part, {axis % len(shape_of(x)): np.arange(first, first + size)})
        first += size


def reverse(importer: Importer, operation: Any) -> None:
    """ReverseV2 along constant axes."""
    x, axes_tensor = operation.inputs
    axes, shape = importer.constant(axes_tensor), shape_of(x)
    if axes is None:
        raise UnsupportedError("a reversal whose axis depends on the input is not supported")
    turned = {int(axis) % len(shape) for axis in np.ravel(axes)}
    _take(importer, operation, x, operation.outputs[0], {axis: np.arange(shape[axis])[::-1] for axis in turned})


def roll(importer: Importer, operation: Any) -> None:
    """Roll by a constant distance."""
    x, *how = operation.inputs
    shifts, axes = (importer.constant(tensor) for tensor in how)
    if shifts is None or axes is None:
        raise UnsupportedError("a rotation whose distance depends on the input is not supported")
    shape = shape_of(x)
    places: dict[int, np.ndarray] = {}
    for shift, axis in zip(np.ravel(shifts).tolist(), np.ravel(axes).tolist(), strict=True):
        at = axis % len(shape)
        places[at] = np.roll(places.get(at, np.arange(shape[at])), shift)
    _take(importer, operation, x, operation.outputs[0], places)


def _take(importer: Importer, operation: Any, x: Any, part: Any, places: Places) -> None:
    """Adds what takes `part` out of `x`."""
    if not all(len(place) for place in places.values()):
        raise UnsupportedError("a slice of nothing is not supported")
    taker = Taker(part.name, (importer.layer(operation),), importer.values[x.name], shape_of(x))
    taker.take(places)
    taker.finish(importer, part.name, shape_of(part))
