"""Damage that knows where the fields of a .kq file lie: most of these files still are networks, and many are accepted.

Random bytes mostly break the tables, and are refused before any rule of an operator is asked. Here a number takes another value
that its field may have, or constants take other bytes. `explicit` writes a network so that every field is in the file and can be
changed, those with their default, too.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from kerasq.format.generated import Clamp as ClampTable
from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.format.schema import MODEL, TYPES, Bytes, Field, Scalar, Vector
from kerasq.format.structure import Path, Walker
from kerasq.format.writer import Writer
from kerasq.verification.plan import needed_version


@dataclasses.dataclass(frozen=True)
class Places:
    """Where a file's values lie.

    Attributes:
        numbers: Name of the field, position and type of each number that is there.
        data: Begin and end of the bytes of each constant and test vector.
    """

    numbers: list[tuple[str, int, Scalar]]
    data: list[tuple[int, int]]


class _Finder(Walker):
    """Notes the places that it passes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.places = Places([], [])

    def field(self, position: int, field: Field, path: Path) -> object:
        name = str(path[1])
        if isinstance(field, Scalar):
            self.places.numbers.append((name, position, field))
        elif isinstance(field, Bytes):
            self.places.data.append(self.vector(self.reference(position, path), 1, self.length, path))
        elif isinstance(field, Vector) and isinstance(field.element, Scalar):
            start, end = self.vector(self.reference(position, path), 4, field.limit, path)
            self.places.numbers.extend((name, place, field.element) for place in range(start, end, 4))
        return super().field(position, field, path)


def places(content: bytes) -> Places:
    """Where the values of a sound file lie."""
    finder = _Finder(content)
    finder.budget *= 2  # vectors are visited twice
    finder.table(finder.reference(0, "root"), MODEL, "model")
    return finder.places


class _ExplicitWriter(Writer):
    """Writes every number, defaults included, and a Window and a Clamp for every operator."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.builder.ForceDefaults(True)

    def operator(self, operator: Operator, output: Tensor) -> int:
        if operator.clamp is None and output.format.is_fixed:
            operator = operator.replace(clamp=(output.format.min_int, output.format.max_int))
        return super().operator(operator, output)

    def clamp(self, limits: tuple[float, float], output: Tensor) -> int:
        low, high = limits
        ClampTable.Start(self.builder)
        ClampTable.AddMin(self.builder, 0 if output.format.is_float else int(low))
        ClampTable.AddMax(self.builder, 0 if output.format.is_float else int(high))
        ClampTable.AddMinFloat(self.builder, low if output.format.is_float else 0.0)
        ClampTable.AddMaxFloat(self.builder, high if output.format.is_float else 0.0)
        return ClampTable.End(self.builder)


def explicit(model: Model) -> bytes:
    """The bytes of a file of a sound model in which every number is written, defaults included."""
    return _ExplicitWriter(needed_version(model)).model(model)


def mutant(content: bytes, where: Places, chance: random.Random) -> bytes:
    """A copy with one to three values changed.

    Args:
        content: A sound file.
        where: Its `places`.
        chance: Decides what changes.
    """
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if where.data and chance.random() < 0.4:
            _change_data(changed, *chance.choice(where.data), chance)
        else:
            _change_number(changed, where, chance)
    return bytes(changed)


def _change_data(content: bytearray, start: int, end: int, chance: random.Random) -> None:
    """Some bytes of a constant, or a run of them, become random or extreme."""
    if start == end:
        return
    first = chance.randrange(start, end)
    length = min(chance.choice((1, 1, 2, 4, 16, 64, end - start)), end - first)
    extreme = chance.choice((b"\0", b"\x7f", b"\x80", b"\xff", b"\x01", b""))
    content[first : first + length] = extreme * length if extreme else chance.randbytes(length)


def _change_number(content: bytearray, where: Places, chance: random.Random) -> None:
    name, position, scalar = chance.choice(where.numbers)
    value = scalar.code.unpack_from(content, position)[0]
    change = _CHANGES.get(name, _any_number)
    _put(content, position, scalar, change(value, chance))
    if name in _OPPOSITE and chance.random() < 0.7:  # moved to the other side, the output keeps its size
        others = [(abs(place - position), place) for field, place, _ in where.numbers if field == _OPPOSITE[name]]
        for _, other in sorted(others)[:1]:
            opposite = scalar.code.unpack_from(content, other)[0]
            _put(content, other, scalar, opposite + value - scalar.code.unpack_from(content, position)[0])


def _put(content: bytearray, position: int, scalar: Scalar, value: float) -> None:
    if scalar.type == "float":
        scalar.code.pack_into(content, position, value)
    else:
        size = scalar.code.size
        content[position : position + size] = (int(value) & (1 << 8 * size) - 1).to_bytes(size, "little")


_OPPOSITE = {
    "padding_top": "padding_bottom",
    "padding_bottom": "padding_top",
    "padding_left": "padding_right",
    "padding_right": "padding_left",
}


def _near(value: float, chance: random.Random) -> float:
    return value + chance.choice((-2, -1, 1, 2))


def _any_number(value: float, chance: random.Random) -> float:
    if isinstance(value, float):
        return chance.choice((0.0, -0.0, -1.0, 6.0, 1e30, float("inf"), float("-inf"), float("nan")))
    return chance.choice((0, 1, 2, 3, 4, 16, 255, 65535, 1 << 20, -1, (1 << 31) - 1, value - 1, value + 1))


def _limit(value: float, chance: random.Random) -> float:
    return chance.choice((0, chance.randrange(-128, 128), chance.randrange(256), chance.randrange(-32768, 65536), value + 1))


def _among(*values: int) -> Callable[[float, random.Random], float]:
    return lambda value, chance: chance.choice(values)


def _place(value: float, chance: random.Random) -> float:
    return value + chance.choice((-64, -16, -4, 4, 16, 64, 1))


_CHANGES: dict[str, Callable[[float, random.Random], float]] = {
    "shape": _near,
    "type": _among(*range(len(TYPES))),
    "frac_bits": lambda value, chance: chance.choice((_near(value, chance), chance.randrange(-32, 64))),
    "offset": _place,
    "layout": _among(0, 1, 1, 2),
    "scratch_offset": _place,
    "scratch_bytes": _place,
    "kind": _among(*range(len(OperatorKind))),
    "inputs": lambda value, chance: chance.choice((_near(value, chance), -1, chance.randrange(8))),
    "outputs": _near,
    "zero": lambda value, chance: chance.choice((0, chance.randrange(256), chance.randrange(1 << 16), _near(value, chance))),
    "min": _limit,
    "max": _limit,
    "accumulator_bits": _among(0, 32, 64, 64),
    "total_bits": _among(0, 32, 64, 64),
    "arena_bytes": _place,
    "arena_alignment": _among(4, 8, 16, 32, 64, 256),
    **dict.fromkeys(_OPPOSITE, _near),
}
