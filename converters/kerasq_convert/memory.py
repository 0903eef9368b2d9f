"""The memory plan: where in the arena each activation lies.

Tensors whose lifetimes meet must not overlap. The largest are placed first, each at the lowest offset that is free during
its whole life (greedy by size: Pisarchyk and Lee 2020, arXiv:2001.03288); ties go to the longer-lived, then to the earlier.
The smallest arena of several such orders is taken. One that is as small as the lower bound is optimal.
"""

from __future__ import annotations

import dataclasses

from kerasq.format import Model
from kerasq.format.plan import aligned, reusable_input

Span = tuple[int, int]


def plan_memory(model: Model) -> Model:
    """`model` with an offset for every activation and the size of the arena."""
    spans = model.lifetimes()
    shared = _shared_places(model, spans)
    lives: dict[int, Span] = {}
    sizes: dict[int, int] = {}
    for index, (first, last) in spans.items():
        place = shared.get(index, index)
        known = lives.get(place, (first, last))
        lives[place] = min(known[0], first), max(known[1], last)
        sizes[place] = max(sizes.get(place, 0), aligned(model.tensors[index].nbytes, model.arena_alignment))
    orders = (
        lambda place: (-sizes[place], lives[place][0] - lives[place][1], lives[place][0]),
        lambda place: (lives[place][0] - lives[place][1], -sizes[place], lives[place][0]),
        lambda place: (lives[place][0], -sizes[place], lives[place][1]),
    )
    plans = [_place(sorted(lives, key=order), lives, sizes) for order in orders]
    offsets = min(plans, key=lambda plan: _height(plan, sizes))
    tensors = tuple(
        dataclasses.replace(tensor, offset=offsets[shared.get(index, index)]) if index in spans else tensor
        for index, tensor in enumerate(model.tensors)
    )
    return dataclasses.replace(model, tensors=tensors, arena_bytes=_height(offsets, sizes))


def _shared_places(model: Model, spans: dict[int, Span]) -> dict[int, int]:
    """Activations that take over the place of another: the output of an in-place operator lies where its input did."""
    shared: dict[int, int] = {}
    for position, operator in enumerate(model.operators):
        source = reusable_input(model, position, spans)
        if source is not None:
            shared[operator.outputs[0]] = shared.get(source, source)
    return shared


def _place(order: list[int], lives: dict[int, Span], sizes: dict[int, int]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for place in order:
        first, last = lives[place]
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if lives[other][0] <= last and first <= lives[other][1]
        )
        offset = 0
        for start, end in taken:
            if offset + sizes[place] <= start:
                break
            offset = max(offset, end)
        offsets[place] = offset
    return offsets


def _height(offsets: dict[int, int], sizes: dict[int, int]) -> int:
    return max((offset + sizes[place] for place, offset in offsets.items()), default=0)
