"""The memory plan of a model: what is alive when, whether places collide, and how small the arena could be.

An activation occupies its bytes, rounded up to the arena's alignment, from the operator that writes it (inputs of the network:
from before the first) to the last one that reads it (outputs: to the end). Tensors that are alive together may not overlap, with
one exception: a RESHAPE moves nothing, so its output may take exactly the place of its input where nobody needs the input later.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator

from kerasq.format.model import Model, OperatorKind


def aligned(size: int, alignment: int) -> int:
    """`size` rounded up to a multiple of `alignment`."""
    return -(-size // alignment) * alignment


def reusable_input(model: Model, position: int, spans: dict[int, tuple[int, int]]) -> int | None:
    """The input whose place the output of operator `position` may take over; `None` if there is none.

    Args:
        spans: `model.lifetimes()`.
    """
    operator = model.operators[position]
    if operator.kind is not OperatorKind.RESHAPE or len(operator.inputs) != 1:
        return None
    index = operator.inputs[0]
    return index if index in spans and spans[index][1] == position else None


def live_bytes(model: Model) -> list[int]:
    """Bytes of activations alive during each operator, every tensor rounded up to `model.arena_alignment`.

    A RESHAPE that may work in place counts its input and output once. Offsets are not looked at: they need not exist yet.
    """
    return profile(model)[1:-1]


def lower_bound(model: Model) -> int:
    """Bytes that no arena for this order of operators can do without: the most that is ever alive at once.

    A multiple of the alignment, as every tensor is rounded up to it: a plan whose arena, rounded up too, is no larger is optimal.
    """
    return max(profile(model))


def profile(model: Model) -> list[int]:
    """Live bytes before the first operator, during each operator, and after the last: `live_bytes` with both ends."""
    spans = model.lifetimes()
    sizes = {index: aligned(model.tensors[index].nbytes, model.arena_alignment) for index in spans}
    changes = [0] * (len(model.operators) + 3)
    for index, (first, last) in spans.items():
        changes[first + 1] += sizes[index]
        changes[last + 2] -= sizes[index]
    totals = list(itertools.accumulate(changes[:-1]))
    for position in range(len(model.operators)):
        shared = reusable_input(model, position, spans)
        if shared is not None:
            totals[position + 1] -= sizes[shared]
    return totals


def collisions(model: Model) -> Iterator[str]:
    """Pairs of activations that are alive together and overlap in the arena, as sentences.

    The model's indices and offsets must be valid. A sweep over the operators keeps the places in use sorted by offset:
    they are disjoint, so a new one can only collide with its two neighbours. One that collides is reported and left out.
    """
    spans = model.lifetimes()
    births: dict[int, list[int]] = {}
    deaths: dict[int, list[int]] = {}
    for index, (first, last) in spans.items():
        births.setdefault(first, []).append(index)
        deaths.setdefault(last, []).append(index)
    in_use: list[tuple[int, int, int]] = []  # offset, end, index
    for position in range(-1, len(model.operators) + 1):
        taken_over = reusable_input(model, position, spans) if 0 <= position < len(model.operators) else None
        for index in births.get(position, ()):
            place = _place(model, index)
            if taken_over is not None and place[0] == _place(model, taken_over)[0]:
                _remove(in_use, _place(model, taken_over))
            slot = bisect.bisect_left(in_use, place)
            neighbours = in_use[max(slot - 1, 0) : slot + 1]
            hit = next((other for other in neighbours if other[0] < place[1] and place[0] < other[1]), None)
            if hit is None:
                in_use.insert(slot, place)
            else:
                yield (
                    f"tensor {index} {model.tensors[index].name!r} at bytes {place[0]}..{place[1]} of the arena overlaps "
                    f"tensor {hit[2]} {model.tensors[hit[2]].name!r} at {hit[0]}..{hit[1]} while both are in use"
                )
        for index in deaths.get(position, ()):
            _remove(in_use, _place(model, index))


def _place(model: Model, index: int) -> tuple[int, int, int]:
    tensor = model.tensors[index]
    assert tensor.offset is not None
    return tensor.offset, tensor.offset + tensor.nbytes, index


def _remove(in_use: list[tuple[int, int, int]], place: tuple[int, int, int]) -> None:
    slot = bisect.bisect_left(in_use, place)
    if slot < len(in_use) and in_use[slot] == place:
        del in_use[slot]
