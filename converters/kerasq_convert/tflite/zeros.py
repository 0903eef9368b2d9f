"""Zero points of activations: TFLite has one for each tensor, where an operator of ours has a zero of its own.

A tensor of the file gets another zero point than its format has where all who read it can do with that: a convolution without
padding and a Dense layer with any, as their bias takes it back; a padded one, whose absent taps have it, and a product, which
subtracts it, with their own zero; a pooling, if all who read what it gives can. Its writer must copy integers, which a table
does: what computes would write other ones. Else the tensor stays as it is, and who needs another zero has an operator before it:
a PADV2, or a SUB.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind

_WITH_ZERO = (OperatorKind.CONV_2D, OperatorKind.DENSE, OperatorKind.MUL)
_POOLS = (OperatorKind.AVERAGE_POOL_2D, OperatorKind.MAX_POOL_2D)


def shared_zeros(model: Model) -> dict[int, int]:
    """The stored integers that are to mean 0, by index of the activation; of those where that is not 0."""
    tables = (operator for operator in model.operators if operator.kind is OperatorKind.LOOKUP and operator.clamp is None)
    zeros: dict[int, int] = {}
    for (index,) in (operator.outputs for operator in tables):
        form = model.tensors[index].format
        told = {zero / form.step for zero in _told(model, index)}
        if len(told) == 1 and (zero := told.pop()).is_integer() and not form.signed and zero <= form.max_int:
            zeros |= _shared(model, index, int(zero)) or {}
    return zeros


def _told(model: Model, index: int) -> Iterator[float]:
    """What the zeros of those who read a tensor, or what poolings give of it, are worth."""
    for reader in _readers(model, index):
        if reader.kind in _POOLS:
            yield from _told(model, reader.outputs[0])
        elif reader.zero:
            yield reader.zero * model.tensors[_first(reader)].format.step


def _first(operator: Operator) -> int:
    return ops.TABLE[operator.kind].first(operator)


def _readers(model: Model, index: int) -> Iterator[Operator]:
    return (operator for operator in model.operators if index in operator.inputs)


def _shared(model: Model, index: int, zero: int) -> dict[int, int] | None:
    """The zeros of a tensor and of what poolings give of it; `None` where somebody can't do with one of them."""
    zeros = {index: zero}
    for reader in _readers(model, index):
        if reader.kind in _POOLS:
            pooled = _pooled(model, reader, zero)
            behind = None if pooled is None else _shared(model, reader.outputs[0], pooled)
            if behind is None:
                return None
            zeros |= behind
        elif not _can_do_with(reader, index, zero):
            return None
    return None if index in model.outputs else zeros


def _pooled(model: Model, operator: Operator, zero: int) -> int | None:
    """What stands for 0 behind a pooling; `None` if no integer of its format does."""
    before, after = (model.tensors[index].format for index in (_first(operator), operator.outputs[0]))
    if operator.clamp is not None or not after.is_fixed or after.signed or after.bits != before.bits:
        return None
    pooled = zero * before.step / after.step
    return int(pooled) if pooled.is_integer() and pooled <= after.max_int else None


def _can_do_with(operator: Operator, index: int, zero: int) -> bool:
    """Whether a tensor is the first input of an operator, and no other one, and its zero may be this."""
    if operator.kind not in _WITH_ZERO or _first(operator) != index or operator.inputs.count(index) > 1:
        return False
    takes_any = operator.kind is not OperatorKind.MUL and not any(operator.padding)
    return takes_any or operator.zero == zero
