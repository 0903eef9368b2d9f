"""Operators and constants that a network does without: what does nothing, what is computed twice, what nobody reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind
from kerasq.ops import weighted
from kerasq_convert.operators import without_unused
from kerasq_convert.pruning.intervals import Interval, Intervals
from kerasq_convert.pruning.rewriting import Rewriter, fold


def simplified(model: Model, ranges: Intervals, unclamped: Mapping[int, Interval]) -> Model:
    """The model without clamps that can't act, addends that are constants, and operators that are no use.

    Args:
        model: A sound network.
        ranges, unclamped: As `intervals_of` returns them.
    """
    model = _without_clamps(model, unclamped)
    model = _without_constant_addends(model, ranges)
    model = without_unused(_without_copies(model, ranges))
    return dataclasses.replace(model, operators=tuple(ops.with_widths(model, operator) for operator in model.operators))


def _without_clamps(model: Model, unclamped: Mapping[int, Interval]) -> Model:
    operators = list(model.operators)
    for position, interval in unclamped.items():
        clamp = operators[position].clamp
        if clamp is not None and interval.within(int(clamp[0]), int(clamp[1])):
            operators[position] = operators[position].replace(clamp=None)
    return dataclasses.replace(model, operators=tuple(operators))


def _without_constant_addends(model: Model, ranges: Intervals) -> Model:
    """Addends of convolutions that are constants, channel by channel, are part of the bias."""
    rewriter = Rewriter(model)
    for position, operator in enumerate(model.operators):
        index = ops.operand_index(operator, "addend")
        if index not in ranges or not ops.is_integer(model, operator) or not ranges[index].is_constant.all():
            continue
        places = weighted.Operands.of(ops.TABLE[operator.kind], model, operator).addend_places
        rewriter.operand(position, "addend", ABSENT)
        if not fold(rewriter, position, ranges[index].low << places):
            rewriter.operators[position] = operator
    return rewriter.model


def _without_copies(model: Model, ranges: Intervals) -> Model:
    """Who reads what an operator copies, or what another one computed before, reads the original."""
    original: dict[int, int] = {}
    seen: dict[object, int] = {}
    constants: dict[object, int] = {}
    alike: dict[int, int] = {}  # constants that hold the same; a compact file has their data once
    for index, tensor in enumerate(model.tensors):
        if tensor.data is not None:
            held = tensor.format, tensor.shape, tensor.data.tobytes()
            alike[index] = constants.setdefault(held, index)
    operators = []
    for operator in model.operators:
        operator = operator.replace(inputs=tuple(original.get(index, index) for index in operator.inputs))
        output = operator.outputs[0]
        if output not in model.outputs:
            source = _copied(model, operator, ranges)
            tensor = model.tensors[output]
            inputs = tuple(alike.get(index, index) for index in operator.inputs)
            key = operator.replace(inputs=inputs, outputs=()), tensor.format, tensor.shape
            original[output] = seen.setdefault(key, output) if source is None else source
        operators.append(operator)
    return dataclasses.replace(model, operators=tuple(operators))


def _copied(model: Model, operator: Operator, ranges: Intervals) -> int | None:
    """The activation whose stored values an operator gives as they are, in the same shape and format."""
    output = model.output(operator)
    if operator.clamp is not None or not ops.is_integer(model, operator):
        return None

    def is_alike(index: int) -> bool:
        return (model.tensors[index].shape, model.tensors[index].format) == (output.shape, output.format)

    (x, *_) = operator.inputs
    match operator.kind:
        case OperatorKind.QUANTIZE | OperatorKind.RESHAPE:
            return x if is_alike(x) else None
        case OperatorKind.MAX_POOL_2D | OperatorKind.AVERAGE_POOL_2D:
            return x if operator.window == (1, 1) and not any(operator.padding) and is_alike(x) else None
        case OperatorKind.ADD:
            for term, other in (operator.inputs, tuple(reversed(operator.inputs))):
                zero = ranges[other]
                if is_alike(term) and not np.any(zero.low) and not np.any(zero.high):
                    return term
    return None
