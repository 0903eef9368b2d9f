"""Which kinds of operators use which attribute. An attribute that a kind does not use has its default.

Kernels rely on it: none has to ask whether a padding belongs to a convolution or lies about in an operator that has no window.
`users` in kerasq/runtime/src/kq_load.c is the same list; a test compares the two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from kerasq.format.model import Operator, OperatorKind

_POOLS = (OperatorKind.MAX_POOL_2D, OperatorKind.AVERAGE_POOL_2D)
_WINDOWS = (OperatorKind.CONV_2D, *_POOLS)

# By name of the attribute. Every kind has its clamp and its accumulator_bits.
USERS: dict[str, frozenset[OperatorKind]] = {
    "window": frozenset((*_POOLS, OperatorKind.TRANSPOSE)),
    "strides": frozenset(_WINDOWS),
    "dilations": frozenset((OperatorKind.CONV_2D,)),
    "padding": frozenset(_WINDOWS),
    "groups": frozenset((OperatorKind.CONV_2D, OperatorKind.TRANSPOSE)),
    "clamp": frozenset(OperatorKind),
    "accumulator_bits": frozenset(OperatorKind),
    "total_bits": frozenset((OperatorKind.CONV_2D, OperatorKind.DENSE)),
    "function": frozenset((OperatorKind.LOOKUP,)),
}
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Operator) if field.name in USERS}


def unused(operator: Operator) -> Iterator[str]:
    """Attributes that the operator's kind does not use, but that are set."""
    for name, users in USERS.items():
        value, default = getattr(operator, name), DEFAULTS[name]
        if operator.kind not in users and value != default:
            yield f"{name} must be {default}: this kind of operator does not use it. Received: {name}={value}"
