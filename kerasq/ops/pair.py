"""What operators of two activations share, which are computed place by place."""

from __future__ import annotations

from kerasq.format.model import Model, Operator, Tensor
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import OperatorSpec
from kerasq.qformat import QFormat

OPERANDS = (Operand("first input", overlap=Overlap.ELEMENT_WISE), Operand("second input", overlap=Overlap.ELEMENT_WISE))


def tensors(spec: OperatorSpec, model: Model, operator: Operator) -> tuple[Tensor, Tensor]:
    """Both inputs."""
    first, second = (spec.tensor(model, operator, operand.name) for operand in OPERANDS)
    return first, second


def formats(spec: OperatorSpec, model: Model, operator: Operator) -> tuple[QFormat, QFormat]:
    """Their formats."""
    first, second = tensors(spec, model, operator)
    return first.format, second.format
