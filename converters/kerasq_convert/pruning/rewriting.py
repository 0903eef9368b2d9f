"""A network with some of its channels left out: kernels, biases and shapes."""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.ops import weighted
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat, fixed
from kerasq_convert.naming import unique
from kerasq_convert.pruning.channels import Keep, is_mixing
from kerasq_convert.pruning.intervals import Intervals, stored, weights_by_channel

BIASES = (fixed(16), fixed(32))  # narrowest first


class Rewriter:
    """A model in the making: tensors are added, operators replaced.

    Args:
        model: What it is made of.
    """

    def __init__(self, model: Model):
        self.tensors, self.operators = list(model.tensors), list(model.operators)
        self._model, self._names = model, {tensor.name for tensor in model.tensors}

    @property
    def model(self) -> Model:
        return dataclasses.replace(self._model, tensors=tuple(self.tensors), operators=tuple(self.operators))

    def constant(self, like: str, format_: QFormat, data: np.ndarray) -> int:
        """Index of a new constant; it takes the name of the one that it is for, with a number."""
        data = np.ascontiguousarray(data.astype(format_.dtype))
        self.tensors.append(Tensor(unique(like, self._names), data.shape, format_, data))
        return len(self.tensors) - 1

    def operand(self, position: int, name: str, index: int) -> None:
        """Another tensor, or none, as an operand of an operator."""
        operator = self.operators[position]
        spec = ops.TABLE[operator.kind]
        read = {operand.name: known for operand, known in spec.listed(operator) if known != ABSENT} | {name: index}
        self.operators[position] = operator.replace(inputs=spec.inputs({key: i for key, i in read.items() if i != ABSENT}))


def without_channels(model: Model, keep: Keep, ranges: Intervals) -> tuple[Model, set[tuple[int, int]]]:
    """The model with the channels that stay; or operators and input channels whose constants no bias can hold.

    Args:
        model: A sound network.
        keep: What `kept_channels` says of it.
        ranges: Of its activations.

    Returns:
        A model, and a set; the model is sound where the set is empty.
    """
    rewriter, unheld = Rewriter(model), set[tuple[int, int]]()
    for index, channels in keep.items():
        tensor = model.tensors[index]
        rewriter.tensors[index] = dataclasses.replace(tensor, shape=(*tensor.shape[:-1], int(channels.sum())))
    for position, operator in enumerate(model.operators):
        if operator.kind not in (OperatorKind.CONV_2D, OperatorKind.DENSE):
            continue
        x, outputs = ops.operand_index(operator, "input"), keep[operator.outputs[0]]
        if keep[x].all() and outputs.all():
            continue
        _shrink(rewriter, position, keep[x], outputs)
        if is_mixing(operator):
            constants = np.flatnonzero(~keep[x] & _is_other_than_zero(ranges, x))
            if len(constants) and not fold(rewriter, position, offsets(model, operator, ranges, constants)[outputs]):
                unheld |= {(position, int(channel)) for channel in constants}
    if not unheld:
        smaller = rewriter.model
        rewriter.operators = [ops.with_widths(smaller, operator) for operator in smaller.operators]
    return rewriter.model, unheld


def offsets(model: Model, operator: Operator, ranges: Intervals, channels: np.ndarray) -> np.ndarray:
    """What constant input channels are worth in the sum of each output channel, times its multiplier."""
    values = ranges[ops.operand_index(operator, "input")].low[channels]
    weights = weights_by_channel(model, operator)[0].sum(axis=1)[:, channels].astype(object)
    sums = weights @ values
    multiplier = ops.operand(model, operator, "multiplier")
    return sums if multiplier is None else sums * stored(multiplier)


def fold(rewriter: Rewriter, position: int, added: np.ndarray) -> bool:
    """Adds integers, with the fractional bits of the operator's total, to its bias; false where no bias holds the sum exactly."""
    model, operator = rewriter.model, rewriter.operators[position]
    if not any(added):
        return True
    operands = weighted.Operands.of(ops.TABLE[operator.kind], model, operator)
    total, bias = operands.total_frac_bits, operands.bias
    if bias is not None:
        added = added + (stored(bias) << operands.bias_places)
    chosen = _exact_format(added, total)
    if chosen is None:
        return False
    kernel = operands.kernel.name.removesuffix("/kernel")
    data = added >> (total - (chosen.frac_bits or 0))
    rewriter.operand(position, "bias", rewriter.constant(f"{kernel}/bias" if bias is None else bias.name, chosen, data))
    try:
        ops.with_widths(rewriter.model, rewriter.operators[position])
    except OverflowError:
        return False
    return True


def _exact_format(values: np.ndarray, frac_bits: int) -> QFormat | None:
    """The narrowest format of a bias that holds integers with so many fractional bits exactly."""
    union = 0
    for value in values:
        union |= value
    zeros = (union & -union).bit_length() - 1 if union else 0
    largest, least = max(values), min(values)
    for family in BIASES:
        for dropped in range(zeros + 1):
            finest = frac_bits - dropped
            if (
                MIN_FRAC_BITS <= finest <= MAX_FRAC_BITS
                and family.min_int <= least >> dropped <= largest >> dropped <= family.max_int
            ):
                return family.with_frac_bits(finest)
    return None


def _is_other_than_zero(ranges: Intervals, index: int) -> np.ndarray:
    return ranges[index].is_constant & np.asarray(ranges[index].low != 0, bool)


def _shrink(rewriter: Rewriter, position: int, inputs: np.ndarray, outputs: np.ndarray) -> None:
    """Leaves out rows and columns of the constants of a CONV_2D or DENSE."""
    operator = rewriter.operators[position]
    for name in ("kernel", "multiplier", "bias"):
        index = ops.operand_index(operator, name)
        if index == ABSENT:
            continue
        tensor = rewriter.tensors[index]
        assert tensor.data is not None
        data = tensor.data[outputs]
        if name == "kernel" and is_mixing(operator):
            data = data[..., inputs] if operator.kind is OperatorKind.CONV_2D else data[:, np.resize(inputs, data.shape[1])]
        rewriter.operand(position, name, rewriter.constant(tensor.name, tensor.format, data))
    if operator.groups > 1:
        size = len(inputs) // operator.groups
        rewriter.operators[position] = rewriter.operators[position].replace(groups=int(inputs.sum()) // size)
