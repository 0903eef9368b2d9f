"""Nodes for one time step, applied to all steps at once.

A value of shape (1, ...) has another axis after the batch, of as many places as there are steps. Where the file format has no
room for it, steps lie on top of one another: images (1, height, width, channels) are one of `steps · height` rows. A window that
reaches across the edge of an image would see the next one: zeros are put between images then, and the rows that see two of
them are cut out of the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.graph import (
    Add,
    Affine,
    Concat,
    Convolution,
    Crop,
    Curve,
    Dense,
    Frame,
    Identity,
    Multiply,
    Node,
    Normalize,
    Pad,
    Pointwise,
    Pool,
    Reshape,
    Select,
    Shape,
    Softmax,
    Transpose,
    replace,
)


class EveryStep:
    """Rewrites the nodes of the first step; `nodes` is what has come of them.

    Args:
        count: Steps.
        shapes: Shapes that the first step's slices have in it.
    """

    def __init__(self, count: int, shapes: Mapping[str, Shape]):
        self.count, self.shapes = count, dict(shapes)
        self.nodes: list[Node] = []
        self.loose: dict[str, int] = {}  # values that have rows to be cut out of each step, with the rows that they have

    def add(self, node: Node) -> None:
        """Adds what computes the node for every step.

        Raises:
            UnsupportedError: There is no such thing among the operators.
        """
        self.shapes[node.output] = node.shape
        match node:
            case Affine() | Identity() | Curve() | Pointwise() if len(node.inputs) == 1:
                rows = self.loose.get(node.inputs[0])
                if rows is not None:
                    self.loose[node.output] = rows
                self.nodes.append(replace(node, shape=self.shape(node.shape) if rows is None else self._loose_shape(node, rows)))
            case Dense():
                self._dense(node)
            case Convolution() | Pool():
                self._windows(node)
            case Frame():
                self._framed(node)
            case Multiply() if len({self.shapes[value] for value in node.inputs}) > 1:
                self._gated(node)
            case (
                Add()
                | Multiply()
                | Concat()
                | Transpose()
                | Reshape()
                | Select()
                | Softmax()
                | Normalize()
                | Pointwise()
                | Identity()
            ):
                inputs = tuple(self.tight(value) for value in node.inputs)
                self.nodes.append(replace(node, inputs=inputs, shape=self.shape(node.shape)))
            case _:
                raise UnsupportedError(f"a {type(node).__name__} for each of several time steps is not supported")

    def shape(self, shape: Shape) -> Shape:
        """The shape of a value for all steps, as it is kept."""
        rest = shape[1:]
        if len(rest) <= 2:
            return (1, self.count, *rest)
        return (1, self.count * math.prod(rest[:-2]), *rest[-2:])

    def tight(self, value: str) -> str:
        """The value without the rows that belong to no step."""
        rows = self.loose.get(value)
        if rows is None:
            return value
        cut = f"{value}/tight"
        if all(node.output != cut for node in self.nodes):
            _, height, width, channels = self.shapes[value]
            producer = next(node for node in self.nodes if node.output == value)
            layers, row = producer.layers, width * channels
            self._reshape(f"{value}/steps", value, (1, self.count, rows, row), layers)
            cropped = Crop(
                output=f"{value}/rows",
                inputs=(f"{value}/steps",),
                shape=(1, self.count, height, row),
                layers=layers,
                frame=(0, 0, 0, rows - height),
            )
            self.nodes.append(cropped)
            self._reshape(cut, cropped.output, self.shape(self.shapes[value]), layers)
        return cut

    def _loose_shape(self, node: Node, rows: int) -> Shape:
        return (1, self.count * rows, *node.shape[2:])

    def _reshape(self, output: str, value: str, shape: Shape, layers: tuple[str, ...]) -> str:
        self.nodes.append(Reshape(output=output, inputs=(value,), shape=shape, layers=layers))
        return output

    def _dense(self, node: Dense) -> None:
        """A convolution of one tap over the steps."""
        outputs, inputs = node.kernel.shape
        read = self._reshape(f"{node.output}/in", self.tight(node.inputs[0]), (1, 1, self.count, inputs), node.layers)
        convolution = Convolution(
            output=f"{node.output}/out",
            inputs=(read,),
            shape=(1, 1, self.count, outputs),
            layers=node.layers,
            layer=node.layer,
            kernel=node.kernel[:, None, None, :],
        )
        self.nodes.append(convolution)
        self._reshape(node.output, convolution.output, self.shape(node.shape), node.layers)

    def _windows(self, node: Convolution | Pool) -> None:
        """A convolution or pooling over images on top of one another, as far apart as its windows need.

        Images start every `period` rows, a whole number of steps s of the window. With p rows of padding at the top, and zeros
        for max(top, bottom) rows from one image to the next, window o of image t begins at row t · period + o · s - p and sees
        that image only. So that each image has period / s rows in the result, the padding at the bottom is what the last
        window reaches beyond.
        """
        _, height, width, channels = self.shapes[node.inputs[0]]
        if isinstance(node, Pool):
            reach, strides = node.window[0], node.strides
        else:
            reach, strides = (node.kernel.shape[1] - 1) * node.dilations[0] + 1, node.strides
        top, bottom, left, right = node.padding
        if isinstance(node, Pool) and top + bottom > 0:
            self._pooled_apart(node)
            return
        step = strides[0]
        period = -(-(height + max(top, bottom)) // step) * step
        value = self.tight(node.inputs[0])
        if period > height:
            value = self._spread(node, value, (height, width, channels), period)
        rows = period // step
        after = max(0, reach - step - top)
        shape: Shape = (1, self.count * rows, *node.shape[2:])
        self.nodes.append(replace(node, inputs=(value,), shape=shape, padding=(top, after, left, right)))
        if rows > node.shape[1]:
            self.loose[node.output] = rows

    def _pooled_apart(self, node: Pool) -> None:
        """Pooling down the rows of a picture that has a row for each step, then across the columns of each image.

        No window sees two images so. The valid taps of a window are those of its rows times those of its columns, so a maximum
        is one of maxima, and an average one of averages over equally many.
        """
        _, height, width, channels = self.shapes[node.inputs[0]]
        top, bottom, left, right = node.padding
        rows, row, name = node.shape[1], width * channels, f"{node.output}/rows"
        read = self._reshape(f"{name}/in", self.tight(node.inputs[0]), (1, self.count, height, row), node.layers)
        down = Pool(
            output=name,
            inputs=(read,),
            shape=(1, self.count, rows, row),
            layers=node.layers,
            average=node.average,
            window=(1, node.window[0]),
            strides=(1, node.strides[0]),
            padding=(0, 0, top, bottom),
        )
        self.nodes.append(down)
        value = self._reshape(f"{name}/out", name, (1, self.count * rows, width, channels), node.layers)
        across: dict[str, Any] = {"window": (1, node.window[1]), "strides": (1, node.strides[1]), "padding": (0, 0, left, right)}
        self.nodes.append(replace(node, inputs=(value,), shape=self.shape(node.shape), **across))

    def _gated(self, node: Multiply) -> None:
        """A product with one value per channel: the channels of all steps side by side have one each.

        Raises:
            UnsupportedError: It is one with other values than those.
        """
        pixels, channels = math.prod(node.shape[1:-1]), node.shape[-1]
        inputs: list[str] = []
        for value in node.inputs:
            shape, beside = self.shapes[value], f"{node.output}/in{len(inputs)}"
            places = math.prod(shape[1:-1])
            if shape[-1] != channels or places not in (1, pixels):
                raise UnsupportedError("a product of these shapes is not supported for each of several time steps")
            if places == 1:
                self._reshape(beside, self.tight(value), (1, 1, 1, self.count * channels), node.layers)
            else:
                self._swapped(beside, self.tight(value), (1, 1, pixels, self.count * channels), (self.count, pixels), node)
            inputs.append(beside)
        product = replace(node, output=f"{node.output}/out", inputs=tuple(inputs), shape=(1, 1, pixels, self.count * channels))
        self.nodes.append(product)
        self._swapped(node.output, product.output, self.shape(node.shape), (pixels, self.count), node)

    def _swapped(self, output: str, value: str, shape: Shape, sizes: tuple[int, int], node: Node) -> None:
        """Rows and columns, of one value for each channel of `node`, in the order of columns and rows."""
        common: dict[str, Any] = {"layers": node.layers, "together": node.shape[-1]}
        self.nodes.append(Transpose(output=output, inputs=(value,), shape=shape, sizes=sizes, **common))

    def _spread(self, node: Node, value: str, image: tuple[int, int, int], period: int) -> str:
        """Images with rows of zeros below each, so that they lie `period` rows apart."""
        height, width, channels = image
        row, name = width * channels, f"{node.output}/spread"
        read = self._reshape(f"{name}/in", value, (1, self.count, height, row), node.layers)
        padded: dict[str, Any] = {"shape": (1, self.count, period, row), "frame": (0, 0, 0, period - height)}
        self.nodes.append(Pad(output=f"{name}/out", inputs=(read,), layers=node.layers, **padded))
        return self._reshape(name, f"{name}/out", (1, self.count * period, width, channels), node.layers)

    def _framed(self, node: Frame) -> None:
        """Rows of a frame are columns of a picture with a row for each step."""
        _, height, width, channels = self.shapes[node.inputs[0]]
        top, bottom, left, right = node.frame
        vertical, horizontal = node.strides if isinstance(node, Crop) else (1, 1)
        value, rows = self.tight(node.inputs[0]), node.shape[1]

        def strides(steps: tuple[int, int]) -> dict[str, Any]:
            return {"strides": steps} if isinstance(node, Crop) else {}

        if rows != height:
            read = self._reshape(f"{node.output}/rows/in", value, (1, self.count, height, width * channels), node.layers)
            framed = replace(
                node,
                output=f"{node.output}/rows",
                inputs=(read,),
                shape=(1, self.count, rows, width * channels),
                frame=(0, 0, top, bottom),
            )
            self.nodes.append(replace(framed, **strides((1, vertical))))
            value = self._reshape(f"{node.output}/rows/out", framed.output, (1, self.count * rows, width, channels), node.layers)
        shape = (1, self.count * rows, *node.shape[2:])
        self.nodes.append(replace(node, inputs=(value,), shape=shape, frame=(0, 0, left, right), **strides((1, horizontal))))
