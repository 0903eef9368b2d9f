"""Each structural rule of a file, broken once; and the schema as data against the schema as text."""

import copy
import re
import struct
import tracemalloc

import pytest

from format.kq_bytes import MINIMAL, build
from kerasq.format import ModelError, loads, regenerate, schema
from kerasq.format.schema import Bytes, Scalar, String, Vector
from kerasq.format.structure import parse


def u16(content, position):
    return struct.unpack_from("<H", content, position)[0]


def u32(content, position):
    return struct.unpack_from("<I", content, position)[0]


def root(content):
    return u32(content, 0)


def vtable(content, table=None):
    table = root(content) if table is None else table
    return table - struct.unpack_from("<i", content, table)[0]


def field(content, slot):
    """Position of a field of the root table."""
    return root(content) + u16(content, vtable(content) + 4 + 2 * slot)


def target(content, position):
    return position + u32(content, position)


def put(content, position, code, value):
    changed = bytearray(content)
    struct.pack_into(code, changed, position, value)
    return bytes(changed)


GOOD = build(MINIMAL)
VERSION, TENSORS, OPERATORS, INPUTS = range(4)
NAME = GOOD.index(b"\x01\0\0\0x\0")  # count, then the text


def test_values_arrive():
    read = parse(GOOD)
    assert read["version"] == 1
    assert read["tensors"][0] == {"name": "x", "shape": [1, 8], "type": 2, "frac_bits": 4, "data": None, "offset": 0}
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


DAMAGE = {
    "empty": (lambda c: b"", "KRSQ"),
    "cut in the identifier": (lambda c: c[:7], "KRSQ"),
    "other identifier": (lambda c: c[:4] + b"TFL3" + c[8:], "KRSQ"),
    "root reference 0": (lambda c: put(c, 0, "<I", 0), "root: the reference"),
    "root at the end": (lambda c: put(c, 0, "<I", len(c) - 3), "root: the reference"),
    "root reference negative": (lambda c: put(c, 0, "<i", -4), "root: the reference"),
    "root not aligned": (lambda c: put(c, 0, "<I", root(c) + 2), "not aligned"),
    "vtable before the file": (lambda c: put(c, root(c), "<i", root(c) + 2), "model: the vtable"),
    "vtable behind the file": (lambda c: put(c, root(c), "<i", root(c) - len(c) + 2), "model: the vtable"),
    "vtable odd": (lambda c: put(c, root(c), "<i", 5), "model: the vtable"),
    "vtable distance INT_MIN": (lambda c: put(c, root(c), "<i", -(2**31)), "model: the vtable"),
    "vtable of 2 bytes": (lambda c: put(c, vtable(c), "<H", 2), "a vtable of 2 bytes"),
    "vtable of odd size": (lambda c: put(c, vtable(c), "<H", 19), "a vtable of 19 bytes"),
    "vtable too large": (lambda c: put(c, vtable(c), "<H", 65534), "a vtable of 65534 bytes"),
    "table of 2 bytes": (lambda c: put(c, vtable(c) + 2, "<H", 2), "a table of 2 bytes"),
    "table too large": (lambda c: put(c, vtable(c) + 2, "<H", 65535), "a table of 65535 bytes"),
    "field over the vtable distance": (lambda c: put(c, vtable(c) + 4, "<H", 3), "model.version: the field lies outside"),
    "field behind its table": (
        lambda c: put(c, vtable(c) + 4, "<H", u16(c, vtable(c) + 2) - 3),
        "model.version: the field lies outside",
    ),
    "field not aligned": (lambda c: put(c, vtable(c) + 4, "<H", 6), "model.version: the field is not aligned to 4"),
    "vector reference 0": (lambda c: put(c, field(c, INPUTS), "<I", 0), "model.inputs: the reference"),
    "vector reference out": (lambda c: put(c, field(c, INPUTS), "<I", 0xFFFFFFFC), "model.inputs: the reference"),
    "vector too long": (lambda c: put(c, target(c, field(c, INPUTS)), "<I", 1000), "model.inputs: a vector of 1000"),
    "vector of -1": (lambda c: put(c, target(c, field(c, INPUTS)), "<i", -1), "model.inputs: a vector of 4294967295"),
    "tensors of 2**30": (lambda c: put(c, target(c, field(c, TENSORS)), "<I", 1 << 30), "model.tensors: a vector"),
    "tensor reference 0": (lambda c: put(c, target(c, field(c, TENSORS)) + 4, "<I", 0), "model.tensors[0]: the ref"),
    "string without end": (lambda c: put(c, NAME + 5, "<B", 1), "model.tensors[0].name: a string does not end"),
    "string with a zero": (lambda c: put(c, NAME + 4, "<B", 0), "model.tensors[0].name: a string contains"),
    "string too long": (lambda c: put(c, NAME, "<I", len(c)), "model.tensors[0].name: a vector"),
    "string not UTF-8": (lambda c: put(c, NAME + 4, "<B", 0xFF), "model.tensors[0].name: a string is not UTF-8"),
}


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
    assert set(tables) == {"Tensor", "Window", "Clamp", "Operator", "Metadata", "Model"}
    for table in (schema.TENSOR, schema.WINDOW, schema.CLAMP, schema.OPERATOR, schema.METADATA, schema.MODEL):
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
