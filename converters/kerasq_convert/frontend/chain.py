"""Nodes one after the other, from what an operation reads to what it gives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from kerasq.format.schema import MAX_SIZE
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import Affine, Concat, Convolution, Node, Reshape, Scaled, Shape, Transpose, replace
from kerasq_convert.operators import MAX_JOINED

MAX_AXIS = MAX_SIZE  # of those that TRANSPOSE swaps

AnyChain = TypeVar("AnyChain", bound="Chain")


@dataclasses.dataclass
class Chain:
    """Nodes that are not in the graph yet; `value` is what they have come to, of shape `shape`."""

    name: str
    layers: tuple[str, ...]
    value: str
    shape: Shape
    nodes: list[Node] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls: type[AnyChain], importer: Importer, operation: Any, x: Any) -> AnyChain:
        """One that begins with the tensor `x` and is to end with the first result of `operation`."""
        return cls(operation.outputs[0].name, (importer.layer(operation),), importer.values[x.name], shape_of(x))

    def add(self, make: type[Node], shape: Shape, **fields: Any) -> None:
        """A node that reads the last one."""
        inputs = fields.pop("inputs", (self.value,))
        output = f"{self.name}/step{len(self.nodes)}"
        self.nodes.append(make(output=output, inputs=inputs, shape=shape, layers=self.layers, **fields))
        self.value, self.shape = output, shape

    def finish(self, importer: Importer, name: str, shape: Shape) -> None:
        """Adds the nodes to the graph, of which the last one gives the value `name` in the shape `shape`."""
        if self.shape != shape or not self.nodes:
            self.add(Reshape, shape)
        importer.nodes += self.nodes[:-1]
        importer.add(replace(self.nodes[-1], output=name))

    def attach(self, importer: Importer) -> str:
        """Adds the nodes to the graph; the value that they give."""
        importer.nodes += self.nodes
        return self.value

    def view(self, shape: Shape) -> None:
        """The same values in another shape."""
        if shape != self.shape:
            self.add(Reshape, shape)

    def scale(self, importer: Importer, factor: float) -> None:
        """Times a number."""
        before = self.value
        self.add(Affine, self.shape, scale=np.array(float(factor)), offset=np.array(0.0))
        importer.scaled[self.value] = Scaled(before, np.array(float(factor)))

    def repeat(self, axis: int, count: int, *, whole: bool = False) -> None:
        """So many copies along an axis: of each place, or of all places together one after the other.

        Copies of copies, at most MAX_JOINED side by side: 5, 25, ... as long as there is use for them, and then what is missing.
        """
        if count == 1:
            return
        *before, size = self.shape[: axis + 1]
        outer = math.prod(before) * (1 if whole else size)
        inner, result = self.shape[axis + 1 :], (*self.shape[:axis], size * count, *self.shape[axis + 1 :])
        width = math.prod(inner) * (size if whole else 1)
        self.view((*before, width) if whole and not inner and len(self.shape) <= 4 else (1, outer, width))
        copies = {1: self.value}
        while (most := max(copies)) * MAX_JOINED <= count:
            self.join([copies[most]] * MAX_JOINED, [most * width] * MAX_JOINED)
            copies[most * MAX_JOINED] = self.value
        parts: list[int] = []
        for most in sorted(copies, reverse=True):
            parts += [most] * ((count - sum(parts)) // most)
        self.join([copies[part] for part in parts], [part * width for part in parts])
        self.view(result)

    def join(self, values: list[str], widths: list[int]) -> None:
        """Values side by side along the last axis, of the shape so far but for these widths: at most MAX_JOINED at once."""
        self.value, done = values[0], 1
        while done < len(values):
            taken = values[done : done + MAX_JOINED - 1]
            done += len(taken)
            self.add(Concat, (*self.shape[:-1], sum(widths[:done])), inputs=(self.value, *taken))

    def widen(self, shape: Shape) -> None:
        """Copies along every axis of length 1, as broadcasting makes them.

        Those along the last axis are a 1x1 convolution of ones, which is cheap to add to and to multiply with.
        """
        if shape and self.shape[-1] == 1 < shape[-1]:
            pixels = self.shape if len(self.shape) == 4 else (1, 1, math.prod(self.shape), 1)
            rows = self.shape[:-1]
            self.view(pixels)
            ones = np.ones((shape[-1], 1, 1, 1), np.float32)
            self.add(Convolution, (*pixels[:-1], shape[-1]), kernel=ones, layer=self.layers[-1])
            self.view((*rows, shape[-1]))
        for axis in reversed(range(1, len(shape) - 1)):
            self.repeat(axis, shape[axis] // self.shape[axis], whole=True)

    def permute(self, order: Sequence[int]) -> None:
        """Any permutation of the axes after the batch: groups of neighbouring axes change places, one after the other."""
        shape, written = self.shape, tuple(self.shape[axis] for axis in order)
        moved = [axis for axis in order if shape[axis] != 1]
        if moved == sorted(moved):
            self.view(written)
            return
        moved, shape = _in_blocks(moved, shape)
        current = sorted(moved)
        for place, axis in enumerate(moved):
            at = current.index(axis)
            if at == place:
                continue
            before = math.prod(shape[a] for a in current[place:at])
            together = math.prod(shape[a] for a in current[at + 1 :])
            if max(before, shape[axis], together) > MAX_AXIS:
                raise UnsupportedError(f"a permutation of axes longer than {MAX_AXIS:,} is not supported")
            current.insert(place, current.pop(at))
            outer = math.prod(shape[a] for a in current[:place])
            whole = written if current == moved else (1, outer * shape[axis] * before * together)
            self.add(Transpose, whole, sizes=(before, shape[axis]), together=together)


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
