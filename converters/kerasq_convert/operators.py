"""Which operator computes which node of the graph, with which operands and attributes: the one place that knows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from kerasq import ops
from kerasq.format import Model, Operator, OperatorKind
from kerasq.format.model import ABSENT
from kerasq_convert.graph import (
    Add,
    ArgMax,
    Concat,
    Convolution,
    Curve,
    Dense,
    Gather,
    Identity,
    Multiply,
    Node,
    Normalize,
    Pool,
    Reshape,
    Softmax,
    Transpose,
)

Attributes = dict[str, Any]
MAX_JOINED = len(ops.TABLE[OperatorKind.CONCAT].operands)


def operator_of(node: Node) -> tuple[OperatorKind, Attributes]:
    """The operator that computes a node, and those of its attributes that do not depend on formats.

    Raises:
        TypeError: The passes leave no such node behind.
    """
    match node:
        case Convolution():
            return OperatorKind.CONV_2D, _same(node, "strides", "dilations", "padding", "groups")
        case Dense():
            return OperatorKind.DENSE, {}
        case Add():
            return OperatorKind.ADD, {}
        case Multiply():
            return OperatorKind.MUL, {}
        case Pool():
            kind = OperatorKind.AVERAGE_POOL_2D if node.average else OperatorKind.MAX_POOL_2D
            return kind, _same(node, "window", "strides", "padding")
        case Concat():
            return OperatorKind.CONCAT, {}
        case Transpose():
            return OperatorKind.TRANSPOSE, {"window": node.sizes, "groups": node.together}
        case Curve():
            return OperatorKind.LOOKUP, {}
        case Gather():
            return OperatorKind.GATHER, {}
        case ArgMax():
            return OperatorKind.ARGMAX, {}
        case Reshape():
            return OperatorKind.RESHAPE, {}
        case Softmax():
            return OperatorKind.SOFTMAX, {}
        case Normalize():
            return OperatorKind.NORMALIZE, _same(node, "window", "groups") | {"centered": int(node.centered)}
        case Identity():
            return OperatorKind.QUANTIZE, {}
    raise TypeError(f"No operator computes a {type(node).__name__}: {node.output!r} should have become another node before")


def activations_of(kind: OperatorKind, inputs: Sequence[int]) -> dict[str, int]:
    """The inputs of a node, in their order, as operands by name: activations, in the order of the operator's row."""
    names = (operand.name for operand in ops.TABLE[kind].operands if not operand.constant)
    return dict(zip(names, inputs, strict=False))


def activations_read(model: Model, operator: Operator) -> list[int]:
    """The activations among the inputs of an operator, in the order in which what `kerasq.ops.prepare` returns takes them."""
    return [index for index in operator.inputs if index != ABSENT and not model.tensors[index].is_constant]


def with_real_zero(model: Model, operator: Operator) -> Operator:
    """An operator of integers for computing with values: its zero, too, is a value and no stored integer."""
    x = model.tensors[ops.TABLE[operator.kind].first(operator)].format
    return operator.replace(zero=0, real_zero=operator.zero * x.step) if operator.zero else operator


def without_unused(model: Model) -> Model:
    """`model` without the operators that its outputs do not depend on, and the tensors that nothing uses then."""
    needed, operators = {*model.outputs}, []
    for operator in reversed(model.operators):
        if operator.outputs[0] in needed:
            needed.update(operator.inputs)
            operators.append(operator)
    used = sorted({*model.inputs, *needed} - {ABSENT})
    number = {index: place for place, index in enumerate(used)} | {ABSENT: ABSENT}

    def renumbered(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(number[index] for index in indices)

    return dataclasses.replace(
        model,
        tensors=tuple(model.tensors[index] for index in used),
        operators=tuple(o.replace(inputs=renumbered(o.inputs), outputs=renumbered(o.outputs)) for o in reversed(operators)),
        inputs=renumbered(model.inputs),
        outputs=renumbered(model.outputs),
    )


def _same(node: Node, *names: str) -> Attributes:
    """Attributes that node and operator call alike."""
    return {name: getattr(node, name) for name in names}
