"""Buffers placed in an arena as small as can be.

Two buffers that are alive at the same time lie one below the other. `below[i][j]` is the least distance from the beginning of
buffer i to that of buffer j above it: the size of i, or less where i is an output that may lie over its input j
(kerasq.verification.overlap). Once it is decided which buffer of every such pair is the lower one, each buffer may lie as low as
the buffers below it allow. So there is a smallest arena in which each buffer, taken in the order of offsets, lies at the lowest
offset above all earlier buffers that it meets. The search goes through these orders.

The search leaves an order in two cases. First, a remaining buffer, or all remaining buffers of one time together, can't lie below
the best height so far. Second, the same buffers were placed before, below the best height, and every remaining buffer could lie
at least as low then: a lower placement would have come of that. The search starts from greedy placements by size, by length of
life and by time; the first of them is mostly the optimum (Pisarchyk and Lee 2020, arXiv:2001.03288). If the search runs out of
steps, the best placement so far is taken, and the bound tells how far it may be from the optimum. It counts steps, not seconds:
the same network gives the same plan everywhere.

A bound for a stretch of time is a bound for the whole time, and the buffers that are hard to place are mostly alive in a short
stretch. So the stretches around the busiest operator are searched alone, and the other buffers are placed around the result. Most
plans that the whole search can't finish become optimal in this way, and are proven to be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from kerasq.verification.plan import together

Span = tuple[int, int]
STEPS = 20_000  # of the search through one problem
_KEPT = 8  # ways to have placed the same buffers that are remembered


@dataclasses.dataclass(frozen=True)
class Problem:
    """Buffers to be placed.

    Attributes:
        sizes: Bytes, in multiples of the alignment.
        spans: First and last time, both included, at which each is alive.
        overlaps: Of buffer i below buffer j, the distance of their beginnings where it may be less than i's size.
    """

    sizes: tuple[int, ...]
    spans: tuple[Span, ...]
    overlaps: tuple[tuple[tuple[int, int], int], ...] = ()

    def below(self) -> list[dict[int, int]]:
        """For each buffer the buffers that it meets, each with the least distance by which it begins below that one."""
        count, distances = len(self.sizes), dict(self.overlaps)
        return [
            {
                j: min(distances.get((i, j), self.sizes[i]), self.sizes[i])
                for j in range(count)
                if i != j and self.spans[i][0] <= self.spans[j][1] and self.spans[j][0] <= self.spans[i][1]
            }
            for i in range(count)
        ]

    def times(self) -> list[tuple[int, ...]]:
        """The sets of buffers that are alive together at some time; no set that is part of another one."""
        alive = [
            frozenset(i for i, (first, last) in enumerate(self.spans) if first <= time <= last)
            for time in sorted({first for first, _ in self.spans})
        ]
        return [tuple(sorted(group)) for group in dict.fromkeys(alive) if not any(group < other for other in alive)]

    def during(self, first: int, last: int) -> tuple[Problem, list[int]]:
        """The buffers alive at these times only, and their numbers here."""
        kept = [i for i, span in enumerate(self.spans) if span[0] <= last and first <= span[1]]
        number = {i: k for k, i in enumerate(kept)}
        spans = tuple((max(self.spans[i][0], first), min(self.spans[i][1], last)) for i in kept)
        overlaps = tuple(((number[i], number[j]), d) for (i, j), d in self.overlaps if i in number and j in number)
        return Problem(tuple(self.sizes[i] for i in kept), spans, overlaps), kept


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the buffers lie.

    Attributes:
        offsets: Of each buffer.
        height: Bytes of the arena.
        bound: Bytes that no arena can do without; as many as `height`: the placement is optimal.
    """

    offsets: tuple[int, ...]
    height: int
    bound: int


def place(problem: Problem, bound: int, steps: int = STEPS) -> Placement:
    """The best placement found.

    Args:
        problem: What to place.
        bound: Bytes that are known to be needed.
        steps: How long to search: the buffers placed, in all.
    """
    offsets = min(greedy(problem), key=lambda placed: _height(problem, placed), default=[])
    height = _height(problem, offsets)
    if height > bound:
        search = Search(problem, height, bound, steps)
        if search.run():
            bound = search.height
        if search.best is not None:
            offsets, height = search.best, search.height
    return Placement(tuple(offsets), height, bound)


def improved(problem: Problem, best: Placement, centre: int, steps: int = STEPS) -> Placement:
    """A placement and a bound that are at least as good, from longer and longer stretches of time around `centre`."""
    last_time = max(last for _, last in problem.spans)
    for reach in range(1, 12):
        if best.bound >= best.height:
            break
        first, last = centre - reach, centre + reach
        part, kept = problem.during(first, last)
        search = Search(part, best.height, best.bound, steps)
        is_finished = search.run()
        if search.best is not None:
            fixed = dict(zip(kept, search.best, strict=True))
            offsets = min(greedy(problem, fixed), key=lambda placed: _height(problem, placed))
            if (height := _height(problem, offsets)) < best.height:
                best = Placement(tuple(offsets), height, best.bound)
        if not is_finished:
            break
        best = dataclasses.replace(best, bound=max(best.bound, search.height))
        if first < 0 and last > last_time:
            break
    return best


