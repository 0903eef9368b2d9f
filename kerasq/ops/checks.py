"""The rules that every operator shares: its inputs and output, its clamp, and the accumulator proof."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kerasq.format.model import ABSENT, Layout, Model, Operator, Tensor
from kerasq.ops.bounds import width
from kerasq.ops.operand import Operand
from kerasq.qformat import QFormat

if TYPE_CHECKING:
    from kerasq.ops.spec import OperatorSpec

# Attributes of an operator by name, with the defaults that they have where a kind does not use them: kernels rely on it, none has
# to ask whether a padding belongs to a window or lies about in an operator that has none. Every kind uses its clamp and its
# accumulator_bits, and may have scratch memory.
_ALL_USE = ("clamp", "accumulator_bits", "scratch")
ATTRIBUTES = {
    field.name: field.default
    for field in dataclasses.fields(Operator)
    if field.name not in ("kind", "inputs", "outputs", *_ALL_USE)
}


def problems(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    """Problems of one operator, each message beginning with its kind and the name of its output tensor.

    Rules come in layers; a layer is looked at only if the one before it holds, because it relies on it.
    """
    name = repr(model.tensors[operator.outputs[0]].name) if operator.outputs and operator.outputs[0] >= 0 else "without output"
    for layer in (_operands, _shapes_and_formats, _attributes, _output_shape, _proof):
        has_problems = False
        for problem in layer(spec, model, operator):
            has_problems = True
            yield f"{operator.kind} {name}: {problem}"
        if has_problems:
            return


def _operands(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    if len(operator.outputs) != 1 or operator.outputs[0] < 0:
        yield f"must write exactly one tensor. Received: outputs={operator.outputs}"
    elif model.output(operator).is_constant:
        yield "the output is a constant, but must be an activation"
    needed = sum(not operand.trailing for operand in spec.operands)
    if not needed <= len(operator.inputs) <= len(spec.operands):
        expected = ", ".join(operand.name for operand in spec.operands)
        between = {0: "", 1: " or {}"}.get(len(spec.operands) - needed, " to {}")
        counts = str(needed) + between.format(len(spec.operands))
        yield f"must have {counts} inputs ({expected}). Received: inputs={operator.inputs}"
        return
    for operand, index in spec.listed(operator):
        if index < 0:
            may_be_absent = operand.optional or (operand.or_function and operator.function is not None)
            if not (may_be_absent and index == ABSENT):
                yield f"the {operand.name} is absent"
        elif model.tensors[index].is_constant != operand.constant:
            wanted, received = ("a constant", "an activation") if operand.constant else ("an activation", "a constant")
            yield f"the {operand.name} must be {wanted}. Received: {model.tensors[index].name!r}, {received}"


def _shapes_and_formats(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    for operand, index in spec.listed(operator):
        if index != ABSENT:
            yield from _tensor(operand, model.tensors[index])
    yield from _tensor(Operand("output"), model.output(operator))


def _tensor(operand: Operand, tensor: Tensor) -> Iterator[str]:
    if not tensor.shape or min(tensor.shape) < 1:
        yield f"the {operand.name}'s sizes must be at least 1. Received: shape={tensor.shape}"
    elif not operand.constant and tensor.shape[0] != 1:
        yield f"the {operand.name}'s first axis must be the batch axis, of size 1. Received: shape={tensor.shape}"
    if tensor.format.frac_bits is None:
        yield f"the {operand.name}'s number of fractional bits is missing. Received: {tensor.format}"
    elif tensor.format.family not in operand.families:
        yield f"the {operand.name} must be one of {', '.join(operand.families)}. Received: {tensor.format}"
    elif tensor.layout != Layout.ROWS and not operand.paired:
        yield f"the {operand.name} must lie in rows. Received: layout={tensor.layout}"


def _attributes(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    yield from _unused(spec, operator)
    yield from spec.rules(model, operator)
    if operator.clamp is not None:
        yield from _clamp(model.output(operator).format, operator.clamp)


def _unused(spec: OperatorSpec, operator: Operator) -> Iterator[str]:
    """Attributes that the operator's kind does not use, but that are set."""
    for name, default in ATTRIBUTES.items():
        value = getattr(operator, name)
        if name not in spec.attributes and value != default:
            yield f"{name} must be {default}: this kind of operator does not use it. Received: {name}={value}"


def _clamp(output: QFormat, clamp: tuple[float, float]) -> Iterator[str]:
    low, high = clamp
    if not low <= high:  # also refuses NaN
        yield f"the clamp's minimum must not exceed its maximum. Received: clamp={clamp}"
    elif output.is_float:
        return
    elif not output.min_int <= low <= high <= output.max_int:
        yield f"the clamp must lie in [{output.min_int}, {output.max_int}], the range of {output}. Received: clamp={clamp}"
    elif low != math.floor(low) or high != math.floor(high):
        yield f"the clamp of a {output} output is two integers. Received: clamp={clamp}"


def _output_shape(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    shapes = [() if tensor is None else tensor.shape for tensor in model.operands(operator)]
    expected, received = spec.output_shape(operator, shapes), model.output(operator).shape
    if min(expected) < 1:
        yield f"the window is larger than the padded input. Received: input shape={shapes[0]}"
    elif spec.any_shape and math.prod(expected) != math.prod(received):
        yield f"the output must have {math.prod(expected)} elements. Received: shape={received}"
    elif not spec.any_shape and expected != received:
        yield f"the output must have shape {expected}. Received: shape={received}"


def _proof(spec: OperatorSpec, model: Model, operator: Operator) -> Iterator[str]:
    """The accumulator proof of NUMERICS.md section 3, repeated; wider accumulators than necessary are allowed."""
    recorded = {"accumulator_bits": operator.accumulator_bits, "total_bits": operator.total_bits}
    if not spec.is_integer(model, operator):
        for field, bits in recorded.items():
            if bits != 0:
                yield f"an operator that computes in float records {field}=0. Received: {field}={bits}"
        return
    bounds = spec.bounds(model, operator)
    for field, bound in zip(recorded, (bounds.accumulator, bounds.total), strict=True):
        bits, needed = recorded[field], 0 if bound is None else width(bound)
        if needed is None:
            yield f"intermediate results reach {bound}, beyond 2**63 - 1: no accumulator holds them ({field})"
        elif needed == 0 and bits != 0:
            yield f"{field} must be 0. Received: {field}={bits}"
        elif needed and (bits not in (32, 64) or bits < needed):
            allowed = "32 or 64" if needed == 32 else "64"
            yield f"{field} must be {allowed} (intermediate results reach {bound}). Received: {field}={bits}"
