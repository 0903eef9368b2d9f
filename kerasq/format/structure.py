"""From untrusted bytes to plain Python values: the structural rules of a .kq file.

FlatBuffers have no verifier in Python. This one walks the file once, as schema.py describes it, checks every number before
it is used as a position, and returns values, so that nothing after it touches the bytes again. The C loader follows
the same rules in the same order. All integers are little endian, positions count from the start of the file, and
`length` is its size; "the file has n bytes at p" means p + n <= length, computed without overflow.

1. File: 8 <= length <= MAX_FILE_BYTES; bytes 4 to 7 are "KRSQ". Bytes that nothing refers to are ignored.
2. Reference: a uint32 r stored at position p. r > 0; the target p + r is a multiple of 4; the file has 4 bytes there.
   The reference at position 0 leads to the table Model.
3. Table at t: an int32 s at t; its vtable lies at v = t - s, v >= 0, v even, and the file has 4 bytes at v: two uint16, the
   sizes of the vtable (even, at least 4, the file has that many bytes at v) and of the table (at least 4, the file has
   that many bytes at t).
4. Field i of a table: absent where the vtable is too short to hold a uint16 at v + 4 + 2i, or that number o is 0. Else
   o >= 4, o + size <= the table's size, and t + o is a multiple of size, the field's own size: 1, 2 or 4 (a reference: 4).
   Fields that the schema doesn't know are ignored.
5. Vector at its target p: a uint32 count at p, then the elements at p + 4, all inside the file; count at most the field's
   limit. The elements of a vector of tables or strings are references. As p is a multiple of 4, so is the position of the first
   element: constant data can be read as 32-bit words.
6. String: a vector of bytes that are UTF-8 (RFC 3629: shortest form, no surrogates) without a zero byte, and
   one zero byte after them, inside the file.
7. Reuse: tables, vectors (4 + their elements) and strings (4 + bytes + 1) may be referred to more than once, but their sizes,
   added up as often as they are reached from the root, stay at or under MAX_REUSE * length.

The depth of the tables is fixed by the schema, so nothing recurses without bound. The meaning of the values is not judged here.
"""

from __future__ import annotations

import struct
from typing import Any

from kerasq.format.errors import ModelError
from kerasq.format.model import FILE_IDENTIFIER
from kerasq.format.schema import (
    INT,
    MAX_FILE_BYTES,
    MAX_REUSE,
    MODEL,
    UINT,
    USHORT,
    Bytes,
    Field,
    Scalar,
    String,
    Table,
    Vector,
)


