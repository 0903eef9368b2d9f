"""The tables of kerasq.fbs as data: what structure.py walks through.

The order of fields and enum members is that of the schema (a test compares the two texts). Absent scalars read as their
default, absent vectors as empty, absent strings as "", and only `Tensor.data` and the nested tables tell absent from empty.
"""

from __future__ import annotations

import dataclasses
import struct

from kerasq.format.generated.enums import TYPES as TYPES  # families of QFormats, in the order of the enum Type

MAX_FILE_BYTES = 1 << 30  # so that positions, and sums of a position and any small number, fit 32 bits
MAX_TENSORS = 1 << 16
MAX_OPERATORS = 1 << 16
MAX_METADATA = 256
MAX_NAMES = 256  # of inputs, and of outputs
MAX_NAME_BYTES = 1024  # of a tensor, an input or an output
MAX_RANK = 4
MAX_SIZE = (1 << 16) - 1  # of what a Window says: strides, sizes of pooling, numbers of groups ...
MIN_ALIGNMENT = 4  # of the arena: engines read 16- and 32-bit values where they lie
MAX_ALIGNMENT = 256
# Objects of a file may be shared, but following every reference must not visit more than this many times the file's bytes:
# otherwise a small file could describe an enormous model.
MAX_REUSE = 8
# Values of multipliers and biases, counted for each operator that uses them: a kernel is summed once, whatever the number of its
# operators, so that no file makes a verifier read much more than it holds.
MAX_VECTOR_READS = 1 << 26


@dataclasses.dataclass(frozen=True)
class Scalar:
    """A number inside a table or a vector, aligned to its own size."""

    type: str
    code: struct.Struct
    default: int | float = 0

    def with_default(self, default: int) -> Scalar:
        return dataclasses.replace(self, default=default)


@dataclasses.dataclass(frozen=True)
class String:
    """UTF-8 text."""


@dataclasses.dataclass(frozen=True)
class Bytes:
    """A vector of ubyte, read as a view on the file; `None` where absent."""


@dataclasses.dataclass(frozen=True)
class Vector:
    """A vector of numbers, or of references to texts or tables, of at most `limit` elements."""

    element: Scalar | String | Table
    limit: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: its fields in the order of their vtable slots."""

    name: str
    fields: dict[str, Field]


Field = Scalar | String | Bytes | Vector | Table


UBYTE = Scalar("ubyte", struct.Struct("<B"))
BYTE = Scalar("byte", struct.Struct("<b"))
USHORT = Scalar("ushort", struct.Struct("<H"))
INT = Scalar("int", struct.Struct("<i"))
UINT = Scalar("uint", struct.Struct("<I"))
FLOAT = Scalar("float", struct.Struct("<f"), 0.0)
STRING = String()
BYTES = Bytes()
INDICES = Vector(INT, MAX_TENSORS)
NAMES = Vector(STRING, MAX_NAMES)

TENSOR = Table(
    "Tensor",
    {
        "name": STRING,
        "shape": Vector(UINT, MAX_RANK),
        "type": UBYTE,
        "frac_bits": BYTE,
        "data": BYTES,
        "offset": UINT,
        "layout": UBYTE,
    },
)
WINDOW = Table(
    "Window",
    {
        "height": USHORT,
        "width": USHORT,
        "stride_height": USHORT.with_default(1),
        "stride_width": USHORT.with_default(1),
        "dilation_height": USHORT.with_default(1),
        "dilation_width": USHORT.with_default(1),
        "padding_top": USHORT,
        "padding_bottom": USHORT,
        "padding_left": USHORT,
        "padding_right": USHORT,
        "groups": USHORT.with_default(1),
        "centered": USHORT,
        "zero": USHORT,
    },
)
CLAMP = Table("Clamp", {"min": INT, "max": INT, "min_float": FLOAT, "max_float": FLOAT})
OPERATOR = Table(
    "Operator",
    {
        "kind": UBYTE,
        "inputs": INDICES,
        "outputs": INDICES,
        "window": WINDOW,
        "clamp": CLAMP,
        "accumulator_bits": UBYTE,
        "total_bits": UBYTE,
        "scratch_offset": UINT,
        "scratch_bytes": UINT,
    },
)
METADATA = Table("Metadata", {"key": STRING, "value": STRING})
SELF_TEST = Table("SelfTest", {"input": BYTES, "checksums": Vector(UINT, MAX_OPERATORS)})
MODEL = Table(
    "Model",
    {
        "version": UINT,
        "tensors": Vector(TENSOR, MAX_TENSORS),
        "operators": Vector(OPERATOR, MAX_OPERATORS),
        "inputs": INDICES,
        "outputs": INDICES,
        "arena_bytes": UINT,
        "arena_alignment": UINT,
        "metadata": Vector(METADATA, MAX_METADATA),
        "test": SELF_TEST,
        "input_names": NAMES,
        "output_names": NAMES,
    },
)
