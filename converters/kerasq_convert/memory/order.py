"""The order of operators that keeps the fewest bytes alive at once.

The buffers that are alive after a set of operators has run do not depend on the order in which they ran. So the sets are the
nodes of a graph, and each operator leads from one set to another. The best order is the path from the empty set to that of all
operators whose largest step is smallest; the search is Dijkstra's, with maxima in place of sums. Networks are chains with few
branches, so there are few sets. The search gives up beyond `STATES` of them, or `MOVES` ways out of them, and then each time runs
the operator that leaves the fewest bytes alive. (An unrolled recurrent layer has as many branches as steps.)

Some operators may as well run at once: those that are ready, need no more bytes than were needed before, and leave no more bytes
alive than there were. In any order such an operator can move forward and makes nothing worse, since fewer bytes are alive from
then until the place where it stood. Where there is one, the search tries nothing else.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from kerasq.format.model import ABSENT, Model
from kerasq.verification import overlap
from kerasq.verification.plan import aligned, together

STATES = 20_000
MOVES = 200_000


def best_order(model: Model) -> tuple[list[int], int | None]:
    """Operators in the order that keeps the fewest bytes alive, and how many those are.

    Returns:
        Positions of the operators in `model`; and the bytes that no arena can do without in any order, or `None` where the
        search gave up. The model's own order where none is better.
    """
    own = list(range(len(model.operators)))
    search = _Search(model)
    needed = search.peak(own)
    best = search.run(needed, MOVES)
    if best is None:
        greedy = search.greedy()
        return (greedy if search.peak(greedy) < needed else own), None
    order, bound = best
    return (own, bound) if bound >= needed else (order, bound)


def least_bytes(model: Model, most_moves: int) -> int | None:
    """Bytes that no arena can do without in any order of operators.

    Args:
        most_moves: Ways beyond which the search gives up, and the result is `None`.
    """
    search = _Search(model)
    best = search.run(search.peak(list(range(len(model.operators)))), most_moves)
    return None if best is None else best[1]


class _Search:
    def __init__(self, model: Model):
        self.model = model
        self.sizes = {i: aligned(t.nbytes, model.arena_alignment) for i, t in enumerate(model.tensors) if not t.is_constant}
        self.reads = [
            list(dict.fromkeys(i for i in operator.inputs if i != ABSENT and i in self.sizes)) for operator in model.operators
        ]
        self.writes = [operator.outputs[0] for operator in model.operators]
        self.readers: dict[int, int] = dict.fromkeys(self.sizes, 0)  # sets of operators, a bit each
        self.below: list[dict[int, int]] = []  # how far below what an operator reads its output may lie, where over it at all
        for position, operator in enumerate(model.operators):
            for i in self.reads[position]:
                self.readers[i] |= 1 << position
            below = {i: overlap.distance(model, operator, i) for i in self.reads[position]}
            self.below.append({i: aligned(far, model.arena_alignment) for i, far in below.items() if far is not None})
        producer = {output: position for position, output in enumerate(self.writes)}
        self.needs = [sum({1 << producer[i] for i in reads if i in producer}) for reads in self.reads]
        self.following: list[list[int]] = [[] for _ in self.writes]  # the operators that read what one writes
        for position, needs in enumerate(self.needs):
            for before in _places(needs):
                self.following[before].append(position)
        self.scratch = [aligned(operator.scratch[1], model.arena_alignment) for operator in model.operators]
        self.kept = set(model.outputs)
        self.ends = max(sum(self.sizes[i] for i in model.inputs), sum(self.sizes[i] for i in model.outputs))
        self.at_first = sum(self.sizes[i] for i in model.inputs if self.readers[i] or i in self.kept)

    def step(self, done: int, alive: int, position: int) -> tuple[int, int]:
        """Bytes needed while an operator runs after those of `done`, and bytes alive afterwards."""
        output, after = self.sizes[self.writes[position]], done | 1 << position
        dying = [i for i in self.reads[position] if i not in self.kept and not self.readers[i] & ~after]
        over = [(self.sizes[i], self.below[position][i]) for i in dying if i in self.below[position]]
        saved = output + sum(size for size, _ in over) - together(output, over) if over else 0
        unread = self.writes[position] not in self.kept and not self.readers[self.writes[position]]
        left = alive + (0 if unread else output) - sum(self.sizes[i] for i in dying)
        return alive + output - saved + self.scratch[position], left

    def ready_at_first(self) -> int:
        """The operators that can run before all others."""
        return sum(1 << position for position, needs in enumerate(self.needs) if not needs)

    def ready_after(self, ready: int, position: int, after: int) -> int:
        """The operators that can run after those of `after`, the last of which was one of the operators `ready` before it."""
        ready &= ~(1 << position)
        for following in self.following[position]:
            if not self.needs[following] & ~after:
                ready |= 1 << following
        return ready

    def peak(self, order: list[int]) -> int:
        """Bytes that an order needs."""
        done, alive, most = 0, self.at_first, self.ends
        for position in order:
            needed, alive = self.step(done, alive, position)
            most, done = max(most, needed), done | 1 << position
        return most

    def run(self, limit: int, most_moves: int) -> tuple[list[int], int] | None:
        """The best order that needs no more than `limit`, and what it needs; `None` where there are too many sets."""
        everything = (1 << len(self.writes)) - 1
        ready = self.ready_at_first()
        # Bytes needed, operators to go, operators done, bytes alive, operators that are ready.
        queue = [(self.ends, 0, 0, self.at_first, ready)]
        best = {0: self.ends}
        came_from: dict[int, int] = {}
        states = moves = 0
        while queue:
            most, _, done, alive, ready = heapq.heappop(queue)
            if done == everything:
                return self._path(came_from), most
            if most > best[done]:
                continue
            states += 1
            moves += ready.bit_count()
            if states > STATES or moves > most_moves:
                return None
            for position, needed, left in self._moves(done, alive, most, ready):
                after, peak = done | 1 << position, max(most, needed)
                if peak <= limit and peak < best.get(after, peak + 1):
                    best[after], came_from[after] = peak, position
                    to_go = len(self.writes) - after.bit_count()
                    heapq.heappush(queue, (peak, to_go, after, left, self.ready_after(ready, position, after)))
        return None

    def greedy(self) -> list[int]:
        """An order in which each operator leaves the fewest bytes alive of those that could run in its place."""
        order: list[int] = []
        done, alive, ready = 0, self.at_first, self.ready_at_first()
        while ready:
            steps = [(position, *self.step(done, alive, position)) for position in _places(ready)]
            position, _, alive = min(steps, key=lambda step: (step[2], step[1]))
            order.append(position)
            done |= 1 << position
            ready = self.ready_after(ready, position, done)
        return order

    def _moves(self, done: int, alive: int, most: int, ready: int) -> list[tuple[int, int, int]]:
        moves: list[tuple[int, int, int]] = []
        for position in _places(ready):
            needed, left = self.step(done, alive, position)
            if needed <= most and left <= alive:
                return [(position, needed, left)]
            moves.append((position, needed, left))
        return moves

    def _path(self, came_from: dict[int, int]) -> list[int]:
        order, done = [], (1 << len(self.writes)) - 1
        while done:
            order.append(came_from[done])
            done &= ~(1 << order[-1])
        return order[::-1]


def _places(operators: int) -> Iterator[int]:
    """The positions in a set of operators, in their order."""
    while operators:
        lowest = operators & -operators
        yield lowest.bit_length() - 1
        operators ^= lowest
