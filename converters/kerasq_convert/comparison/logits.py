"""The network that is compared where a softmax comes last: its outputs are the logits.

Probabilities near 0 and 1 hide what happens to the order of the classes, and their error is that of a few examples.
"""

from __future__ import annotations

import dataclasses

from kerasq import ops
from kerasq.format.model import Model, OperatorKind
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.operators import without_unused_tensors


def with_logits(model: Model) -> Model:
    """`model` without the softmax of any output, planned anew; itself where there is none to leave out."""
    outputs = _logits(model)
    if outputs == model.outputs:
        return model
    dropped = {*model.outputs} - {*outputs}
    operators = tuple(operator for operator in model.operators if operator.outputs[0] not in dropped)
    return plan_memory(without_unused_tensors(dataclasses.replace(model, operators=operators, outputs=outputs, test=None)))


def beside_logits(model: Model) -> Model:
    """`model`, planned anew, with what is below a softmax as outputs, too, behind its own; itself where there is none."""
    below = tuple(index for index in _logits(model) if index not in model.outputs)
    return plan_memory(dataclasses.replace(model, outputs=(*model.outputs, *below), test=None)) if below else model


def _logits(model: Model) -> tuple[int, ...]:
    """What is below the softmax of each output; the model's own outputs where there is no softmax to leave out."""
    softmaxes = (operator for operator in model.operators if operator.kind is OperatorKind.SOFTMAX)
    below = {operator.outputs[0]: ops.operand_index(operator, "input") for operator in softmaxes}
    read = {index for operator in model.operators for index in operator.inputs}
    outputs = tuple(below[index] if index in below and index not in read else index for index in model.outputs)
    return model.outputs if len({*outputs}) < len(outputs) or {*outputs} & {*model.inputs} else outputs
