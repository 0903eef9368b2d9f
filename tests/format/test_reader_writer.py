"""Models to files and back: nothing is lost, the same model gives the same bytes, and a bad file is refused with reasons."""

import copy
import dataclasses
import os
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest

from format.broken_files import READER_RULES, with_field
from format.kq_bytes import MINIMAL, build
from kerasq.conformance.samples import SAMPLES, ModelBuilder
from kerasq.format import Model, ModelError, Operator, OperatorKind, Tensor, dump, dumps, load, loads, reader, schema, structure
from kerasq.format.schema import TYPES
from kerasq.qformat import QFormat


def assert_same(first: Model, second: Model) -> None:
    for one, other in zip(first.tensors, second.tensors, strict=True):
        assert (one.name, one.shape, one.format, one.offset) == (other.name, other.shape, other.format, other.offset)
        assert one.is_constant == other.is_constant
        if one.is_constant:
            assert one.data.dtype == other.data.dtype
            np.testing.assert_array_equal(one.data, other.data, err_msg=one.name)
    without_tensors = [dataclasses.replace(model, tensors=()) for model in (first, second)]
    assert dataclasses.asdict(without_tensors[0]) == dataclasses.asdict(without_tensors[1])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def with_constant(format: str, *shape: int, name: str = "w") -> Model:
    """x -> QUANTIZE -> y, and a constant that nobody reads."""
    net = ModelBuilder(seed=len(shape))
    x = net.activation("x", "FIXED8_-3", 1, 4)
    net.constant(name, format, *shape)
    net.operator(OperatorKind.QUANTIZE, [x], net.activation("y", "FIXED16_0", 1, 4))
    return net.model([x])


@pytest.mark.parametrize(("sample", "version"), [("wide", 1), ("gated", 2), ("narrow", 4), ("labelled", 5)])
def test_a_file_records_the_version_that_has_all_of_it(sample, version):
    assert reader.recorded_version(dumps(SAMPLES[sample](), compact=False)) == version
    assert reader.recorded_version(dumps(SAMPLES[sample]())) == max(version, 3)


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples_survive(sample):
    model = SAMPLES[sample]()
    content = dumps(model)
    assert_same(loads(content), model)
    assert dumps(loads(content)) == content


@pytest.mark.parametrize("family", TYPES)
@pytest.mark.parametrize("shape", [(1,), (3,), (3, 5), (2, 3, 3, 7), (5, 1, 1, 33)])
@pytest.mark.parametrize("frac_bits", [-32, -2, 0, 12, 63])
def test_every_storage_survives(family, shape, frac_bits):
    name = family if QFormat.parse(family).frac_bits is not None else f"{family}_{frac_bits}"
    model = with_constant(name, *shape)
    assert_same(loads(dumps(model)), model)


