"""The range of every channel of every activation, in stored integers, for all inputs that there are.

    sum of x·w    lies between the sums of its terms' least and largest values, each x within its own channel's range;
    what follows  (multiplier of either sign, bias, addend, one rounding, saturation, clamp) is monotone: ends go to ends.

The accumulator proof (kerasq.ops) asks for one symmetric bound of an operator; this knows signs and channels. A tap that padding
may put outside of the image has the operator's zero, too. A range of one integer is exact: such a channel is a constant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.ops import lookup, weighted
from kerasq.ops.requantization import limits
from kerasq.qformat import QFormat
from kerasq_convert.formats.proof import frac_bits

AT_ONCE = 1 << 18  # weights whose sums are computed together


@dataclasses.dataclass(frozen=True)
class Interval:
    """The least and the largest stored integer of each channel: Python integers, of any size, in object arrays."""

    low: np.ndarray
    high: np.ndarray

    @property
    def is_constant(self) -> np.ndarray:
        """Which channels have a single value."""
        return np.asarray(self.low == self.high, bool)

    def union(self, value: int) -> Interval:
        """With a value more in every channel."""
        return Interval(np.minimum(self.low, value), np.maximum(self.high, value))

    def less(self, value: int) -> Interval:
        """With that subtracted in every channel."""
        return Interval(self.low - value, self.high - value)

    def scaled(self, factor: np.ndarray) -> Interval:
        """Times a factor for each channel, or one for all."""
        ends = self.low * factor, self.high * factor
        return Interval(np.minimum(*ends), np.maximum(*ends))

    def plus(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def within(self, low: int, high: int) -> bool:
        """Whether no value is beyond these limits."""
        return bool(np.all(self.low >= low) and np.all(self.high <= high))


Intervals = Mapping[int, Interval]


def full(tensor: Tensor) -> Interval:
    """Every value that a fixed format has."""
    channels = tensor.shape[-1]
    return Interval(np.full(channels, tensor.format.min_int, object), np.full(channels, tensor.format.max_int, object))


def intervals_of(model: Model) -> tuple[dict[int, Interval], dict[int, Interval]]:
    """The range of each fixed activation by its index, and by position of its operator what it would be without a clamp.

    The second has operators whose clamp may do nothing: those that have one, and are computed in integers.
    """
    ranges = {index: full(model.tensors[index]) for index in model.inputs if model.tensors[index].format.is_fixed}
    before: dict[int, Interval] = {}
    for position, operator in enumerate(model.operators):
        output = model.output(operator)
        if not output.format.is_fixed:
            continue
        computed = _computed(model, operator, ranges) if ops.is_integer(model, operator) else None
        if computed is None:
            computed = full(output)
        elif operator.clamp is not None:
            before[position] = _clipped(computed, output.format.min_int, output.format.max_int)
        ranges[operator.outputs[0]] = _clipped(computed, *limits(output.format, operator))
    return ranges, before


def _computed(model: Model, operator: Operator, ranges: Intervals) -> Interval | None:
    """The range of what an integer operator computes before its clamp; `None` where nothing is known but its format."""
    sources = [ranges[index] for index in operator.inputs if index in ranges]
    formats = [model.tensors[index].format for index in operator.inputs if index in ranges]
    output = model.output(operator)
    match operator.kind:
        case OperatorKind.CONV_2D | OperatorKind.DENSE:
            return _weighted(model, operator, ranges)
        case OperatorKind.ADD:
            finer = max(frac_bits(format_) for format_ in formats)
            first, second = (_aligned(x, finer - frac_bits(format_)) for x, format_ in zip(sources, formats, strict=True))
            return requantized(first.plus(second), finer, output.format)
        case OperatorKind.MUL:
            a, b = sources[0].less(operator.zero), sources[1]
            products = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
            product = Interval(np.minimum.reduce(products), np.maximum.reduce(products))
            return requantized(product, frac_bits(*formats), output.format)
        case OperatorKind.MAX_POOL_2D:
            return sources[0]
        case OperatorKind.AVERAGE_POOL_2D | OperatorKind.QUANTIZE:  # an average of valid taps lies between them
            return requantized(sources[0], frac_bits(formats[0]), output.format)
        case OperatorKind.CONCAT:
            parts = [requantized(x, frac_bits(format_), output.format) for x, format_ in zip(sources, formats, strict=True)]
            return Interval(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))
        case OperatorKind.RESHAPE:
            return _reshaped(sources[0], output.shape[-1])
        case OperatorKind.TRANSPOSE:
            return _hull(sources[0], output.shape[-1])
        case OperatorKind.LOOKUP:
            return _looked_up(model, operator, sources[0])
        case OperatorKind.GATHER:
            return _gathered(model, operator)
        case OperatorKind.ARGMAX:
            return _hull(Interval(np.array([0]), np.array([len(sources[0].low) - 1])), output.shape[-1])
    return None


def weights_by_channel(model: Model, operator: Operator) -> np.ndarray:
    """Stored weights of a CONV_2D or DENSE, (groups, outputs / groups, taps, input channels / groups)."""
    kernel = ops.operand(model, operator, "kernel")
    x = ops.operand(model, operator, "input")
    assert kernel is not None
    assert kernel.data is not None
    assert x is not None
    channels = x.shape[-1] // operator.groups
    return kernel.data.reshape(operator.groups, len(kernel.data) // operator.groups, -1, channels)


def _weighted(model: Model, operator: Operator, ranges: Intervals) -> Interval:
    operands = weighted.Operands.of(ops.TABLE[operator.kind], model, operator)
    x = ranges[ops.operand_index(operator, "input")]
    if any(operator.padding):
        x = x.union(operator.zero)
    total = _sums(weights_by_channel(model, operator), x)
    if operands.multiplier is not None:
        total = total.scaled(stored(operands.multiplier))
    if operands.bias is not None:
        offset = stored(operands.bias) << operands.bias_places
        total = total.plus(Interval(offset, offset))
    if operands.addend is not None:
        total = total.plus(_aligned(ranges[ops.operand_index(operator, "addend")], operands.addend_places))
    return requantized(total, operands.total_frac_bits, operands.output.format)


def _sums(weights: np.ndarray, x: Interval) -> Interval:
    """The ranges of all sums of weights times inputs, some outputs at a time: in 64 bits weights take eight times their bytes."""
    low, high = (end.astype(np.int64).reshape(len(weights), -1, 1) for end in (x.low, x.high))
    least, most = [], []
    for some in np.array_split(weights, min(weights.shape[1], weights.size // AT_ONCE + 1), axis=1):
        positive = np.maximum(some, 0).sum(axis=2, dtype=np.int64)
        negative = np.minimum(some, 0).sum(axis=2, dtype=np.int64)
        least.append((positive @ low + negative @ high)[..., 0])
        most.append((positive @ high + negative @ low)[..., 0])
    return Interval(*(np.concatenate(ends, axis=1).reshape(-1).astype(object) for ends in (least, most)))


def stored(tensor: Tensor) -> np.ndarray:
    """Stored values of a constant as Python integers."""
    assert tensor.data is not None
    return tensor.data.astype(object)


def requantized(x: Interval, from_bits: int, output: QFormat) -> Interval:
    """Rounded from so many fractional bits to a fixed format's, not yet saturated; as it is where the output is not fixed."""
    places = from_bits - frac_bits(output)
    if not output.is_fixed or places == 0:
        return x
    if places < 0:
        return _aligned(x, -places)
    half = 1 << (places - 1)
    return Interval((x.low + half) >> places, (x.high + half) >> places)


