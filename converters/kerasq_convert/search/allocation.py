"""Widths of kernels and buffers with the least noise at the outputs within limits of bytes, arena and instructions.

By the additive model around the network as it is (table.py) the best choices are looked for exactly (knapsack.py). What the
model says of sizes is repaired by what the networks take: choices are built, a set of buffers that an arena doesn't hold may not
be wide together any more, and limits of bytes and instructions shrink by what the model had left out. Of the choices that keep
the limits, the one is taken whose network, run as a whole on one half of the examples, has the least noise. Then it is the centre
of another table, in which the noise of every change is what it is there, until a centre is no better than the one before, by all
examples and with biases corrected for it.

Where there is no limit but a signal-to-noise ratio to reach, it is the file that is to be the smallest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from kerasq_convert.naming import Names
from kerasq_convert.options import Goals
from kerasq_convert.roles import Part
from kerasq_convert.search.knapsack import Choice, Pair, Problem, Solution, solve
from kerasq_convert.search.table import RESOURCES, Meter, Point, Table, measure
from kerasq_convert.search.variants import Widths

ROUNDS = 4  # centres at most
ATTEMPTS = 64  # to repair what the additive model says of sizes
CHOICES = 16  # that are run, of each table
DOUBT = 0.15  # standard deviation of the logarithm of what noise may be, beside what a table says
SLACK = 0.005  # of a limit, beyond which choices are not even built
BETTER = 0.995  # of the noise, that another centre must be below
_LINEAR = ("max_model_bytes", "max_instructions")  # resources that nearly add up


@dataclasses.dataclass(frozen=True)
class Allocated:
    """What was chosen, by names of tensors.

    Attributes:
        kernels, buffers: Widths of those that were free.
        gap: By how much of its noise, by the additive model, the choice may be above the best one.
    """

    kernels: dict[str, int]
    buffers: dict[str, int]
    gap: float


@dataclasses.dataclass(frozen=True)
class Allocation:
    """What was chosen.

    Attributes:
        widths: Of the free tensors.
        gap: By how much of its noise, by the model, the choice may be above the best one.
        missed: For each limit that no widths keep, by its name: the least that can be reached where the others are kept.
    """

    widths: Widths
    gap: float = 0.0
    missed: dict[str, int] = dataclasses.field(default_factory=dict)

    def told(self, names: Names) -> Allocated:
        """For a report."""
        kernels = {names[role]: bits for role, bits in self.widths.items() if role.part is Part.KERNEL}
        buffers = {names[role]: bits for role, bits in self.widths.items() if role.is_buffer}
        return Allocated(kernels, buffers, self.gap)


def allocate(meter: Meter, table: Table, goals: Goals) -> Allocation:
    """Widths for limits; for the signal-to-noise ratio alone, where there are none.

    Args:
        meter: Measures networks.
        table: The additive model around the network as it is.
        goals: The limits.
    """
    return _Allocator(meter, table, goals).run()


def limits_of(goals: Goals) -> dict[str, int]:
    """Limits of resources, by their names."""
    limits = {name: getattr(goals, name) for name in RESOURCES}
    return {name: limit for name, limit in limits.items() if limit is not None}


class _Allocator:
    def __init__(self, meter: Meter, table: Table, goals: Goals):
        self.meter, self.first, self.goals = meter, table, goals
        self.limits = limits_of(goals)
        self.linear = [name for name in _LINEAR if name in self.limits]
        self.conflicts: set[frozenset[Pair]] = set()

    def run(self) -> Allocation:
        best: Allocation | None = None
        least, table = np.inf, self.first
        for _ in range(ROUNDS):
            chosen, gap = self._chosen(table)
            if chosen is None:
                break
            noise = self.meter.whole(chosen.widths)
            if noise > BETTER * least and best is not None:
                break
            best, least = Allocation(chosen.widths, gap if best is None else best.gap), noise
            centre = self.meter.point(chosen.widths)
            if centre is None:
                break
            table = measure(self.meter, centre, verbose=self.meter.options.verbose)
        return best or self._nearest()

    def _chosen(self, table: Table) -> tuple[Point | None, float]:
        """The network with the least noise of the best choices by a table that keep the limits, and the gap of the first one."""
        beyond = -SLACK * np.array([self.limits[name] for name in self.linear])  # what the model leaves out
        for _ in range(ATTEMPTS):
            values, best = self._priced(table, beyond)
            if best.choice is None and np.all(beyond >= 0):
                break
            choices = self._varied(table, values, best, beyond)
            kept = [choice for choice in choices if self._keeps(table, choice)]
            if kept:
                points = [point for point in map(self.meter.point, map(table.widths, kept)) if point is not None]
                return min(points, key=lambda point: point.noise), best.gap
            beyond = np.maximum(beyond, self._left_out(table, choices))
        return None, 0.0

    def _solved(self, table: Table, values: Sequence[np.ndarray], beyond: np.ndarray) -> Solution:
        rows = [RESOURCES.index(name) for name in self.linear]
        base = np.array([table.centre.sizes[name] for name in self.linear], np.float64)
        limits = np.array([self.limits[name] for name in self.linear], np.float64) - base - beyond
        return solve(Problem(values, [sizes[rows] for sizes in table.sizes], limits, self.conflicts))

    def _priced(self, table: Table, beyond: np.ndarray) -> tuple[list[np.ndarray], Solution]:
        """Noise by the table with a price of bits that hardly lower it; the best choice by that."""
        best = self._solved(table, table.priced(0.0), beyond)
        values = table.priced(0.0 if best.choice is None else best.value)
        return values, self._solved(table, values, beyond)

    def _varied(self, table: Table, values: list[np.ndarray], best: Solution, beyond: np.ndarray) -> list[Choice]:
        """The best choice, and those that are best where noise is a little other than the table says."""
        choices = {} if best.choice is None else {best.choice: None}
        rng = np.random.default_rng(0)
        for _ in range(CHOICES - 1 if choices else 0):
            other = self._solved(table, [value * rng.lognormal(0, DOUBT, len(value)) for value in values], beyond)
            choices |= {} if other.choice is None else {other.choice: None}
        return list(choices)

    def _keeps(self, table: Table, choice: Choice) -> bool:
        """Whether a network is within the limits; a set of buffers that can't be wide together is a conflict from then on."""
        sizes = self.meter.sizes(table.widths(choice))
        if sizes is None:
            self.conflicts.add(frozenset(enumerate(choice)))
            return False
        over = [name for name, limit in self.limits.items() if sizes[name] > limit]
        if "max_arena_bytes" in over and not any(conflict <= set(enumerate(choice)) for conflict in self.conflicts):
            self.conflicts.add(self._conflict(table, choice))
        return not over

    def _conflict(self, table: Table, choice: Choice) -> frozenset[Pair]:
        """As few of the wide buffers of a choice as an arena doesn't hold, all others narrow."""
        narrow = self._narrowest(table)
        wide = [place for place, option in enumerate(choice) if option != narrow[place]]
        for place in list(wide):
            fewer = [other for other in wide if other != place]
            tried = tuple(choice[at] if at in fewer else option for at, option in enumerate(narrow))
            sizes = self.meter.sizes(table.widths(tried))
            if sizes is None or sizes["max_arena_bytes"] > self.limits["max_arena_bytes"]:
                wide = fewer
        return frozenset((place, choice[place]) for place in wide)

    def _narrowest(self, table: Table) -> Choice:
        """The least arena: all buffers as narrow as they can be, and kernels as they are at the centre."""
        centre = table.choice(table.centre.widths)
        return tuple(
            option if role.part is Part.KERNEL else int(np.argmin(bits))
            for option, role, bits in zip(centre, table.roles, table.bits, strict=True)
        )

    def _left_out(self, table: Table, choices: list[Choice]) -> np.ndarray:
        """By how much the first choice that exceeds a limit is larger than the model says; nothing where none does."""
        rows = [RESOURCES.index(name) for name in self.linear]
        for choice in choices:
            sizes = self.meter.sizes(table.widths(choice))
            if sizes is not None and any(sizes[name] > self.limits[name] for name in self.linear):
                return np.array([sizes[name] for name in self.linear]) - table.predicted(choice)[rows]
        return np.zeros(len(self.linear))

    def _nearest(self) -> Allocation:
        """The networks that come nearest, where no widths keep all limits; the first of them is chosen."""
        reached = {name: (choice, size) for name, choice, size in self._least_sizes()}
        name = next((name for name, (_, size) in reached.items() if size > self.limits[name]), next(iter(reached)))
        return Allocation(self.first.widths(reached[name][0]), missed={name: size for name, (_, size) in reached.items()})

    def _least_sizes(self) -> Iterator[tuple[str, Choice, int]]:
        """The least of each limited resource where the others are kept, or, if they can't be, of all networks."""
        table = self.first
        for name in self.limits:
            if name == "max_arena_bytes":
                choice = self._narrowest(table)
            else:
                values = [sizes[RESOURCES.index(name)] - np.min(sizes[RESOURCES.index(name)]) for sizes in table.sizes]
                values = [np.where(np.isfinite(noise), value, np.inf) for value, noise in zip(values, table.noise, strict=True)]
                others = [RESOURCES.index(other) for other in self.linear if other != name]
                base = np.array([table.centre.sizes[RESOURCES[row]] for row in others], np.float64)
                limits = np.array([self.limits[RESOURCES[row]] for row in others], np.float64) - base
                costs = [sizes[others] for sizes in table.sizes]
                solution = solve(Problem(values, costs, limits, self.conflicts))
                if solution.choice is None:
                    solution = solve(Problem(values, [cost[:0] for cost in costs], limits[:0]))
                choice = solution.choice or self._narrowest(table)
            sizes = self.meter.sizes(table.widths(choice)) or table.centre.sizes
            if sizes[name] > self.limits[name] or len(self.limits) > 1:
                yield name, choice, sizes[name]