def parse(content: bytes) -> dict[str, Any]:
    """The table Model of a file as nested dicts, lists, strings, numbers and (for constant data) memoryviews of `content`.

    Raises:
        ModelError: The bytes break a rule; the first one found is reported, with the path of the field.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ModelError([f"a file has at most {MAX_FILE_BYTES} bytes. Received: {len(content)} bytes"])
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER:
        raise ModelError(["bytes 4 to 7 of a .kq file are 'KRSQ': this is another kind of file, or its beginning is damaged"])
    walker = Walker(content)
    return walker.table(walker.reference(0, "root"), MODEL, "model")


Path = str | tuple[Any, str | int]  # where a value lies: the root, or a field or an element of what lies at another path


class Walker:
    """The position-checked reads; `path` names the field for messages, and becomes text only there."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.view = memoryview(content)
        self.length = len(content)
        self.budget = MAX_REUSE * self.length
        self.vtables: dict[tuple[int, str], tuple[int, tuple[int, ...]]] = {}

    def read(self, scalar: Scalar, position: int) -> Any:
        """The number at a position that was checked."""
        return scalar.code.unpack_from(self.content, position)[0]

    def visit(self, size: int, path: Path) -> None:
        self.budget -= size
        if self.budget < 0:
            raise _damaged(path, f"the file refers to its own parts more than {MAX_REUSE} times over")

    def reference(self, position: int, path: Path) -> int:
        offset = self.read(UINT, position)
        target = position + offset
        if offset == 0 or target + 4 > self.length:
            raise _damaged(path, f"the reference at byte {position} leads out of the file")
        if target % 4:
            raise _damaged(path, f"the reference at byte {position} is not aligned to 4 bytes")
        return target

    def vtable(self, position: int, table: Table, path: Path) -> tuple[int, tuple[int, ...]]:
        """Size of the tables of a vtable, and where their fields begin; 0 where one is absent. Most tables share theirs."""
        shared = self.vtables.get((position, table.name))
        if shared is not None:
            return shared
        if not 0 <= position <= self.length - 4 or position % 2:
            raise _damaged(path, f"the vtable at byte {position} is outside the file or not aligned to 2 bytes")
        size, table_size = self.read(USHORT, position), self.read(USHORT, position + 2)
        if size < 4 or size % 2 or position + size > self.length:
            raise _damaged(path, f"a vtable of {size} bytes")
        count = len(table.fields)
        offsets = struct.unpack_from(f"<{min(size // 2 - 2, count)}H", self.content, position + 4)
        fields = self.vtables[position, table.name] = table_size, (*offsets, *[0] * (count - len(offsets)))
        return fields

    def table(self, start: int, table: Table, path: Path) -> dict[str, Any]:
        table_size, offsets = self.vtable(start - self.read(INT, start), table, path)
        if table_size < 4 or start + table_size > self.length:
            raise _damaged(path, f"a table of {table_size} bytes")
        self.visit(table_size, path)
        values: dict[str, Any] = {}
        for (name, field), offset in zip(table.fields.items(), offsets, strict=True):
            if offset == 0:
                values[name] = _absent(field)
                continue
            size = field.code.size if isinstance(field, Scalar) else 4
            if not 4 <= offset <= table_size - size:
                raise _damaged((path, name), "the field lies outside its table")
            if (start + offset) % size:
                raise _damaged((path, name), f"the field is not aligned to {size} bytes")
            values[name] = self.field(start + offset, field, (path, name))
        return values

    def field(self, position: int, field: Field, path: Path) -> Any:
        if isinstance(field, Scalar):
            return field.code.unpack_from(self.content, position)[0]
        target = self.reference(position, path)
        if isinstance(field, Table):
            return self.table(target, field, path)
        if isinstance(field, String):
            return self.string(target, path)
        if isinstance(field, Bytes):
            return self.view[slice(*self.vector(target, 1, self.length, path))]
        start, end = self.vector(target, 4, field.limit, path)
        element = field.element
        if isinstance(element, Scalar):
            return [value for (value,) in element.code.iter_unpack(self.view[start:end])]
        paths = ((position, (path, index)) for index, position in enumerate(range(start, end, 4)))
        targets = ((self.reference(position, path), path) for position, path in paths)
        if isinstance(element, String):
            return [self.string(target, path) for target, path in targets]
        return [self.table(target, element, path) for target, path in targets]

    def vector(self, position: int, size: int, limit: int, path: Path) -> tuple[int, int]:
        """Begin and end of the elements of a vector."""
        count = self.read(UINT, position)
        start = position + 4
        if count > (self.length - start) // size:
            raise _damaged(path, f"a vector of {count} elements leads out of the file")
        if count > limit:
            raise _damaged(path, f"a vector of {count} elements, where at most {limit} are allowed")
        self.visit(4 + size * count, path)
        return start, start + size * count

    def string(self, position: int, path: Path) -> str:
        start, end = self.vector(position, 1, self.length, path)
        self.visit(1, path)
        if end == self.length or self.content[end] != 0:
            raise _damaged(path, "a string does not end in a zero byte")
        text = self.content[start:end]
        if 0 in text:
            raise _damaged(path, "a string contains a zero byte")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise _damaged(path, "a string is not UTF-8") from None


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError([f"{_shown(path)}: {problem}; the file is damaged or not made by kerasq"])


def _shown(path: Path) -> str:
    if isinstance(path, str):
        return path
    outer, inner = path
    return _shown(outer) + (f"[{inner}]" if isinstance(inner, int) else f".{inner}")


def _absent(field: Field) -> Any:
    if isinstance(field, Scalar):
        return field.default
    if isinstance(field, String):
        return ""
    return [] if isinstance(field, Vector) else None
