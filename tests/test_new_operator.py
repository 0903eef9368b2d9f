"""A kind of operator that is nowhere but in the table: every consumer serves it from its row.

BLEND is made of what other kinds have one by one: a window channel by channel, a table, a gain for each channel that it may do
without, and a second input that came with a later version. It computes the sum of a pooling and, where there is one, the blended
input, through a table of stored values.
"""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq import ops, selftest
from kerasq.commands import inspect
from kerasq.conformance import field_mutants, fuzz
from kerasq.conformance.samples import ModelBuilder
from kerasq.format import ModelError, OperatorKind, reader
from kerasq.format.model import ABSENT, Model
from kerasq.ops import c_header, families, pooling
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import OperatorSpec
from kerasq.ops.windows import Window
from kerasq.verification import overlap, plan, verifier
from kerasq.verification.verifier import problems

NAME = "BLEND"
NEWEST = 3


def spec_of(kind: OperatorKind) -> OperatorSpec:
    def rules(model, operator):
        gain = spec.optional(model, operator, "gain")
        if gain is not None and gain.shape[0] > spec.limits["most_channels"]:
            yield f"at most {spec.limits['most_channels']} channels blend"

    def bounds(model, operator):
        return Bounds(spec.tensor(model, operator, "input").format.largest_magnitude * 8)

    def prepare(model, operator):
        output, window = model.output(operator).format, Window.of(operator, operator.window)
        table = spec.tensor(model, operator, "curve").data

        def run(x, other=None):
            sums = pooling.slide(x, window, np.add, 0, np.dtype(np.int64))
            if other is not None:
                sums += other
            return output.saturate(table[np.clip(sums, 0, len(table) - 1)])

        return run

    spec = OperatorSpec(
        kind=kind,
        operands=(
            Operand("input", overlap=Overlap.WINDOW_OF_CHANNEL),
            Operand("curve", families.TABLES, constant=True),
            Operand("gain", families.VECTORS, constant=True, optional=True, per_channel=True),
            Operand("blended", trailing=True, overlap=Overlap.ELEMENT_WISE, since=NEWEST),
        ),
        output_shape=pooling.output_shape,
        bounds=bounds,
        prepare=prepare,
        rules=rules,
        attributes=("window", "strides", "padding"),
        limits={"most_channels": 100},
        since=2,
        macs=lambda model, operator: 7,
        float_tolerance=1e-3,
    )
    return spec


@pytest.fixture
def kind(monkeypatch) -> OperatorKind:
    """A member of OperatorKind and a row of the table, as if both had been written there."""
    member = str.__new__(OperatorKind, NAME)
    member._name_ = member._value_ = NAME
    monkeypatch.setitem(OperatorKind._member_map_, NAME, member)
    monkeypatch.setitem(OperatorKind._value2member_map_, NAME, member)
    monkeypatch.setattr(OperatorKind, "_member_names_", [*OperatorKind._member_names_, NAME])
    monkeypatch.setitem(ops.TABLE, member, spec_of(member))
    monkeypatch.setattr(reader, "_KINDS", tuple(OperatorKind))
    monkeypatch.setattr(reader, "FORMAT_VERSION", NEWEST)
    return member


