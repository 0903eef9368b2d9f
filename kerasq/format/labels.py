"""Which activations of a network are labels: places that an argmax gives, whole numbers that are no quantities."""

from __future__ import annotations

from kerasq.format.model import Model, OperatorKind

# Of one operand each (as ARGMAX), whose values they leave alone: moved, or stored in another format.
_LEAVING_VALUES = (OperatorKind.RESHAPE, OperatorKind.TRANSPOSE, OperatorKind.QUANTIZE)


def labels_of(model: Model) -> dict[int, int]:
    """Labels by index, each with the index of the scores, classes last, of which it is the place of the largest."""
    scores: dict[int, int] = {}
    for operator in model.operators:
        if operator.kind is not OperatorKind.ARGMAX and operator.kind not in _LEAVING_VALUES:
            continue
        (source,), (output,) = operator.inputs, operator.outputs
        if operator.kind is OperatorKind.ARGMAX:
            scores[output] = source
        elif source in scores:
            scores[output] = scores[source]
    return scores
