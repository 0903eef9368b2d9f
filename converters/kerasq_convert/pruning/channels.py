"""Which channels a network does without.

Channels that an operator moves or computes side by side (additions, pooling, tables, depthwise convolutions, concatenations)
are one class: they are there together or not at all. A class is needed where the network shows one of its channels, where an
operator needs all channels (Softmax, Transpose, whatever computes in float), and where a convolution or a Dense layer, which mix
channels, reads one that may change. They do without one that no weight of theirs is for, and without a constant whose part in
their sums their biases can hold: everywhere, so that beside padding it must be the zero that absent taps have.

Kernels read words: where the channels of a tensor, 16 and more, make whole ones, as many stay as make whole ones again. A few
constants more cost less than the slower kernels of ragged channels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind
from kerasq_convert.operators import activations_read
from kerasq_convert.pruning.intervals import Intervals, weights_by_channel

Keep = dict[int, np.ndarray]  # by index of an activation: whether each channel stays

LEAST_IN_WORDS = 16  # with fewer channels every one that goes is worth it

SIDE_BY_SIDE = {
    OperatorKind.ADD,
    OperatorKind.MUL,
    OperatorKind.MAX_POOL_2D,
    OperatorKind.AVERAGE_POOL_2D,
    OperatorKind.QUANTIZE,
    OperatorKind.LOOKUP,
}


def kept_channels(model: Model, ranges: Intervals, changing: Collection[tuple[int, int]]) -> Keep:
    """The channels of each activation that stay, at least one of each.

    Args:
        model: A sound network.
        ranges: Of its activations.
        changing: Positions of operators and channels of their inputs that count as no constants, as no bias can hold them.
    """
    classes = _Classes(model)
    for index in (*model.inputs, *model.outputs):
        classes.need_all(index)
    for position, operator in enumerate(model.operators):
        _note(classes, model, operator, ranges, {channel for place, channel in changing if place == position})
    return classes.kept(_units(model, classes.channels))


def _units(model: Model, channels: Mapping[int, int]) -> dict[int, int]:
    """By tensor what its channels stay a multiple of: 4, or 8 where a Dense layer reads them, if they are one."""
    dense = {activations_read(model, operator)[0] for operator in model.operators if operator.kind is OperatorKind.DENSE}
    return {
        index: next((unit for unit in (8, 4) if (index in dense or unit == 4) and count % unit == 0), 1)
        if count >= LEAST_IN_WORDS
        else 1
        for index, count in channels.items()
    }


def is_mixing(operator: Operator) -> bool:
    """Whether each output channel reads all input channels."""
    return operator.kind is OperatorKind.DENSE or (operator.kind is OperatorKind.CONV_2D and operator.groups == 1)


def _note(classes: _Classes, model: Model, operator: Operator, ranges: Intervals, changing: set[int]) -> None:
    """What an operator needs, and which channels it keeps together."""
    output, sources = operator.outputs[0], activations_read(model, operator)
    if not ops.is_integer(model, operator) or not _can_shrink(model, operator):
        for index in (output, *sources):
            classes.need_all(index)
    elif operator.kind is OperatorKind.CONCAT:
        first = 0
        for index in sources:
            for channel in range(classes.channels[index]):
                classes.tie((index, channel), (output, first + channel))
            first += classes.channels[index]
    elif is_mixing(operator):
        x, *addends = sources
        for channel in {*map(int, np.flatnonzero(_reads(model, operator, ranges))), *changing}:
            classes.need(x, channel)
        classes.tie_all(addends, output)
    elif operator.kind is OperatorKind.CONV_2D:
        x, *addends = sources
        inputs, outputs = (classes.channels[index] // operator.groups for index in (x, output))
        for group in range(operator.groups):
            one = (x, group * inputs)
            for read in range(group * inputs, (group + 1) * inputs):
                classes.tie((x, read), one)
            for computed in range(group * outputs, (group + 1) * outputs):
                classes.tie((output, computed), one)
        classes.tie_all(addends, output)
    else:
        classes.tie_all(sources, output)


def _can_shrink(model: Model, operator: Operator) -> bool:
    """Whether an operator computes the same with fewer channels."""
    if operator.kind is OperatorKind.RESHAPE:
        before, after = (model.tensors[index].shape[-1] for index in (*activations_read(model, operator), *operator.outputs))
        return max(before, after) % min(before, after) == 0
    return operator.kind in SIDE_BY_SIDE or operator.kind in (OperatorKind.CONCAT, OperatorKind.CONV_2D, OperatorKind.DENSE)


def _reads(model: Model, operator: Operator, ranges: Intervals) -> np.ndarray:
    """Which channels of its input an operator that mixes them can't do without."""
    used = np.any(weights_by_channel(model, operator) != 0, axis=(0, 1, 2))
    x = ranges[ops.operand_index(operator, "input")]
    folds = x.is_constant & (np.asarray(x.low == operator.zero, bool) | (not any(operator.padding)))
    return used & ~folds


class _Classes:
    """Classes of channels (union and find), and which of them are needed."""

    def __init__(self, model: Model):
        self.channels = {index: tensor.shape[-1] for index, tensor in enumerate(model.tensors) if not tensor.is_constant}
        self._first: dict[int, int] = {}
        count = 0
        for index, channels in self.channels.items():
            self._first[index] = count
            count += channels
        self._parent = list(range(count))
        self._needed: list[bool] = [False] * count

    def _root(self, index: int, channel: int) -> int:
        place = self._first[index] + channel
        while self._parent[place] != place:
            self._parent[place] = self._parent[self._parent[place]]
            place = self._parent[place]
        return place

    def tie(self, one: tuple[int, int], other: tuple[int, int]) -> None:
        """Two channels, each as tensor and number, are of one class."""
        a, b = self._root(*one), self._root(*other)
        self._parent[a] = b
        self._needed[b] = self._needed[a] or self._needed[b]

    def tie_all(self, sources: Sequence[int], output: int) -> None:
        """Channels of the same number, counted anew behind the last one where one side has fewer, as below a Reshape."""
        for index in sources:
            before, after = self.channels[index], self.channels[output]
            for place in range(max(before, after)):
                self.tie((index, place % before), (output, place % after))

    def need(self, index: int, channel: int) -> None:
        self._needed[self._root(index, channel)] = True

    def need_all(self, index: int) -> None:
        for channel in range(self.channels[index]):
            self.need(index, channel)

    def kept(self, units: Mapping[int, int]) -> Keep:
        """What stays: at least one channel of each tensor, and multiples of its unit, made up by the first that could go."""
        while True:
            keep = {
                index: np.array([self._needed[self._root(index, channel)] for channel in range(channels)], bool)
                for index, channels in self.channels.items()
            }
            ragged = [index for index, channels in keep.items() if not channels.any() or channels.sum() % units[index] != 0]
            if not ragged:
                return keep
            for index in ragged:
                self.need(index, int(np.argmin(keep[index])))
