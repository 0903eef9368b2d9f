"""A small sound file, and one for each rule of the structure and of the reader that breaks it."""

import copy
import struct

from format.kq_bytes import MINIMAL, build
from kerasq.format import OperatorKind
from kerasq.format.model import FORMAT_VERSION
from kerasq.format.schema import TYPES


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


KINDS = len(OperatorKind)
GOOD = build(MINIMAL)
VERSION, TENSORS, OPERATORS, INPUTS = range(4)
NAME = GOOD.index(b"\x01\0\0\0x\0")  # count, then the text


def with_field(path, value):
    """The file of MINIMAL with another value in the field that `path` leads to."""
    content = copy.deepcopy(MINIMAL)
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return build(content)


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

READER_RULES = {
    "version 0": (("version",), 0, f"version 0 of the format: this is a reader of 1..{FORMAT_VERSION}"),
    "version of the future": (("version",), FORMAT_VERSION + 1, f"version {FORMAT_VERSION + 1}"),
    "type": (
        ("tensors", 0, "type"),
        len(TYPES),
        f"tensor 0 'x': there are types 0..{len(TYPES) - 1}. Received: type={len(TYPES)}",
    ),
    "kind": (("operators", 0, "kind"), KINDS, f"operator 0: there are kinds 0..{KINDS - 1}. Received: kind={KINDS}"),
    "frac_bits too large": (("tensors", 0, "frac_bits"), 64, "tensor 0 'x': frac_bits of FIXED8 lie in -32..63. Received"),
    "frac_bits too small": (("tensors", 1, "frac_bits"), -33, "tensor 1 'y': frac_bits"),
    "frac_bits of SIGN": (("tensors", 2, "frac_bits"), 1, "tensor 2 'w': frac_bits of SIGN lie in 0..0"),
    "too few bytes": (("tensors", 2, "data"), bytes(4), "tensor 2 'w': SIGN data of shape (2, 3) takes 8 bytes"),
    "too many bytes": (("tensors", 2, "data"), bytes(12), "tensor 2 'w': SIGN data of shape (2, 3) takes 8 bytes"),
    "no bytes": (("tensors", 2, "data"), b"", "tensor 2 'w': SIGN data of shape (2, 3) takes 8 bytes"),
    "spare bits": (("tensors", 2, "data"), b"\x08" + bytes(7), "tensor 2 'w': SIGN data of shape (2, 3): a bit after"),
    "rank 0 constant": (("tensors", 2, "shape"), [], "tensor 2 'w': a tensor has 1 to 4 axes"),
    "axis of 0 in a constant": (("tensors", 2, "shape"), [0, 3], "tensor 2 'w': every axis has at least 1 element"),
    "huge constant": (("tensors", 2, "shape"), [2**31, 2], "tensor 2 'w': a tensor has at most 2147483647 elements"),
    "constant with an offset": (("tensors", 2, "offset"), 16, "tensor 2 'w': a constant has no place in the arena"),
    "key twice": (("metadata",), [{"key": "a"}, {"key": "a"}], "a metadata key occurs twice"),
    "empty test vector": (
        ("test",),
        {"checksums": [1]},
        "the test vector's input must have 8 bytes, all inputs together",
    ),
    "empty key": (("metadata",), [{"value": "a"}], "metadata are texts without NUL, under keys that are not empty"),
}
