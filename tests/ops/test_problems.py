"""Each rule of the operator table, broken one at a time; and operators of random nonsense, which must not raise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kerasq import ops
from kerasq.format.model import ABSENT, Model, OperatorKind
from kerasq.qformat import fixed
from ops.broken_operators import ATTRIBUTES, TENSORS, changed, nonsense, q, valid, with_tensor


def problems(model: Model) -> list[str]:
    (operator,) = model.operators
    return list(ops.problems(model, operator))


@pytest.mark.parametrize("kind", list(OperatorKind))
@pytest.mark.parametrize("buffers", ["FIXED8_4", "UFIXED16_7"])
def test_a_sound_operator_has_no_problems(kind, buffers):
    assert problems(valid(kind, buffers)) == []


@pytest.mark.parametrize(("kind", "changes", "message"), [(kind, c, m) for kinds, c, m in ATTRIBUTES for kind in kinds])
def test_attributes(kind, changes, message):
    found = problems(changed(valid(kind), **changes))
    assert len(found) == 1
    assert_names(found, kind, changes)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found[0])


def assert_names(found: list[str], kind: str, changes: dict) -> None:
    """Messages begin with the operator and its output."""
    if "outputs" not in changes:
        assert all(problem.startswith(f"{kind} 'layer/output': ") for problem in found)


@pytest.mark.parametrize(("kind", "name", "changes", "message"), [case for case in TENSORS if case[3]])
def test_tensors(kind, name, changes, message):
    found = problems(with_tensor(valid(kind), name, **changes))
    assert_names(found, kind, changes)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError("\n".join(found))


@pytest.mark.parametrize("kind", list(OperatorKind))
def test_only_optional_inputs_may_be_absent(kind):
    model = valid(kind)
    (operator,) = model.operators
    for operand, _ in ops.TABLE[kind].listed(operator):
        position = ops.TABLE[kind].position(operand.name)
        without = changed(model, inputs=(*operator.inputs[:position], ABSENT, *operator.inputs[position + 1 :]))
        found = problems(without)
        if not operand.optional:
            assert found == [f"{kind} 'layer/output': the {operand.name} is absent"]
        elif ops.is_integer(without, without.operators[0]):
            assert found == []
        else:  # a softmax without its table
            assert len(found) == 1
            assert "computes in float records accumulator_bits=0" in found[0]


def test_all_problems_of_a_layer_are_reported():
    model = with_tensor(changed(valid("CONV_2D"), strides=(0, 1), groups=3, clamp=(5, 1)), "bias", shape=(3,))
    assert len(problems(model)) == 4


def test_wider_accumulators_are_accepted_and_narrower_ones_are_not():
    model = valid("CONV_2D")
    assert problems(changed(model, accumulator_bits=64, total_bits=64)) == []
    large = with_tensor(model, "multiplier", format=fixed(32, 2), data=np.full(4, 2**31 - 1, np.int32))
    assert problems(changed(large, accumulator_bits=32, total_bits=64)) == []
    (problem,) = problems(changed(large, accumulator_bits=32, total_bits=32))
    assert "total_bits must be 64" in problem


def test_what_no_accumulator_holds_is_refused():
    model = with_tensor(valid("CONV_2D"), "bias", format=fixed(32, -32), data=np.full(4, 2**31 - 1, np.int32))
    (problem,) = problems(model)
    assert "beyond 2**63 - 1" in problem
    with pytest.raises(OverflowError, match=r"CONV_2D 'layer/output'.*beyond 2\*\*63"):
        ops.with_widths(model, model.operators[0])
    (problem,) = problems(
        with_tensor(with_tensor(valid("QUANTIZE"), "x", format=q("FIXED8_63")), "layer/output", format=q("FIXED8_-1"))
    )
    assert "beyond 2**63 - 1" in problem


def test_float_operators_record_no_widths():
    model = valid("CONV_2D", "FLOAT32")
    assert (model.operators[0].accumulator_bits, model.operators[0].total_bits) == (0, 0)
    assert problems(model) == []
    assert len(problems(changed(model, accumulator_bits=32, total_bits=32))) == 2


def test_clamps_of_float_outputs():
    model = valid("ADD", "FLOAT32")
    assert problems(changed(model, clamp=(0.0, float("inf")))) == []
    assert len(problems(changed(model, clamp=(1.0, 0.0)))) == 1


@pytest.mark.parametrize("seed", range(8))
def test_nonsense_is_refused_or_runs(seed):
    rng = np.random.default_rng(seed)
    accepted = 0
    for _ in range(250):
        model = nonsense(rng)
        (operator,) = model.operators
        found = list(ops.problems(model, operator))
        assert all(problem.startswith(str(operator.kind)) for problem in found)
        activations = [tensor for tensor in model.operands(operator) if tensor is not None and not tensor.is_constant]
        if found or sum(math.prod(tensor.shape) for tensor in [*activations, model.output(operator)]) > 10_000:
            continue
        accepted += 1
        y = ops.prepare(model, operator)(*[np.ones((2, *tensor.shape[1:]), tensor.format.dtype) for tensor in activations])
        output = model.output(operator)
        assert y.shape == (2, *output.shape[1:])
        assert y.dtype == output.format.dtype
    assert accepted > 10