def test_sign_with_every_number_of_channels():
    for channels in range(1, 131):
        model = with_constant("SIGN", 3, channels)
        assert_same(loads(dumps(model)), model)
        assert model.tensor("w").nbytes == 3 * 4 * -(-channels // 32)


@pytest.mark.parametrize(
    "metadata", [{}, {"producer": ""}, {"ключ": "值 🙂", "a": "line\nbreak"}, {f"key {i}": "v" * i for i in range(256)}]
)
def test_metadata_survive(metadata):
    model = dataclasses.replace(with_constant("SIGN", 1), metadata=metadata)
    assert loads(dumps(model)).metadata == metadata


@pytest.mark.parametrize("name", ["Schicht/größe", "層", "a b\tc\n", "x" * 1024, "'\"\\"])
def test_names_survive(name):
    assert loads(dumps(with_constant("FIXED8_1", 2, name=name))).tensors[1].name == name


def test_operator_attributes_survive():
    model = SAMPLES["wide"]()
    operator = Operator(
        OperatorKind.CONV_2D,
        model.operators[0].inputs,
        model.operators[0].outputs,
        dilations=(2, 2),
        padding=(1, 1, 1, 1),
        clamp=(3, 65535),
        accumulator_bits=64,
        total_bits=64,
    )
    changed = dataclasses.replace(model, operators=(operator, *model.operators[1:]))
    assert loads(dumps(changed)).operators[0] == operator
    assert dumps(changed) != dumps(model)


@pytest.mark.parametrize("names", [("a",), ("dir/x:0 größe",), ("x" * 1024,)])
def test_names_of_inputs_and_outputs_survive(names):
    plain = with_constant("FIXED8_1", 2)
    model = dataclasses.replace(plain, input_names=names, output_names=(f"{names[0]}"[:1],))
    assert_same(loads(dumps(model)), model)
    assert model.named_inputs() == {names[0]: 0}
    assert plain.named_inputs() == {"x": 0}
    assert plain.named_outputs() == {"y": 2}


def test_readers_that_know_no_names_read_files_with_names(monkeypatch):
    model = SAMPLES["named"]()
    content = dumps(model, compact=False)
    known = {name: field for name, field in schema.MODEL.fields.items() if not name.endswith("_names")}
    fields = structure.parse(content)
    monkeypatch.setattr(structure, "MODEL", schema.Table("Model", known))
    assert structure.parse(content) == {name: value for name, value in fields.items() if name in known}
    assert fields["version"] == 1


def test_files_without_names_are_the_bytes_that_they_were_before_there_were_names():
    contents = [dumps(make(), compact=False) for name, make in SAMPLES.items() if name in ("binary", "float", "wide")]
    assert [zlib.crc32(content) for content in contents] == [2893196856, 3365806783, 2811151607]


def test_test_vector_survives():
    model = SAMPLES["tested"]()
    assert len(model.test.input) == 18
    assert len(model.test.checksums) == 3
    content = dumps(model)
    assert loads(content).test == model.test
    without = dataclasses.replace(model, test=None)
    assert loads(dumps(without)).test is None
    assert len(dumps(without)) < len(content)


@pytest.mark.parametrize("clamp", [(0.0, float("inf")), (float("-inf"), 0.5), (-1.5, 2.0**100), (1.0, 1.0)])
def test_float_clamp_survives(clamp):
    net = ModelBuilder()
    x = net.activation("x", "FLOAT32", 1, 4)
    net.operator(OperatorKind.QUANTIZE, [x], net.activation("y", "FLOAT32", 1, 4), clamp=clamp)
    assert loads(dumps(net.model([x]))).operators[0].clamp == clamp


@pytest.mark.parametrize("sample", SAMPLES)
def test_same_model_same_bytes(sample):
    first, second = SAMPLES[sample](), SAMPLES[sample]()
    reordered = dataclasses.replace(second, metadata=dict(reversed(second.metadata.items())))
    assert dumps(first) == dumps(reordered)


def test_equal_parts_are_stored_once():
    """Ten more layers like the first cost their tables, names and indices: not their shapes, windows and vtables."""

    def layers(count):
        net = ModelBuilder()
        x = last = net.activation("x", "FIXED8_0", 1, 4, 4, 1)
        for index in range(count):
            y = net.activation(f"{index:02}", "FIXED8_0", 1, 4, 4, 1)
            last = net.operator(OperatorKind.MAX_POOL_2D, [last], y, window=(3, 3), padding=(1, 1, 1, 1))
        return len(dumps(net.model([x])))

    operator, tensor, references, name, indices = 24, 24, 2 * 4, 8, 2 * 8
    assert layers(20) - layers(10) <= 10 * (operator + tensor + references + name + indices)


@pytest.mark.parametrize(("compact", "alignment"), [(False, 16), (True, 4)])
def test_constants_are_aligned_and_packed(compact, alignment):
    model = SAMPLES["binary"]()
    content = dumps(model, compact=compact)
    kernel = model.tensor("conv/kernel")
    rows = np.pad(kernel.data.reshape(5, 27) > 0, ((0, 0), (0, 5)))
    packed = np.packbits(rows, axis=1, bitorder="little").tobytes()
    assert len(packed) == 20
    assert content.count(packed) == 1
    assert content.index(packed) % alignment == 0


def test_loaded_constants_are_read_only():
    for tensor in loads(dumps(SAMPLES["binary"]())).constants():
        assert not tensor.data.flags.writeable, tensor.name


def test_dump_and_load(tmp_path):
    model = SAMPLES["binary"]()
    path = tmp_path / "model.kq"
    dump(model, path)
    assert path.read_bytes() == dumps(model)
    assert_same(load(str(path)), model)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode


def test_dump_replaces(tmp_path):
    path = tmp_path / "model.kq"
    path.write_bytes(b"old")
    dump(SAMPLES["wide"](), path)
    assert load(path).tensor("x").shape == (1, 5, 5, 1)
    assert names(tmp_path) == ["model.kq"]


@pytest.mark.parametrize(("owner", "step"), [(os, "open"), (os, "write"), (os, "fsync"), (Path, "replace")])
def test_failed_dump_leaves_nothing(tmp_path, monkeypatch, owner, step):
    path = tmp_path / "model.kq"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(OSError, match="disk full"):
        dump(SAMPLES["wide"](), path)
    monkeypatch.undo()
    assert names(tmp_path) == ["model.kq"]
    assert path.read_bytes() == b"old"


def test_refused_model_is_not_written(tmp_path):
    model = SAMPLES["wide"]()
    with pytest.raises(ModelError, match="never written"):
        dump(dataclasses.replace(model, operators=()), tmp_path / "model.kq")
    assert names(tmp_path) == []


def test_zero_sign_is_refused_by_name():
    model = with_constant("SIGN", 2, 3, name="conv/kernel")
    data = model.tensor("conv/kernel").data.copy()
    data[1, 1] = 0
    broken = Tensor("conv/kernel", (2, 3), QFormat.parse("SIGN"), data)
    with pytest.raises(ValueError, match=r"'conv/kernel': SIGN stores \+1 and -1. Received: 1 zeros"):
        dumps(dataclasses.replace(model, tensors=(model.tensors[0], broken, model.tensors[2])))


@pytest.mark.parametrize("rule", READER_RULES)
def test_file_rules(rule):
    path, value, message = READER_RULES[rule]
    with pytest.raises(ModelError) as caught:
        loads(with_field(path, value))
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_all_problems_are_listed_under_the_name_of_the_file(tmp_path):
    content = copy.deepcopy(MINIMAL)
    content["tensors"][0]["type"] = 77
    content["operators"][0]["kind"] = 99
    path = tmp_path / "broken.kq"
    path.write_bytes(build(content))
    with pytest.raises(ModelError) as caught:
        load(path)
    assert len(caught.value.problems) == 2
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path} is not a usable kerasq model: 2 problems"
    assert [line.removeprefix("  - ") for line in lines[1:]] == caught.value.problems


def test_error_survives_pickling():
    error = pickle.loads(pickle.dumps(ModelError(["one", "two"], "model.kq")))
    assert (error.problems, error.source) == (["one", "two"], "model.kq")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.kq")
