"""Any content as FlatBuffers bytes, sensible or not: what kerasq's own writer refuses to write."""

from __future__ import annotations

from typing import Any

import flatbuffers

from kerasq.format.schema import MODEL, Bytes, Scalar, String, Table, Vector

MINIMAL: dict[str, Any] = {
    "version": 1,
    "tensors": [
        {"name": "x", "shape": [1, 8], "type": 2, "frac_bits": 4, "offset": 0},
        {"name": "y", "shape": [1, 8], "type": 2, "frac_bits": 3, "offset": 16},
        {"name": "w", "shape": [2, 3], "type": 8, "data": bytes([5, 0, 0, 0, 2, 0, 0, 0])},
    ],
    "operators": [{"kind": 7, "inputs": [0], "outputs": [1], "accumulator_bits": 32}],
    "inputs": [0],
    "outputs": [1],
    "arena_bytes": 32,
    "arena_alignment": 16,
    "metadata": [{"key": "producer", "value": "a test"}],
}


def build(content: dict[str, Any], table: Table = MODEL) -> bytes:
    """The file of a table given as nested dicts; fields left out are absent, and equal objects (by identity) are shared."""
    builder = flatbuffers.Builder()
    written: dict[int, int] = {}

    def write(value: Any, field: Any) -> int:
        if id(value) not in written:
            written[id(value)] = write_new(value, field)
        return written[id(value)]

    def write_new(value: Any, field: Any) -> int:
        if isinstance(field, String):
            return builder.CreateString(value)
        if isinstance(field, Bytes):
            return builder.CreateByteVector(bytes(value))
        if isinstance(field, Vector):
            is_reference = isinstance(field.element, Table | String)
            positions = [write(item, field.element) for item in value] if is_reference else None
            builder.StartVector(4, len(value), 4)
            for index in reversed(range(len(value))):
                if positions is None:
                    builder.Place(value[index], number(field.element))
                else:
                    builder.PrependUOffsetTRelative(positions[index])
            return builder.EndVector()
        positions = {name: write(value[name], field.fields[name]) for name in value if not is_scalar(field, name)}
        builder.StartObject(len(field.fields))
        for slot, name in enumerate(field.fields):
            if name in positions:
                builder.PrependUOffsetTRelativeSlot(slot, positions[name], 0)
            elif name in value:
                builder.Prepend(number(field.fields[name]), value[name])
                builder.Slot(slot)
        return builder.EndObject()

    builder.Finish(write(content, table), b"KRSQ")
    return bytes(builder.Output())


def is_scalar(table: Table, name: str) -> bool:
    return isinstance(table.fields[name], Scalar)


def number(scalar: Scalar) -> Any:
    types = flatbuffers.number_types
    return {
        "ubyte": types.Uint8Flags,
        "byte": types.Int8Flags,
        "ushort": types.Uint16Flags,
        "int": types.Int32Flags,
        "uint": types.Uint32Flags,
        "float": types.Float32Flags,
    }[scalar.type]
