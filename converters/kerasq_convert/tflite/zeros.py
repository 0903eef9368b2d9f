"""Zero points of activations: TFLite has one for each tensor, where an operator of ours has a zero of its own.

A tensor of the file gets another zero point than its format has where all who read it can do with that: a convolution without
padding and a Dense layer with any, as their bias takes it back; a padded one, whose absent taps have it, and a product, which
subtracts it, with their own zero. Its writer must copy integers, which a table does: what computes would write other ones. Else
the tensor stays as it is, and who needs another zero has an operator before it: a PADV2, or a SUB.
"""

from __future__ import annotations

from kerasq.format.model import Model, Operator, OperatorKind

_WITH_ZERO = (OperatorKind.CONV_2D, OperatorKind.DENSE, OperatorKind.MUL)


def shared_zeros(model: Model) -> dict[int, int]:
    """The stored integers that are to mean 0, by index of the activation; of those where that is not 0."""
    tables = (operator for operator in model.operators if operator.kind is OperatorKind.LOOKUP and operator.clamp is None)
    zeros = {}
    for (index,) in (operator.outputs for operator in tables):
        readers = [operator for operator in model.operators if index in operator.inputs]
        told = {reader.zero for reader in readers if not _takes_any(reader)}
        if index not in model.outputs and len(told) == 1 and all(_has_zero_for(reader, index) for reader in readers):
            zeros[index] = told.pop()
    return {index: zero for index, zero in zeros.items() if zero}


def _takes_any(operator: Operator) -> bool:
    return operator.kind is OperatorKind.DENSE or (operator.kind is OperatorKind.CONV_2D and not any(operator.padding))


def _has_zero_for(operator: Operator, index: int) -> bool:
    """Whether a tensor that an operator reads is its first input, which zeros are of, and no other one."""
    return operator.kind in _WITH_ZERO and operator.inputs[0] == index and operator.inputs.count(index) == 1
