"""Each structural rule of a file, broken once; and the schema as data against the schema as text."""

import copy
import re
import tracemalloc

import pytest

from format.broken_files import DAMAGE, GOOD
from format.kq_bytes import MINIMAL, build
from kerasq.format import ModelError, loads, regenerate, schema
from kerasq.format.schema import Bytes, Scalar, String, Vector
from kerasq.format.structure import parse


def test_values_arrive():
    read = parse(GOOD)
    assert read["version"] == 1
    sound = {"name": "x", "shape": [1, 8], "type": 2, "frac_bits": 4, "data": None, "offset": 0, "layout": 0}
    assert read["tensors"][0] == sound
    assert bytes(read["tensors"][2]["data"]) == MINIMAL["tensors"][2]["data"]
    assert read["operators"][0]["window"] is None
    assert read["metadata"] == [{"key": "producer", "value": "a test"}]
    assert len(loads(GOOD).tensors) == 3


def test_absent_fields_have_defaults():
    read = parse(build({"operators": [{"window": {"height": 3}}], "tensors": [{}]}))
    assert read["version"] == 0
    assert read["inputs"] == []
    assert read["tensors"][0]["name"] == ""
    window = read["operators"][0]["window"]
    assert (window["height"], window["stride_height"], window["dilation_width"], window["groups"]) == (3, 1, 1, 1)


def test_bytes_that_nothing_refers_to_are_ignored():
    assert loads(GOOD + b"appended").tensor("x").shape == (1, 8)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused(name):
    damage, message = DAMAGE[name]
    with pytest.raises(ModelError, match=re.escape(message)):
        parse(damage(GOOD))


@pytest.mark.parametrize("text", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82"])
def test_strings_are_strict_utf8(text):
    content = build({"metadata": [{"key": "abcd"[: len(text)]}]})
    with pytest.raises(ModelError, match="UTF-8"):
        parse(content.replace(b"abcd"[: len(text)] + b"\0", text + b"\0"))


@pytest.mark.parametrize("damaged", [b"ab\0d", b"ab\xffd", b"abcd\x01"])
def test_strings_of_a_vector_are_checked_like_others(damaged):
    content = build(MINIMAL | {"output_names": ["abcd"]})
    assert parse(content)["output_names"] == ["abcd"]
    with pytest.raises(ModelError, match=r"model.output_names\[0\]: a string"):
        parse(content.replace((b"abcd\0")[: len(damaged)], damaged))


def test_string_at_the_end_of_the_file():
    content = build({"metadata": [{"key": "abc"}]})
    end = content.index(b"abc\0") + 3
    moved = content[:end]
    with pytest.raises(ModelError, match="does not end"):
        parse(moved)


@pytest.mark.parametrize("size", range(0, len(GOOD), 4))
def test_every_prefix_is_refused_or_complete(size):
    try:
        model = loads(GOOD[:size])
    except ModelError:
        return
    assert model.tensor("w").data.tolist() == [[1, -1, 1], [-1, 1, -1]]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("tensors", 0, "shape"), [1] * 5, "a vector of 5 elements, where at most 4"),
        (("metadata",), [{"key": str(i)} for i in range(257)], "a vector of 257 elements, where at most 256"),
        (("inputs",), [0] * 65537, "a vector of 65537 elements, where at most 65536"),
        (("input_names",), ["a"] * 257, "a vector of 257 elements, where at most 256"),
    ],
)
def test_limits(path, value, message):
    content = copy.deepcopy(MINIMAL)
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ModelError, match=re.escape(message)):
        parse(build(content))


def test_sharing_is_limited():
    data = bytes(100_000)
    tensors = [{"name": f"w{i}", "shape": [1, 800_000], "type": 8, "data": data} for i in range(200)]
    content = build({**MINIMAL, "tensors": [*MINIMAL["tensors"][:2], *tensors]})
    assert len(content) < 120_000
    tracemalloc.start()
    with pytest.raises(ModelError, match="more than 8 times"):
        loads(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_a_small_file_takes_little_memory():
    content = copy.deepcopy(MINIMAL)
    for tensor in content["tensors"][:2]:
        tensor["shape"] = [1, 2**30 - 16]
    content["tensors"][1]["offset"] = 2**30
    content["arena_bytes"] = 2**31 - 1
    content = build(content)
    tracemalloc.start()
    model = loads(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.tensor("x").shape == (1, 2**30 - 16)
    assert peak < 1_000_000


def test_schema_as_data_is_the_schema():
    text = re.sub(r"//.*|\(.*?\)", "", regenerate.SCHEMA.read_text())
    enums = dict(re.findall(r"enum (\w+) : ubyte \{(.*?)\}", text, re.S))
    assert tuple(re.findall(r"\b[A-Z]\w+", enums["Type"])) == schema.TYPES
    tables = {
        name: re.findall(r"(\w+): (\[?\w+\]?)\s*(?:= (\d+))?\s*;", body)
        for name, body in re.findall(r"table (\w+) \{(.*?)\}", text, re.S)
    }
    assert set(tables) == {"Tensor", "Window", "Clamp", "Operator", "Metadata", "SelfTest", "Model"}
    for table in (getattr(schema, name) for name in ("TENSOR", "WINDOW", "CLAMP", "OPERATOR", "METADATA", "SELF_TEST", "MODEL")):
        described = [
            (name, type_name(field), field.default if isinstance(field, Scalar) else 0) for name, field in table.fields.items()
        ]
        written = [(name, "ubyte" if type in enums else type, int(default or 0)) for name, type, default in tables[table.name]]
        assert described == written, table.name


def type_name(field):
    if isinstance(field, Scalar):
        return field.type
    if isinstance(field, String):
        return "string"
    if isinstance(field, Bytes):
        return "[ubyte]"
    if isinstance(field, Vector):
        return f"[{type_name(field.element)}]"
    return field.name
