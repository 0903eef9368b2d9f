"""Memory plans against all orders and all placements of small networks, and the arenas of known networks to the byte."""

import itertools
import random

import keras
import pytest

from kerasq.conformance.samples import SAMPLES
from kerasq.format import Model, Operator, OperatorKind, Tensor, verify
from kerasq.qformat import QFormat
from kerasq.verification.plan import lower_bound
from kerasq_convert import float_model
from kerasq_convert.memory import order as order_search
from kerasq_convert.memory import plan as memory
from kerasq_convert.memory.order import best_order, least_bytes
from kerasq_convert.memory.placement import STEPS, Placement, Problem, Search, greedy, improved, place
from networks import random_resnet23
from random_graphs import random_graph

BYTE = QFormat.parse("FIXED8_0")


def random_network(chance):
    """Operators with one or two inputs over tensors of 1 to 9 bytes; what nobody reads is an output."""
    count = chance.randint(3, 7)
    sizes, steps = [chance.randint(1, 9)], []
    for output in range(1, count):
        inputs = tuple({chance.randrange(output), chance.randrange(output)})
        kind = chance.choice(["DENSE", "DENSE", "ADD"])
        sizes.append(sizes[inputs[0]] if kind == "ADD" else chance.randint(1, 9))
        steps.append(Operator(OperatorKind(kind), inputs, (output,)))
    tensors = tuple(Tensor(str(index), (1, size), BYTE, offset=0) for index, size in enumerate(sizes))
    read = {index for step in steps for index in step.inputs}
    outputs = tuple(index for index in range(count) if index not in read) or (count - 1,)
    return Model(tensors, tuple(steps), (0,), outputs, arena_alignment=1)


def orders(model):
    """Every order in which nothing is read before it is written."""
    for order in itertools.permutations(range(len(model.operators))):
        written = set(model.inputs)
        for position in order:
            if not written.issuperset(model.operators[position].inputs):
                break
            written.update(model.operators[position].outputs)
        else:
            yield list(order)


def test_orders_agree_with_all_orders():
    chance = random.Random(5)
    better = 0
    for _ in range(150):
        model = random_network(chance)
        needed = {tuple(order): lower_bound(memory._ordered(model, order)) for order in orders(model)}
        order, bound = best_order(model)
        assert bound == min(needed.values()) == needed[tuple(order)], model
        assert (least_bytes(model, 100_000), least_bytes(model, 0)) == (bound, None)
        own = needed[tuple(range(len(order)))]
        assert order == list(range(len(order))) or bound < own, "a model that is as good as any keeps its order"
        better += bound < own
    assert better > 15


def test_an_order_that_is_not_searched_to_the_end_is_no_worse_than_the_own(monkeypatch):
    chance = random.Random(6)
    monkeypatch.setattr(order_search, "STATES", 0)
    better = 0
    for _ in range(60):
        model = random_network(chance)
        needed = {tuple(order): lower_bound(memory._ordered(model, order)) for order in orders(model)}
        order, bound = best_order(model)
        assert bound is None
        assert needed[tuple(order)] <= needed[tuple(range(len(order)))]
        better += order != list(range(len(order)))
    assert better > 5


def random_problem(chance):
    count = chance.randint(2, 6)
    spans = []
    for _ in range(count):
        first = chance.randint(0, 5)
        spans.append((first, first + chance.randint(0, 3)))
    sizes = tuple(chance.randint(1, 6) for _ in range(count))
    over = tuple(
        ((i, j), chance.randint(0, 3))
        for i, j in itertools.permutations(range(count), 2)
        if spans[i][0] == spans[j][1] > spans[j][0] and spans[i][1] > spans[i][0] and chance.random() < 0.7
    )
    return Problem(sizes, tuple(spans), over)


def is_placed(problem, offsets):
    below = problem.below()
    return all(
        offsets[i] + below[i][j] <= offsets[j] or offsets[j] + below[j][i] <= offsets[i]
        for i in range(len(offsets))
        for j in below[i]
        if i < j
    )


def smallest(problem):
    """The least height of all: every order, each buffer at the lowest offset above those before it that it meets."""
    below, best = problem.below(), sum(problem.sizes)
    for order in itertools.permutations(range(len(problem.sizes))):
        offsets = {}
        for i in order:
            offsets[i] = max((offsets[j] + below[j][i] for j in offsets if j in below[i]), default=0)
        best = min(best, max(offsets[i] + problem.sizes[i] for i in order))
    return best