def _aligned(x: Interval, places: int) -> Interval:
    return Interval(x.low << places, x.high << places)


def _clipped(x: Interval, low: int, high: int) -> Interval:
    return Interval(*(np.minimum(np.maximum(end, low), high) for end in (x.low, x.high)))


def _hull(x: Interval, channels: int) -> Interval:
    return Interval(np.full(channels, min(x.low), object), np.full(channels, max(x.high), object))


def _reshaped(x: Interval, channels: int) -> Interval:
    """The value at flat index i is of channel i modulo the number of channels, before and after."""
    count = len(x.low)
    if channels % count == 0:
        return Interval(np.tile(x.low, channels // count), np.tile(x.high, channels // count))
    if count % channels == 0:
        return Interval(x.low.reshape(-1, channels).min(axis=0), x.high.reshape(-1, channels).max(axis=0))
    return _hull(x, channels)


def _gathered(model: Model, operator: Operator) -> Interval:
    """The least and the largest of each column of the table."""
    table, output = ops.operand(model, operator, "table"), model.output(operator)
    assert table is not None
    rows = stored(table)
    columns = requantized(Interval(rows.min(axis=0), rows.max(axis=0)), frac_bits(table.format), output.format)
    return _reshaped(columns, output.shape[-1])


def _looked_up(model: Model, operator: Operator, x: Interval) -> Interval:
    source, table = ops.operand(model, operator, "input"), ops.operand(model, operator, "table")
    assert source is not None
    assert table is not None
    entries, first = stored(table), source.format.min_int
    ends = []
    for low, high in zip(x.low - first, x.high - first, strict=True):
        if source.format.bits == 8:
            seen = [*entries[low : high + 1]]
        elif low == high:
            knot, place = divmod(low, 1 << lookup.LOW_BITS)
            half = 1 << (lookup.LOW_BITS - 1)
            seen = [entries[knot] + (((entries[knot + 1] - entries[knot]) * place + half) >> lookup.LOW_BITS)]
        else:  # what lies between two knots lies between their values
            seen = [*entries[low >> lookup.LOW_BITS : (high >> lookup.LOW_BITS) + 2]]
        ends.append((min(seen), max(seen)))
    return Interval(np.array([low for low, _ in ends], object), np.array([high for _, high in ends], object))
