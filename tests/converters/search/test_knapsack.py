"""The multiple-choice knapsack: against all choices of small problems."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kerasq_convert.search.knapsack import Problem, Solution, solve


def random_problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    groups, resources = int(rng.integers(1, 7)), int(rng.integers(0, 3))
    options = rng.integers(1, 5, groups)
    values = [rng.lognormal(0, 2, count) for count in options]
    scale = 1 if seed % 2 else 0.37  # whole numbers, for which the choice is exact, and others
    costs = [rng.integers(-50, 400, (resources, count)) * scale for count in options]
    least, most = (sum(reduce(cost, axis=1) for cost in costs) for reduce in (np.min, np.max))
    limits = least + rng.uniform(-0.1, 1.0, resources) * (most - least)
    if rng.random() < 0.3:
        values[0][0] = np.inf
    conflicts = []
    for _ in range(int(rng.integers(0, 4))):
        members = rng.choice(groups, min(groups, int(rng.integers(1, 4))), replace=False)
        conflicts.append(frozenset((int(group), int(rng.integers(options[group]))) for group in members))
    return Problem(values, costs, limits, conflicts)


def best_of_all(problem: Problem) -> float:
    best = np.inf
    for choice in itertools.product(*(range(len(value)) for value in problem.values)):
        spent = sum((cost[:, option] for cost, option in zip(problem.costs, choice, strict=True)), np.zeros(len(problem.limits)))
        pairs = set(enumerate(choice))
        if np.all(spent <= problem.limits + 1e-9) and not any(conflict <= pairs for conflict in problem.conflicts):
            best = min(best, sum(value[option] for value, option in zip(problem.values, choice, strict=True)))
    return best


def check(problem: Problem, solution: Solution) -> None:
    choice = solution.choice
    assert choice is not None
    spent = sum((cost[:, option] for cost, option in zip(problem.costs, choice, strict=True)), np.zeros(len(problem.limits)))
    assert np.all(spent <= problem.limits + 1e-6)
    assert not any(conflict <= set(enumerate(choice)) for conflict in problem.conflicts)
    assert solution.value == pytest.approx(sum(value[option] for value, option in zip(problem.values, choice, strict=True)))


@pytest.mark.parametrize("seed", range(60))
def test_the_best_of_all_choices(seed):
    problem = random_problem(seed)
    wanted, solution = best_of_all(problem), solve(problem)
    if np.isinf(wanted):
        assert solution.choice is None
        return
    check(problem, solution)
    assert solution.bound <= wanted * (1 + 1e-9)
    assert wanted <= solution.value * (1 + 1e-9)
    if seed % 2 and len(problem.limits) < 2:  # whole costs of one resource: exact
        assert solution.value == pytest.approx(wanted)
        assert solution.gap == 0


def test_coarse_cells_keep_the_limit_and_tell_the_gap():
    rng = np.random.default_rng(1)
    values = [np.array([1.0, 0.5, 0.1]) * rng.lognormal() for _ in range(40)]
    costs = [
        np.array([[0, rng.integers(1, 10**6), rng.integers(10**6, 2 * 10**6)], [0, *rng.integers(1, 999, 2)]]) for _ in range(40)
    ]
    problem = Problem(values, costs, np.array([2.0e7, 9.0e3]))
    solution = solve(problem)
    check(problem, solution)
    assert 0 <= solution.gap < 0.1
    assert solution.bound <= solution.value
