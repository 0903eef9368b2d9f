"""Every field of a file is used and checked, or refused where it is set: Python's list of users and C's are the same."""

import dataclasses
import re

import numpy as np
import pytest

from conformance.compared import unchecked, whole
from format.field_changes import plain
from format.kq_bytes import build
from kerasq.conformance import parity, sanitized
from kerasq.format import ModelError, OperatorKind, loads
from kerasq.format.schema import CLAMP, METADATA, MODEL, OPERATOR, SELF_TEST, TENSOR, TYPES, WINDOW
from kerasq.format.structure import parse
from kerasq.ops import TABLE
from kerasq.ops.checks import ATTRIBUTES
from networks import NetworkBuilder
from ops.broken_operators import WINDOW_ATTRIBUTES, valid

BAD_CODE, BAD_DATA, BAD_PLACE, BAD_LINK, BAD_PLAN, BAD_OPERAND = "6", "10", "11", "12", "13", "14"  # kq_status in kerasq.h
BAD_ATTRIBUTE, OVERFLOW = "15", "17"

# The fields of a Window by attribute, in the schema's order; values that differ from the default.
WINDOW_FIELDS = {
    "window": ("height", "width"),
    "strides": ("stride_height", "stride_width"),
    "dilations": ("dilation_height", "dilation_width"),
    "padding": ("padding_top", "padding_bottom", "padding_left", "padding_right"),
    "groups": ("groups",),
    "centered": ("centered",),
    "zero": ("zero",),
}
# Fields that have a meaning in every file, so that any value is either right or wrong.
ALWAYS = [
    (TENSOR, ("name", "shape", "type")),
    (CLAMP, ()),
    (OPERATOR, ("kind", "inputs", "outputs", "window", "clamp", "accumulator_bits")),
    (METADATA, ("key", "value")),
    (SELF_TEST, ("input", "checksums")),
    (MODEL, tuple(MODEL.fields)),
]
# The others: each has a test below.
SOMETIMES = {
    "Tensor": ("frac_bits", "data", "offset", "layout"),
    "Clamp": ("min", "max", "min_float", "max_float"),
    "Operator": ("total_bits", "scratch_offset", "scratch_bytes"),
}


def content(kind, buffers="FIXED8_4"):
    """A sound file of one operator as nested dicts."""
    return plain(parse(unchecked(whole(valid(kind, buffers)))))


def outcome(fields, runtime):
    """The status for which both refuse the file; "ran" where both run it. Anything else is a MismatchError."""
    written = build(fields)
    word, *details = runtime.answer(written)
    assert parity.compare(written, runtime) == word
    return word if word == "ran" else details[0]


def test_every_field_of_the_schema_is_accounted_for():
    assert [name for names in WINDOW_FIELDS.values() for name in names] == list(WINDOW.fields)
    for table, always in ALWAYS:
        assert sorted((*always, *SOMETIMES.get(table.name, ()))) == sorted(table.fields), table.name


def test_the_lists_of_both_languages_agree():
    """Who uses an attribute, C has from the table of operators (kerasq.ops.c_header); its defaults are those of the schema."""
    source = (sanitized.RUNTIME / "src" / "kq_load.c").read_text()
    rows = re.findall(r"^ +\{\.fields = (\d), \.absent = (\d), \.use = KQ_USES_(\w+)\},$", source, re.MULTILINE)
    theirs = {use.lower(): (int(fields), int(absent)) for fields, absent, use in rows}
    ours = {}
    for name, fields in WINDOW_FIELDS.items():
        (default,) = {WINDOW.fields[field].default for field in fields}
        assert ATTRIBUTES[name] in (default, (default,) * len(fields))
        assert {kind for kind, spec in TABLE.items() if name in spec.attributes} == set(WINDOW_ATTRIBUTES[name][1])
        ours[name] = len(fields), default
    assert list(theirs.items()) == list(ours.items())


@pytest.mark.parametrize("kind", OperatorKind)
def test_attributes_of_a_window(kind, runtime):
    """Each field alone, in a Window that else has its defaults."""
    refused = 0
    for attribute, names in WINDOW_FIELDS.items():
        for name in names:
            for value in (WINDOW.fields[name].default + 1, 7, 65535):
                fields = content(kind)
                (operator,) = fields["operators"]
                operator["window"] = {**operator.get("window", {}), name: value}
                status = outcome(fields, runtime)
                if attribute not in TABLE[kind].attributes:
                    assert status == BAD_ATTRIBUTE, name
                    with pytest.raises(ModelError, match=f"{attribute} must be .* does not use it"):
                        loads(build(fields))
                    refused += 1
    unused = [name for attribute, names in WINDOW_FIELDS.items() if attribute not in TABLE[kind].attributes for name in names]
    assert refused == 3 * len(unused)


@pytest.mark.parametrize("kind", OperatorKind)
def test_defaults_written_out_are_no_attributes(kind, runtime):
    fields = content(kind)
    (operator,) = fields["operators"]
    operator["window"] = {**{name: field.default for name, field in WINDOW.fields.items()}, **operator.get("window", {})}
    assert outcome(fields, runtime) == "ran"


