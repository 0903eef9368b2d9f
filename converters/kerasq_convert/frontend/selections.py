"""What takes values by their place along an axis: slices, splits, reversals, rotations, rows of constant numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.frontend.joins import MAX_AXIS
from kerasq_convert.graph import Crop, Node, Reshape, Select, Shape, Transpose, progression, replace

Places = Mapping[int, np.ndarray]  # by axis, the numbers of what is taken along it


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
    """GatherV2 of an activation by constant numbers (keras.ops.take)."""
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
    layers = (importer.layer(operation),)
    taker = _Taker(part.name, layers, importer.values[x.name], shape_of(x))
    shape = taker.shape
    wanted = {axis: place for axis, place in places.items() if not np.array_equal(place, np.arange(shape[axis]))}
    last = len(shape) - 1
    regular = [axis for axis, place in wanted.items() if axis != last and progression(place) is not None]
    if len(shape) == 4 and len(regular) > 1:
        taker.crop_image({axis: wanted[axis] for axis in regular})
    else:
        for axis in sorted(regular):
            taker.crop(axis, wanted[axis])
    for axis in sorted(wanted.keys() - set(regular)):
        taker.pick(axis, wanted[axis])
    if taker.nodes and taker.shape == shape_of(part):
        importer.nodes += taker.nodes[:-1]
        importer.add(replace(taker.nodes[-1], output=part.name))
    else:
        importer.nodes += taker.nodes
        importer.add(Reshape(output=part.name, inputs=(taker.value,), shape=shape_of(part), layers=layers))


class _Taker:
    """The nodes that take places along one axis after the other; `value` is what they have come to, of shape `shape`."""

    def __init__(self, name: str, layers: tuple[str, ...], value: str, shape: Shape):
        self.name, self.layers, self.value, self.shape = name, layers, value, shape
        self.nodes: list[Node] = []

    def crop_image(self, places: Places) -> None:
        """Evenly spaced rows and columns, by one crop."""
        frame, strides, shape = [0, 0, 0, 0], [1, 1], list(self.shape)
        for axis, place in places.items():
            frame[2 * axis - 2 : 2 * axis] = int(place[0]), self.shape[axis] - 1 - int(place[-1])
            strides[axis - 1], shape[axis] = progression(place) or 1, len(place)
        self._add(Crop, tuple(shape), frame=tuple(frame), strides=tuple(strides))
        self.shape = tuple(shape)

    def crop(self, axis: int, places: np.ndarray) -> None:
        """Evenly spaced places along one axis, which are the rows of a picture, or its columns where there are rows before."""
        outer, size, inner = math.prod(self.shape[:axis]), self.shape[axis], math.prod(self.shape[axis + 1 :])
        before, whole, channels = self.shape[:axis], self.shape, self.shape[-1]
        self._view((1, size, inner // channels, channels) if outer == 1 else (1, outer, size, inner))
        self.crop_image({1 if outer == 1 else 2: places})
        self._view((*before, len(places), *whole[axis + 1 :]))

    def pick(self, axis: int, places: np.ndarray) -> None:
        """Any places: the axis becomes the last one, whose channels are selected, and goes back."""
        size, inner = self.shape[axis], math.prod(self.shape[axis + 1 :])
        outer = math.prod(self.shape[:axis])
        if max(size, inner, len(places)) > MAX_AXIS:
            raise UnsupportedError(f"a selection along an axis longer than {MAX_AXIS:,} is not supported")
        before, after = self.shape[:axis], self.shape[axis + 1 :]
        if inner > 1:
            self._add(Transpose, (1, outer, inner, size), sizes=(size, inner), together=1)
            self._add(Select, (1, outer, inner, len(places)), channels=places)
            self._add(Transpose, (1, outer, len(places), inner), sizes=(inner, len(places)), together=1)
            self.shape = (1, outer, len(places), inner)
        else:
            if len(self.shape) > 4:
                self._view((1, outer, size))
            self._add(Select, (*self.shape[:-1], len(places)), channels=places)
            self.shape = (*self.shape[:-1], len(places))
        self._view((*before, len(places), *after))

    def _add(self, make: type[Node], shape: Shape, **fields: Any) -> None:
        output = f"{self.name}/taken{len(self.nodes)}"
        self.nodes.append(make(output=output, inputs=(self.value,), shape=shape, layers=self.layers, **fields))
        self.value = output

    def _view(self, shape: Shape) -> None:
        if shape != self.shape:
            self._add(Reshape, shape)
            self.shape = shape
