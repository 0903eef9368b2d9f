"""Each semantic rule violated once: the message names the culprit."""

import dataclasses

import pytest

from kerasq.conformance.samples import SAMPLES, ModelBuilder
from kerasq.format import ModelError, OperatorKind, SelfTest, verify
from kerasq.verification.verifier import problems
from verification.broken_models import BIAS, KERNEL, OUT, RULES, X, base, data, model, operator, tensor


def test_base_is_fine():
    assert problems(base()) == []
    assert [t.offset for t in base().activations()] == [0, 48, 48, 0]


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    change, message = RULES[rule]
    found = problems(change(base()))
    assert any(message in problem for problem in found), found


FOLLOWED = {
    "rank 0": ((), "a tensor has 1 to 4 axes. Received: shape=()"),
    "rank 5": ((1, 2, 2, 2, 2), "a tensor has 1 to 4 axes"),
    "axis of 0": ((1, 0), "every axis has at least 1 element. Received: shape=(1, 0)"),
    "fractional axis": ((1, 2.0), "every axis has at least 1 element"),
    "2**31 elements": ((1, 2**16, 2**15), "a tensor has at most 2147483647 elements"),
}


@pytest.mark.parametrize("case", FOLLOWED)
@pytest.mark.parametrize("index", [X, BIAS])
def test_shape(case, index):
    shape, message = FOLLOWED[case]
    found = problems(tensor(index, shape=shape)(base()))
    name = base().tensors[index].name
    assert any(problem.startswith(f"tensor {index} {name!r}: {message}") for problem in found), found


@pytest.mark.parametrize("value", [0.1, 1e39])
def test_float_clamp_must_fit_float32(value):
    def clamped(limit):
        net = ModelBuilder()
        x = net.activation("x", "FLOAT32", 1, 4)
        net.operator(OperatorKind.QUANTIZE, [x], net.activation("y", "FLOAT32", 1, 4), clamp=(0.0, limit))
        return net.model([x])

    assert problems(clamped(float("inf"))) == []
    assert ["QUANTIZE 'y': the clamp of a FLOAT32 output" in text for text in problems(clamped(value))] == [True]


def test_everything_is_reported_at_once():
    broken = base()
    for change in (data(KERNEL, 0), tensor(OUT, offset=8), operator(1, outputs=()), model(arena_alignment=3)):
        broken = change(broken)
    with pytest.raises(ModelError) as caught:
        verify(broken)
    text = str(caught.value)
    for part in ("'conv/kernel'", "'out'", "operator 1", "arena_alignment=3"):
        assert part in text
    assert len(caught.value.problems) >= 4


def test_hostile_names_do_not_reach_the_terminal():
    found = problems(tensor(X, name="\x1b[2J" + "x" * 100_000)(base()))
    assert found
    assert not any("\x1b" in problem or len(problem) > 1000 for problem in found)


def test_an_input_may_be_an_output():
    changed = dataclasses.replace(base(), outputs=(OUT, X))
    assert "overlaps tensor 0 'x'" in " ".join(problems(changed))  # `out` lies where `x` was: now x must survive
    assert problems(tensor(OUT, offset=112)(dataclasses.replace(changed, arena_bytes=128))) == []


def test_a_test_vector_that_fits():
    assert problems(model(test=SelfTest(bytes(48), (0, 2**32 - 1, 7)))(base())) == []


def test_unread_results_and_constants_are_allowed():
    changed = operator(0, inputs=(X, KERNEL, -1, -1))(base())
    assert problems(changed) == []


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_are_fine(sample):
    verify(SAMPLES[sample]())
