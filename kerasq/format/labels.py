"""Which activations of a network are labels: places that an argmax gives, whole numbers whatever their format."""

from __future__ import annotations

from kerasq.format.model import Model, OperatorKind


def labels_of(model: Model) -> dict[int, int]:
    """Labels by index, each with the index of the scores, classes last, of which it is the place of the largest."""
    scores: dict[int, int] = {}
    for operator in model.operators:
        if operator.kind in (OperatorKind.ARGMAX, OperatorKind.RESHAPE):  # of one operand each
            (source,), (output,) = operator.inputs, operator.outputs
            if operator.kind is OperatorKind.ARGMAX:
                scores[output] = source
            elif source in scores:
                scores[output] = scores[source]
    return scores
