"""The attribute `zero`: the stored value of an operator's first input that means 0, where that is not 0 itself.

What is negative by little and positive by much, as a swish, fills an unsigned format where it is stored with an offset.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasq.format.model import Model, Operator
from kerasq.ops.spec import OperatorSpec


def problems(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    """It lies in the range of an unsigned input, and the operator computes in integers: then every bound holds as it is."""
    x, is_integer = spec.tensor(model, operator, spec.operands[0].name).format, spec.is_integer(model, operator)
    if operator.real_zero and is_integer:
        yield f"real_zero must be 0: it is of operators in float. Received: real_zero={operator.real_zero}"
    if operator.zero == 0:
        return
    if not is_integer or x.signed:
        yield f"zero must be 0: it is of unsigned inputs of an operator in integers. Received: zero={operator.zero}, {x}"
    elif not 0 < operator.zero <= x.max_int:
        yield f"zero must lie in [0, {x.max_int}], the range of {x}. Received: zero={operator.zero}"
