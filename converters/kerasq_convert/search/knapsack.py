"""One option for each of several groups, so that their values sum up to the least while costs keep their limits.

That is the multiple-choice knapsack problem (Kellerer, Pferschy, Pisinger 2004, Knapsack Problems, chapter 11). It is solved by
a dynamic program over what is spent,

    least(groups, spent) = min over options of value + least(groups before, spent - costs)

in whole cells. Where the costs are multiples of one, as bytes are, the choice is exact. Else costs are rounded up, so that limits
are kept, and the same with costs rounded down tells what no choice is below.

Sets of options that may not all be chosen are kept by branching: where a choice has all of a set, the problem is solved again
once for each of its options, without that one, the most promising problem first.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np

CELLS = {0: (), 1: (1 << 17,), 2: (1 << 10, 1 << 7)}  # of the table at most, by the number of resources
_ROUNDINGS = ((np.ceil, -1), (np.floor, 1))  # of costs to cells, and the sign of what is forgiven
BRANCHES = 256  # problems that are solved for conflicts

Pair = tuple[int, int]  # a group, and one of its options
Choice = tuple[int, ...]  # the option of each group


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is to be chosen.

    Attributes:
        values: For each group, an array (options,), not negative; infinite for what can't be.
        costs: For each group, an array (resources, options); at most two resources.
        limits: What the costs of a choice may sum up to, an array (resources,).
        conflicts: Sets of pairs that no choice may have all of.
    """

    values: Sequence[np.ndarray]
    costs: Sequence[np.ndarray]
    limits: np.ndarray
    conflicts: Collection[frozenset[Pair]] = ()


@dataclasses.dataclass(frozen=True)
class Solution:
    """The best choice.

    Attributes:
        choice: The options; `None` where nothing keeps the limits.
        value: The sum of its values.
        bound: No choice that keeps the limits has less.
    """

    choice: Choice | None
    value: float = math.inf
    bound: float = math.inf

    @property
    def gap(self) -> float:
        """The share of its value by which the choice may be above the least."""
        return (self.value - self.bound) / self.value if 0 < self.value < math.inf else 0.0


def solve(problem: Problem) -> Solution:
    """The best choice."""
    number = itertools.count()  # heaps compare it where bounds are equal
    first = _solved(problem.values, problem)
    open_problems = [(first.bound, next(number), first, list(problem.values))]
    for _ in range(BRANCHES):
        if not open_problems:
            break
        bound, _, solution, values = heapq.heappop(open_problems)
        if solution.choice is None:
            break
        broken = next((pairs for pairs in problem.conflicts if all(solution.choice[g] == o for g, o in pairs)), None)
        if broken is None:
            return dataclasses.replace(solution, bound=bound)
        for group, option in sorted(broken):
            without = list(values)
            without[group] = np.where(np.arange(len(values[group])) == option, np.inf, values[group])
            branch = _solved(without, problem)
            heapq.heappush(open_problems, (branch.bound, next(number), branch, without))
    return Solution(None)


def _solved(values: Sequence[np.ndarray], problem: Problem) -> Solution:
    """The best choice without a look at conflicts."""
    least = [np.min(np.where(np.isfinite(v), c, np.inf), axis=1) for v, c in zip(values, problem.costs, strict=True)]
    above = [cost - low[:, None] for cost, low in zip(problem.costs, least, strict=True)]
    room = np.asarray(problem.limits, np.float64) - sum(least, np.zeros(len(problem.limits)))
    if np.any(room < 0) or not all(np.isfinite(value).any() for value in values):
        return Solution(None)
    cells = np.array([_cell(np.concatenate([a[row] for a in above]), room[row], row, len(room)) for row in range(len(room))])
    sizes = tuple(int(size) for size in np.floor(room / cells + 1e-9))
    rounded_up, rounded_down = ([turned(a / cells[:, None] + sign * 1e-9) for a in above] for turned, sign in _ROUNDINGS)
    relaxed = _table(values, rounded_down, sizes)
    if relaxed is None:
        return Solution(None)
    is_exact = all(np.array_equal(up, down) for up, down in zip(rounded_up, rounded_down, strict=True))
    choice = relaxed if is_exact else _table(values, rounded_up, sizes)
    return Solution(choice, np.inf if choice is None else _sum(values, choice), _sum(values, relaxed))


def _sum(values: Sequence[np.ndarray], choice: Choice) -> float:
    return sum(float(value[option]) for value, option in zip(values, choice, strict=True))


def _cell(costs: np.ndarray, room: float, row: int, resources: int) -> float:
    """A size of which all costs are multiples, or, where the table would have too many cells, one that is coarse enough."""
    whole = np.rint(costs).astype(np.int64)
    common = int(np.gcd.reduce(whole)) if np.array_equal(whole, costs) else 0
    coarsest = max(room, 1.0) / CELLS[resources][row]
    return max(float(common), coarsest) if common == 0 or common < coarsest else float(common)


def _table(values: Sequence[np.ndarray], costs: Sequence[np.ndarray], sizes: tuple[int, ...]) -> Choice | None:
    """The options with the least value that cost at most so many cells of each resource; `None` where all cost more."""
    shape = tuple(size + 1 for size in sizes)
    least, picked = np.zeros(shape), []
    for value, cost in zip(values, costs, strict=True):
        best, option_of = np.full(shape, np.inf), np.zeros(shape, np.uint8)
        for option in np.flatnonzero(np.isfinite(value)):
            spent = cost[:, option]
            if np.any(spent > sizes):
                continue
            there = tuple(slice(int(cells), None) for cells in spent)
            before = tuple(slice(None, size - int(cells)) for size, cells in zip(shape, spent, strict=True))
            sums = least[before] + value[option]
            better = sums < best[there]
            best[there] = np.where(better, sums, best[there])
            option_of[there] = np.where(better, option, option_of[there])
        least = best
        picked.append(option_of)
    if np.isinf(least[tuple(sizes)]):
        return None
    left, choice = list(sizes), list[int]()
    for options, cost in zip(reversed(picked), reversed(costs), strict=True):
        choice.append(int(options[tuple(left)]))
        left = [there - int(cells) for there, cells in zip(left, cost[:, choice[-1]], strict=True)]
    return tuple(reversed(choice))
