"""What a compact file leaves out: names that follow from others, outputs that follow from the order, and data that come again."""

import dataclasses

import numpy as np
import pytest

import kerasq
from format.kq_bytes import MINIMAL, build
from kerasq import ops
from kerasq.conformance import parity
from kerasq.conformance.samples import SAMPLES, ModelBuilder
from kerasq.format import ModelError, OperatorKind, dumps, loads, reader
from kerasq.format.names import CONSTANTS, named, stripped, without_implied
from kerasq.format.structure import parse
from kerasq.format.writer import Writer
from kerasq.selftest import random_example
from random_graphs import random_graph


def names(model):
    return [tensor.name for tensor in model.tensors]


def renamed(model, changes):
    """`model` with other names for some of its tensors, by index."""
    tensors = [dataclasses.replace(tensor, name=changes.get(index, tensor.name)) for index, tensor in enumerate(model.tensors)]
    return dataclasses.replace(model, tensors=tuple(tensors))


def weighted(seed=0):
    """Two Dense operators, one after the other, with multipliers and biases, and a table."""
    net = ModelBuilder(seed)
    x, y, z, t = (net.activation(name, "FIXED8_4", 1, 4) for name in ("x", "a_relu/output", "b/output", "out"))
    for layer, source, output in (("a", x, y), ("b", y, z)):
        parts = {
            "kernel": net.constant(f"{layer}/kernel", "FIXED8_4", 4, 4),
            "multiplier": net.constant(f"{layer}/multiplier", "FIXED16_12", 4),
            "bias": net.constant(f"{layer}/bias", "FIXED16_8", 4),
        }
        net.operator(OperatorKind.DENSE, {"input": source, **parts}, output)
    table = net.constant("out/table", "FIXED8_4", 256)
    net.operator(OperatorKind.LOOKUP, {"input": z, "table": table}, t)
    return net.model(inputs=[x])


def test_constants_by_name_are_those_of_the_rows():
    rows = {kind: {o.name: place for place, o in enumerate(row.operands) if o.constant} for kind, row in ops.TABLE.items()}
    assert {kind: row for kind, row in rows.items() if row} == CONSTANTS


def test_names_that_follow_from_others_are_not_in_the_file():
    model = weighted()
    content = dumps(model)
    written = [tensor["name"] for tensor in parse(content)["tensors"]]
    assert [name for name in written if name] == ["x", "a_relu/output", "b/output", "out", "a/kernel", "b/kernel"]
    assert names(loads(content)) == names(model)
    assert parse(content)["version"] == 3
    assert parse(dumps(model, compact=False))["version"] == 2  # of LOOKUP


@pytest.mark.parametrize("seed", range(16))
def test_random_graphs_keep_names_bytes_and_results(seed, runtime):
    model = random_graph(seed)
    content, classic, short = dumps(model), dumps(model, compact=False), dumps(stripped(model))
    assert len(short) <= len(content) <= len(classic)
    assert names(loads(content)) == names(loads(classic)) == names(model)
    assert dumps(loads(content)) == content
    assert dumps(loads(short)) == short
    assert dumps(loads(content), compact=False) == classic
    kept = {model.tensors[index].name for index in (*model.inputs, *model.outputs)}
    assert {tensor["name"] for tensor in parse(short)["tensors"]} == {"", *kept} or len(model.tensors) == len(kept)
    example = random_example(model, seed)
    results = []
    for version in (content, classic, short):
        assert parity.compare(version, runtime) != "refused"
        interpreter = kerasq.Interpreter(model_content=version)
        interpreter.allocate_tensors()
        for index, value in zip(model.inputs, example, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        results.append([interpreter.get_tensor(index).tobytes() for index in model.outputs])
    assert results[0] == results[1] == results[2]


def test_stripped_names_tell_positions():
    assert names(stripped(weighted())) == [
        "x", "0/output", "1/output", "out",
        *(f"{k}/{part}" for k in (0, 1) for part in ("kernel", "multiplier", "bias")), "out/table",
    ]  # fmt: skip


def test_names_that_are_taken_get_numbers():
    model = renamed(weighted(), {1: "1/output", 2: "", 4: "", 5: "0/kernel", 6: "0/bias", 7: "n" * 1024, 8: ""})
    filled = named(model)
    assert filled.tensors[2].name == "1/output:1"
    assert filled.tensors[4].name == "0/kernel:1"
    assert filled.tensors[8].name == "1/multiplier"  # its kernel's name is too long to be followed by more
    assert names(loads(dumps(filled))) == names(filled)


def test_swapped_names_are_written():
    model = weighted()
    swapped = renamed(model, {5: "a/bias", 6: "a/multiplier"})
    assert names(loads(dumps(swapped))) == names(swapped)


@pytest.mark.parametrize("end", [0, 3])
def test_inputs_and_outputs_need_names(end, runtime):
    content = Writer(3).model(renamed(weighted(), {end: ""}))
    with pytest.raises(ModelError, match="a name is a text"):
        loads(content)
    assert parity.compare(content, runtime) == "refused"


def test_an_operator_behind_the_last_activation_has_no_output(runtime):
    model = weighted()

    class Without(Writer):
        def operators(self, model):
            return [(operator.replace(outputs=()), model.output(operator)) for operator in model.operators]

    assert dumps(loads(Without(3).model(model))) == dumps(model)
    last = dataclasses.replace(model, operators=(*model.operators, model.operators[-1]))
    content = Without(3).model(last)
    with pytest.raises(ModelError, match="an output is the index of an activation"):
        loads(content)
    assert parity.compare(content, runtime) == "refused"


def test_no_operator_walks_over_all_constants_to_its_output(runtime):
    """Every other operator computes the first tensor again; behind that, and before the last, there are only constants."""
    count, reads = 4096, []

    class Counted(dict):
        def __getitem__(self, name):
            reads.append(name)
            return super().__getitem__(name)

    first, last = ({"name": name, "shape": [1, 8], "type": 2, "frac_bits": 4, "offset": 0} for name in "xy")
    constant = {"shape": [1], "type": 2, "data": b"\0"}
    tensors = [first, *[constant] * count, last]
    operator = {"kind": 7, "inputs": [0], "accumulator_bits": 32}
    content = MINIMAL | {"tensors": tensors, "operators": [operator | {"outputs": [0]}, operator] * (count // 2)}
    padded = build(content)
    padded += bytes(len(padded))  # a file refers to its parts no more than eight times over
    fields = parse(padded)
    fields["tensors"] = [Counted(tensor) for tensor in fields["tensors"]]
    reader._imply_outputs(fields)
    assert [operator["outputs"] for operator in fields["operators"]] == [[0], [count + 1]] * (count // 2)
    assert len(reads) <= 2 * len(tensors)
    assert parity.compare(padded, runtime) == "refused"


def test_constants_that_hold_the_same_share_their_bytes():
    net = ModelBuilder()
    x = net.activation("x", "FIXED8_4", 1, 256)
    data = np.arange(256, dtype=np.int8)
    for number in range(30):
        table = net.constant(f"t{number}", "FIXED8_4", 256, data=data)
        x = net.operator(OperatorKind.LOOKUP, {"input": x, "table": table}, net.activation(f"y{number}", "FIXED8_4", 1, 256))
    model = net.model(inputs=[0])
    content = dumps(model)
    assert content.count(data.tobytes()) == 8  # four share one: readers refuse files that describe far more
    assert len(loads(content).tensors) == len(model.tensors)


def test_the_names_that_are_left_out_come_back_for_samples():
    for make in SAMPLES.values():
        model = make()
        assert names(named(without_implied(model))) == names(model)