def network(kind: OperatorKind, source: str = "UFIXED8_4", gain: bool = True, blended: bool = True) -> Model:
    net = ModelBuilder()
    x = net.activation("x", source, 1, 4, 4, 2)
    operands = {"input": x, "curve": net.constant("curve", "UFIXED8_4", 256, data=np.arange(256) // 2)}
    if gain:
        operands["gain"] = net.constant("gain", "FIXED8_3", 2)
    if blended:
        operands["blended"] = net.activation("other", source, 1, 2, 2, 2)
    y = net.activation("y", "UFIXED8_4", 1, 2, 2, 2)
    net.operators.append(ops.make(kind, operands, y, window=(2, 2), strides=(2, 2)))
    return net.model([x, operands["blended"]] if blended else [x])


def test_operands_by_name(kind):
    model = network(kind)
    (operator,) = model.operators
    operands = [ops.operand(model, operator, name) for name in ("input", "curve", "gain", "blended")]
    assert [tensor.name for tensor in operands] == ["x", "curve", "gain", "other"]
    (short,) = network(kind, gain=False, blended=False).operators
    assert short.inputs == (0, 1, ABSENT)
    assert ops.operand_index(short, "blended") == ops.operand_index(short, "gain") == ABSENT
    assert ops.operand_index(operator, "addend") == ABSENT  # of another kind
    with pytest.raises(KeyError, match="no operand 'addend', but input, curve, gain, blended"):
        ops.make(kind, {"addend": 0}, 1)
    with pytest.raises(KeyError, match="blendet"):
        ops.operand(model, operator, "blendet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (0, 1)}, r"must have 3 or 4 inputs \(input, curve, gain, blended\)"),
        ({"inputs": (0, ABSENT, 2, 3)}, "the curve is absent"),
        ({"inputs": (0, 1, 2, ABSENT)}, "the blended is absent"),
        ({"inputs": (0, 0, 2, 3)}, "the curve must be a constant"),
        ({"inputs": (0, 2, 2, 3)}, None),
        ({"groups": 2}, "groups must be 1: this kind of operator does not use it"),
        ({"strides": (1, 2)}, "the output must have shape"),
        ({"accumulator_bits": 0}, r"accumulator_bits must be 32 or 64 \(intermediate results reach 2040\)"),
        ({"total_bits": 32}, "total_bits must be 0"),
    ],
)
def test_the_verifier(kind, changes, message):
    model = network(kind)
    assert problems(model) == []
    broken = dataclasses.replace(model, operators=(model.operators[0].replace(**changes),))
    found = [problem for problem in problems(broken) if "BLEND 'y'" in problem]
    assert len(found) == (message is not None), found
    if message is not None:
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(found[0])


def test_rules_and_reads_of_vectors(kind, monkeypatch):
    model = network(kind)
    tensors = [dataclasses.replace(t, shape=(200,), data=np.ones(200, np.int8)) if t.name == "gain" else t for t in model.tensors]
    assert "at most 100 channels blend" in problems(dataclasses.replace(model, tensors=tuple(tensors)))[0]
    monkeypatch.setattr(verifier, "MAX_VECTOR_READS", 1)
    assert "multipliers and biases have at most 1 values" in problems(model)[0]


def test_the_plan(kind):
    model = network(kind)
    (operator,) = model.operators
    x, other = model.inputs
    assert overlap.distance(model, operator, x) == 0  # falls behind what it reads
    assert overlap.distance(model, operator, other) == 0
    offsets = {"x": 16, "other": 0, "y": 0}
    placed = [t if t.is_constant else dataclasses.replace(t, offset=offsets[t.name]) for t in model.tensors]
    placed = dataclasses.replace(model, tensors=tuple(placed), arena_bytes=48)
    assert problems(placed) == []
    assert plan.lower_bound(model) < sum(plan.aligned(t.nbytes, 16) for t in model.activations())


def test_versions(kind):
    assert plan.needed_version(network(kind, blended=False)) == 2
    assert plan.needed_version(network(kind)) == NEWEST


def test_files_and_the_reference_engine(kind):
    model = network(kind)
    content = file_format.dumps(model)
    loaded = file_format.loads(content)
    assert loaded.operators == model.operators
    assert file_format.dumps(loaded) == content
    x, other = np.full((3, 4, 4, 2), 5, np.uint8), np.full((3, 2, 2, 2), 8, np.uint8)
    y = kerasq.Interpreter(model_content=content, engine="reference").predict([x, other], raw=True)
    assert y.tolist() == np.full((3, 2, 2, 2), 14).tolist()
    with pytest.raises(ModelError):
        file_format.loads(content.replace(b"curve", b"x\0\0\0\0"))


def test_test_vectors(kind):
    tested = selftest.with_selftest(network(kind), selftest.random_example(network(kind)))
    assert tested.test is not None
    assert tested.test.checksums[0] != selftest.NOT_CHECKED
    assert selftest.exact_tensors(network(kind)) == {4}
    assert selftest.exact_tensors(network(kind, source="FLOAT32")) == set()  # its row says that engines differ in float


def test_inspect(kind):
    facts = inspect.describe(network(kind))
    (operator,) = facts["operators"]
    assert operator["inputs"] == {"input": "UFIXED8_4", "blended": "UFIXED8_4"}
    assert operator["constants"] == {"curve": "UFIXED8_4", "gain": "FIXED8_3"}
    assert (operator["window"], facts["macs"], facts["version"]) == ([2, 2], 7, NEWEST)
    text = inspect.report({**facts, "file": "net.kq", "file_bytes": 1})
    assert "curve" in text
    assert "2x2 stride 2x2" in text
    json.dumps(facts)
    assert "y" in inspect.memory_plan(network(kind))


def test_conformance(kind):
    model = network(kind)
    content = field_mutants.explicit(model)
    assert file_format.loads(content).operators[0].kind is kind
    assert fuzz.work(model) == 7 + 32 + 8 + 4 * 8
    assert fuzz.outcome(content) == "ran"
    assert ("kind", len(ops.TABLE) - 1) in {
        (name, scalar.code.unpack_from(content, place)[0]) for name, place, scalar in field_mutants.places(content).numbers
    }


def test_the_c_header(kind):
    """What the runtime has from the table as data: a member of the enum, operands by name, limits, attributes, overlaps."""
    public, header, tables = c_header.generate().values()
    assert "KQ_BLEND,\n  KQ_KINDS" in re.sub(r",\s+", ",\n  ", public)
    assert "KQ_BLEND_INPUT, KQ_BLEND_CURVE, KQ_BLEND_GAIN, KQ_BLEND_BLENDED" in header
    assert "KQ_BLEND_MOST_CHANNELS = 100" in header
    (row,) = re.findall(r"static const kq_operand blend\[\] = {\n(.*?)};", tables, re.DOTALL)
    assert "KQ_OVERLAP_WINDOW_OF_CHANNEL" in row
    assert "KQ_OPERAND_TRAILING" in row
    assert row.count("[KQ_BLEND_") == 4
    assert "KQ_USES_WINDOW" in tables[tables.index("[KQ_BLEND] = {") :]