def smallest(meter: Meter, table: Table, min_sqnr_db: float) -> Allocation:
    """The smallest file whose outputs have a signal-to-noise ratio; the least noise that was met, where none has.

    Errors of several tensors can cancel each other, so that a table tells one of them to be harmless that is not where the others
    are wide: where no choice of a table reaches the ratio, its least noise, or all that is wide, is the centre of another one.

    Args:
        meter, table: As for `allocate`.
        min_sqnr_db: The ratio.
    """
    wanted, least, best = 10 ** (-min_sqnr_db / 10), np.inf, table.centre.widths
    for _ in range(ROUNDS):
        reached = _smallest_by(meter, table, wanted)
        if reached is not None:
            return reached
        widest = {role: max(bits) for role, bits in zip(table.roles, table.bits, strict=True)}
        tried = {meter.whole(widths): widths for widths in (table.least_noise(), widest) if meter.sizes(widths) is not None}
        noise = min(tried, default=np.inf)
        if noise >= BETTER * least:
            break
        least, best = noise, tried[noise]
        centre = meter.point(best)
        assert centre is not None, "its sizes are known"
        table = measure(meter, centre, verbose=meter.options.verbose)
    return Allocation(best)


def _smallest_by(meter: Meter, table: Table, wanted: float) -> Allocation | None:
    """The smallest file with no more noise than is wanted, of the choices by a table; `None` where none is known by it."""
    sizes = [sizes[0] - np.min(sizes[0]) for sizes in table.sizes]
    values = [np.where(np.isfinite(noise), value, np.inf) for value, noise in zip(sizes, table.noise, strict=True)]
    costs = [np.where(np.isfinite(noise), noise, 0.0)[None] for noise in table.noise]
    limit = wanted - table.least
    for _ in range(ATTEMPTS // 8):
        solution = solve(Problem(values, costs, np.array([limit])))
        if solution.choice is None:
            break
        widths = table.widths(solution.choice)
        noise = meter.whole(widths)
        if noise <= wanted:
            return Allocation(widths, solution.gap)
        limit -= noise - wanted
    return None