def test_placements_agree_with_all_placements():
    chance = random.Random(6)
    overlapped = 0
    for _ in range(1000):
        problem = random_problem(chance)
        found = place(problem, 0)
        assert is_placed(problem, found.offsets), problem
        assert found.height == max(offset + size for offset, size in zip(found.offsets, problem.sizes, strict=True))
        assert found.height == found.bound == smallest(problem), problem
        centre = chance.randint(0, 5)
        poor = next(iter(greedy(problem)))
        height = max(offset + size for offset, size in zip(poor, problem.sizes, strict=True))
        better = improved(problem, Placement(tuple(poor), height, 0), centre)
        assert is_placed(problem, better.offsets), problem
        assert better.bound <= found.height <= better.height <= height
        from_above = Search(problem, sum(problem.sizes) + 1, 0, STEPS)
        assert from_above.run()
        assert from_above.height == found.height, "where a search starts makes no difference"
        overlapped += bool(problem.overlaps)
    assert overlapped > 100


def test_a_search_that_is_cut_short_keeps_its_best_plan_and_a_bound():
    problem = random_problem(random.Random(1))
    full, short = place(problem, 1), place(problem, 1, steps=0)
    assert is_placed(problem, short.offsets)
    assert short.bound <= full.bound == full.height <= short.height


def test_the_arena_of_mlperf_tinys_mobilenet_is_as_small_as_can_be():
    """Its peak is one pointwise convolution, from 8 channels to 16, that lies over its own input."""
    plan = memory.plan(float_model(keras.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, classes=2)))
    assert plan.model.arena_bytes == 4 * (48 * 48 * 16 + 8)
    assert "optimal: no order" in plan.verdict


GOLDEN = {
    "resnet23": (random_resnet23, 131_104),
    "resnet23 16 bits": (lambda: random_resnet23(buffers="FIXED16"), 262_208),
    "resnet23 float": (lambda: random_resnet23(buffers="FLOAT32"), 524_416),
    **{
        name: (SAMPLES[name], size)
        for name, size in zip(SAMPLES, (192, 160, 96, 20, 128, 288, 32, 144, 48, 224, 496), strict=True)
    },
}


@pytest.mark.parametrize("name", GOLDEN)
def test_arenas_to_the_byte(name):
    make, expected = GOLDEN[name]
    found = memory.plan(make())
    verify(found.model)
    assert found.model.arena_bytes == expected
    assert found.verdict.startswith("optimal")


def test_random_graphs_are_planned_and_judged():
    gaps = []
    for seed in range(150):
        found = memory.plan(random_graph(seed))
        verify(found.model)
        assert found.bound_of_orders is not None
        assert found.bound_of_orders <= found.bound <= found.model.arena_bytes
        assert found.verdict.startswith("optimal") or "above the lower bound" in found.verdict
        gaps.append(found.model.arena_bytes - found.bound)
    assert gaps.count(0) == len(gaps)


def test_planning_twice_changes_nothing():
    once = memory.plan_memory(random_resnet23())
    twice = memory.plan_memory(once)
    assert [t.offset for t in once.tensors] == [t.offset for t in twice.tensors]
    assert once.operators == twice.operators


def test_checksums_move_with_their_operators():
    from kerasq.format import SelfTest

    tensors = tuple(Tensor(str(i), (1, size), BYTE, offset=0) for i, size in enumerate((4, 100, 50, 1, 1, 1)))
    steps = [((0,), 1), ((0,), 2), ((1,), 3), ((2,), 4), ((3, 4), 5)]
    operators = tuple(Operator(OperatorKind.DENSE, inputs, (output,)) for inputs, output in steps)
    model = Model(tensors, operators, (0,), (5,), arena_alignment=1, test=SelfTest(bytes(4), (1, 2, 3, 4, 5)))
    planned = memory.plan_memory(model)
    assert planned.operators != model.operators
    moved = dict(zip(planned.operators, planned.test.checksums, strict=True))
    assert [moved[operator] for operator in model.operators] == [1, 2, 3, 4, 5]