def greedy(problem: Problem, fixed: Mapping[int, int] | None = None) -> Iterable[list[int]]:
    """Placements of one buffer after the other, each at the lowest offset that is free, around those that have one already."""
    sizes, spans, below = problem.sizes, problem.spans, problem.below()
    orders: Sequence[Callable[[int], tuple[int, ...]]] = (
        lambda i: (-sizes[i], spans[i][0] - spans[i][1], spans[i][0]),
        lambda i: (spans[i][0] - spans[i][1], -sizes[i], spans[i][0]),
        lambda i: (spans[i][0], -sizes[i], spans[i][1]),
        lambda i: (-spans[i][1], -sizes[i], spans[i][0]),  # an output below its input, that below its own
    )
    for order in orders:
        offsets = dict(fixed or {})
        for i in sorted(set(range(len(sizes))) - offsets.keys(), key=order):
            taken = sorted((offsets[j] - distance, offsets[j] + below[j][i]) for j, distance in below[i].items() if j in offsets)
            offset = 0
            for start, end in taken:
                if offset <= start:
                    break
                offset = max(offset, end)
            offsets[i] = offset
        yield [offsets[i] for i in range(len(sizes))]


def _height(problem: Problem, offsets: Sequence[int]) -> int:
    return max((offset + size for offset, size in zip(offsets, problem.sizes, strict=True)), default=0)


class Search:
    """The search for a placement lower than `height`; it ends at `bound`, or when `steps` are used up."""

    def __init__(self, problem: Problem, height: int, bound: int, steps: int):
        self.sizes, self.below, self.times = problem.sizes, problem.below(), problem.times()
        self.height, self.bound, self.steps = height, bound, steps
        self.best: list[int] | None = None
        self.over = {
            (time, i): over
            for time, group in enumerate(self.times)
            for i in group
            if (over := [j for j in group if j != i and self.below[i][j] < self.sizes[i]])
        }
        self.offsets = [0] * len(problem.sizes)
        self.seen: dict[frozenset[int], list[tuple[int, list[int]]]] = {}

    def run(self) -> bool:
        """Whether the search came to its end: then nothing is lower than `height`."""
        return self._extend(frozenset(range(len(self.sizes))), [0] * len(self.sizes), 0)

    def _extend(self, left: frozenset[int], lowest: list[int], top: int) -> bool:
        """Places the buffers `left`: each lies at its offset in `lowest` or higher, and none begins below the one placed last.

        `top` is where the highest buffer that is placed ends.

        Returns:
            Whether the search came to its end before the steps were used up.
        """
        if top >= self.height:
            return True
        if not left:
            self.best, self.height = list(self.offsets), top
            return True
        if not self._promising(left, lowest) or self._seen_before(left, lowest, top):
            return True
        # A buffer that fits below what another one would begin at may as well come before that one.
        first_end = min(lowest[i] + self.sizes[i] for i in left)
        for i in sorted(left, key=lambda i: (lowest[i], -self.sizes[i], -i)):
            if self.height <= self.bound:
                return True
            if lowest[i] >= first_end:
                return True
            if self.steps <= 0:
                return False
            self.steps -= 1
            self.offsets[i] = offset = lowest[i]
            raised = [max(offset, low) for low in lowest]
            for j, distance in self.below[i].items():
                raised[j] = max(raised[j], offset + distance)
            if not self._extend(left - {i}, raised, max(top, offset + self.sizes[i])):
                return False
        return True

    def _promising(self, left: frozenset[int], lowest: list[int]) -> bool:
        """Whether the remaining buffers may fit below the best height: each buffer, and all buffers of one time together."""
        if any(lowest[i] + self.sizes[i] >= self.height for i in left):
            return False
        for time, group in enumerate(self.times):
            inside = [i for i in group if i in left]
            if len(inside) > 1:
                needed = sum(self.sizes[i] for i in inside)
                for i in inside:
                    over = [j for j in self.over.get((time, i), ()) if j in left]
                    if over:
                        inputs = [(self.sizes[j], self.below[i][j]) for j in over]
                        needed += together(self.sizes[i], inputs) - self.sizes[i] - sum(size for size, _ in inputs)
                if min(lowest[i] for i in inside) + needed >= self.height:
                    return False
        return True

    def _seen_before(self, left: frozenset[int], lowest: list[int], top: int) -> bool:
        """Whether the same buffers were placed before, below the best height, and the others could lie as low as now or lower."""
        state = [lowest[i] for i in sorted(left)]
        earlier = [(end, other) for end, other in self.seen.get(left, ()) if end < self.height]
        if any(all(a <= b for a, b in zip(other, state, strict=True)) for _, other in earlier):
            return True
        self.seen[left] = [*earlier, (top, state)][-_KEPT:]
        return False