@pytest.mark.parametrize("kind", OperatorKind)
def test_total_bits(kind, runtime):
    fields = content(kind)
    (operator,) = fields["operators"]
    assert (operator["total_bits"] > 0) == ("total_bits" in TABLE[kind].attributes)
    if operator["total_bits"] == 0:
        operator["total_bits"] = 32
        assert outcome(fields, runtime) == OVERFLOW


@pytest.mark.parametrize("kind", [kind for kind in OperatorKind if kind != "LOOKUP"])
def test_limits_of_the_other_kind_of_output(kind, runtime):
    fixed, floating = content(kind), content("ADD")
    for tensor in floating["tensors"]:
        tensor["type"] = tensor["frac_bits"] = 0
    for tensor in range(3):
        floating["tensors"][tensor]["offset"] = 256 * tensor
    floating["arena_bytes"] = 768
    floating["operators"][0]["accumulator_bits"] = 0
    for fields, used, unused in ((fixed, ("min", "max"), ("min_float", "max_float")), (floating, ("min_float",), ("min", "max"))):
        clamp = fields["operators"][0]["clamp"] = dict.fromkeys(used, 0)
        assert outcome(fields, runtime) == "ran"
        clamp.update(dict.fromkeys(unused, 0))
        assert outcome(fields, runtime) == "ran"
        for name in unused:
            for value in (1, -1) if name in ("min", "max") else (1.0, -0.0, float("nan"), 1e-45):
                clamp[name] = value
                assert outcome(fields, runtime) == BAD_ATTRIBUTE
                with pytest.raises(ModelError, match=f"operator 0: a clamp's {name} is 0"):
                    loads(build(fields))
            clamp[name] = 0


@pytest.mark.parametrize(
    ("is_constant", "changes", "status"),
    [
        (True, {"frac_bits": 1}, BAD_CODE),  # of a SIGN kernel
        (True, {"offset": 16}, BAD_PLACE),
        (False, {"type": 0, "frac_bits": 1}, BAD_CODE),
        (False, {"data": bytes(60)}, BAD_LINK),
        (False, {"layout": 1}, BAD_CODE),
        (False, {}, "ran"),
    ],
)
def test_fields_of_tensors(is_constant, changes, status, runtime):
    """frac_bits belong to FIXED and UFIXED, data to constants, an offset to activations."""
    fields = content("DENSE")
    tensor = next(t for t in fields["tensors"] if t["type"] == TYPES.index("SIGN" if is_constant else "FIXED8"))
    tensor.update(changes)
    assert outcome(fields, runtime) == status


def test_layouts_are_for_kernels_of_convolutions(runtime):
    """Even numbers of rows, of multiples of four values, of FIXED8: everything else is refused."""
    statuses = {}
    for kind, family, shape in (
        ("CONV_2D", "FIXED8_4", (2, 1, 1, 4)),
        ("CONV_2D", "FIXED8_4", (3, 1, 1, 4)),
        ("CONV_2D", "FIXED8_4", (2, 1, 1, 6)),
        ("CONV_2D", "FIXED16_4", (2, 1, 1, 4)),
        ("CONV_2D", "FIXED4_4", (2, 1, 1, 4)),
        ("DENSE", "FIXED8_4", (2, 4)),
    ):
        net = NetworkBuilder()
        x = net.activation("x", (1, 2, 2, shape[-1]) if kind == "CONV_2D" else (1, shape[-1]), "FIXED8_4")
        kernel = net.constant("kernel", np.ones(shape), family)
        fields = plain(parse(unchecked(net.build((x,), (net.apply(kind, (x, kernel, -1, -1), "FIXED8_3"),)))))
        assert outcome(fields, runtime) == "ran"
        fields["tensors"][kernel]["layout"] = 1
        statuses[kind, family, shape] = outcome(fields, runtime)
        fields["tensors"][kernel]["layout"] = 2
        assert outcome(fields, runtime) == BAD_CODE
    assert list(statuses.values()) == ["ran", BAD_DATA, BAD_DATA, BAD_DATA, BAD_DATA, BAD_OPERAND]


@pytest.mark.parametrize(
    ("offset", "size", "status"),
    [
        (144, 16, "ran"),
        (144, 3, "ran"),
        (160, 0, "ran"),
        (176, 0, BAD_PLACE),
        (152, 8, BAD_PLACE),
        (144, 17, BAD_PLACE),
        (160, 16, BAD_PLACE),
        (2**32 - 16, 32, BAD_PLACE),
        (128, 16, BAD_PLAN),
        (128, 32, BAD_PLAN),
        (0, 1, BAD_PLAN),
        (0, 160, BAD_PLAN),
    ],
)
def test_scratch_memory(offset, size, status, runtime):
    """Inside the arena, aligned, and over nothing that is in use."""
    net = NetworkBuilder()
    x = net.activation("x", (1, 64), "FIXED8_4")
    model = net.build((x,), (net.apply("QUANTIZE", (x,), "FIXED8_3", shape=(1, 64)),))
    model = dataclasses.replace(model, arena_bytes=160)
    if status == BAD_PLAN and offset == 128:  # the output's last bytes
        model = dataclasses.replace(model, tensors=(model.tensors[0], dataclasses.replace(model.tensors[1], offset=80)))
    fields = plain(parse(unchecked(model)))
    fields["operators"][0] |= {"scratch_offset": offset, "scratch_bytes": size}
    assert outcome(fields, runtime) == status
