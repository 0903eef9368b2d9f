"""The network that is compared: where a softmax comes last its outputs are the logits, where an argmax does what that reads.

Probabilities near 0 and 1 hide what happens to the order of the classes, and their error is that of a few examples. Labels hide
all but the order, and are no numbers whose difference would say something.
"""

from __future__ import annotations

import dataclasses

from kerasq import ops
from kerasq.format.labels import labels_of
from kerasq.format.model import Model, OperatorKind
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.operators import without_unused


def scored_outputs(model: Model) -> dict[int, int]:
    """What is measured in place of the outputs, each once, with the output: of labels the scores, else the output itself."""
    scores = labels_of(model)
    measured: dict[int, int] = {}
    for index in model.outputs:
        source = scores.get(index, index)
        measured.setdefault(index if source in model.inputs else source, index)
    return measured


def scored(model: Model) -> Model:
    """`model` with scores in the place of labels, planned anew; itself where no output is a label."""
    outputs = tuple(scored_outputs(model))
    return model if outputs == model.outputs else _ending_in(model, outputs)


def with_logits(model: Model) -> Model:
    """`scored` without the softmax of any output, planned anew; itself where there is none to leave out."""
    model = scored(model)
    outputs = _logits(model)
    return model if outputs == model.outputs else _ending_in(model, outputs)


def beside_logits(model: Model) -> Model:
    """`scored`, with what is below a softmax as outputs, too, behind its own, planned anew; itself where there is none."""
    model = scored(model)
    below = tuple(index for index in _logits(model) if index not in model.outputs)
    outputs = (*model.outputs, *below)
    return plan_memory(dataclasses.replace(model, outputs=outputs, output_names=(), test=None)) if below else model


def _ending_in(model: Model, outputs: tuple[int, ...]) -> Model:
    """The model with other outputs, without what they do not depend on."""
    return plan_memory(without_unused(dataclasses.replace(model, outputs=outputs, output_names=(), test=None)))


def _logits(model: Model) -> tuple[int, ...]:
    """What is below the softmax of each output; the model's own outputs where there is no softmax to leave out."""
    softmaxes = (operator for operator in model.operators if operator.kind is OperatorKind.SOFTMAX)
    below = {operator.outputs[0]: ops.operand_index(operator, "input") for operator in softmaxes}
    read = {index for operator in model.operators for index in operator.inputs}
    outputs = tuple(below[index] if index in below and index not in read else index for index in model.outputs)
    return model.outputs if len({*outputs}) < len(outputs) or {*outputs} & {*model.inputs} else outputs
