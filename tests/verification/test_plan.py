"""Live bytes, the lower bound, and overlaps in the arena, against counting by hand and by brute force."""

import dataclasses
import itertools
import random

import pytest

from kerasq.conformance.samples import SAMPLES, place
from kerasq.format import Model, Operator, OperatorKind, Tensor
from kerasq.qformat import QFormat
from kerasq.verification import plan

BYTE = QFormat.parse("FIXED8_0")


def network(sizes, steps, outputs, alignment=16):
    """Tensors of so many bytes; tensor 0 is the input; steps are (kind, inputs, output)."""
    tensors = tuple(Tensor(str(index), (1, size), BYTE, offset=0) for index, size in enumerate(sizes))
    operators = tuple(Operator(OperatorKind(kind), tuple(inputs), (output,)) for kind, inputs, output in steps)
    return Model(tensors, operators, (0,), tuple(outputs), arena_alignment=alignment)


def residual(alignment=16):
    steps = [("DENSE", [0], 1), ("DENSE", [1], 2), ("ADD", [2, 0], 3), ("RESHAPE", [3], 4), ("DENSE", [4], 5)]
    return network([20, 100, 20, 20, 20, 3], steps, [5], alignment)


@pytest.mark.parametrize(
    ("alignment", "expected"),
    [
        (1, [20 + 100, 20 + 100 + 20, 40, 20, 23]),
        (16, [32 + 112, 32 + 112 + 32, 64, 32, 48]),
        (32, [32 + 128, 32 + 128 + 32, 64, 32, 64]),
    ],
)
def test_live_bytes(alignment, expected):
    assert plan.live_bytes(residual(alignment)) == expected
    assert plan.lower_bound(residual(alignment)) == expected[1]


def test_live_bytes_need_no_offsets():
    model = residual()
    unplaced = dataclasses.replace(model, tensors=tuple(dataclasses.replace(t, offset=None) for t in model.tensors))
    assert plan.live_bytes(unplaced) == plan.live_bytes(model)


def test_constants_take_no_arena():
    model = SAMPLES["binary"]()
    # The output (160) begins 81 bytes below the image (96): 65 for six rows, 11 for five columns, 5 for the last pixel.
    assert plan.live_bytes(model)[0] == 96 + 96


def test_both_ends_count():
    """All inputs are there before the first operator, all outputs after the last, read or not."""
    model = dataclasses.replace(network([8, 8, 8], [("DENSE", [0], 2)], [2], alignment=1), inputs=(0, 1))
    assert plan.live_bytes(model) == [16]
    assert plan.lower_bound(model) == 16
    big = dataclasses.replace(network([8, 100, 8], [("DENSE", [0], 2)], [2], alignment=1), inputs=(0, 1))
    assert plan.live_bytes(big) == [16]
    assert plan.lower_bound(big) == 108


def test_an_input_that_is_needed_later_counts_besides():
    steps = [("RESHAPE", [0], 1), ("ADD", [0, 1], 2)]
    assert plan.live_bytes(network([16, 16, 16], steps, [2])) == [32, 32]
    assert plan.live_bytes(network([16, 16, 16], steps, [2, 0])) == [32, 32]
    assert plan.live_bytes(network([16, 16, 16], steps, [2, 0, 1])) == [32, 48]
    steps = [("RESHAPE", [0], 1), ("DENSE", [1], 2)]
    assert plan.live_bytes(network([16, 16, 16], steps, [2])) == [16, 32]
    assert plan.live_bytes(network([16, 16, 16], steps, [2, 0])) == [32, 48]


def at(model, *offsets):
    placed = (dataclasses.replace(t, offset=offset) for t, offset in zip(model.tensors, offsets, strict=True))
    return dataclasses.replace(model, tensors=tuple(placed))


def collisions(model):
    return list(plan.collisions(model))


def test_collision_names_both_tensors_and_places():
    model = network([16, 32], [("DENSE", [0], 1)], [1])
    assert collisions(at(model, 0, 16)) == []
    assert collisions(at(model, 32, 0)) == []
    assert collisions(at(model, 16, 0)) == [
        "tensor 1 '1' at bytes 0..32 of the arena overlaps tensor 0 '0' at 16..32 while both are in use"
    ]


@pytest.mark.parametrize(
    ("kind", "offset", "outputs", "fine"),
    [
        ("RESHAPE", 16, [2], True),  # in place
        ("RESHAPE", 0, [2], True),  # beside
        ("RESHAPE", 32, [2], True),
        ("RESHAPE", 24, [2], False),  # shifted up
        ("RESHAPE", 8, [2], True),  # shifted down
        ("RESHAPE", 16, [2, 0], False),  # the input is an output too
        ("QUANTIZE", 16, [2], True),  # element by element
        ("DENSE", 16, [2], False),  # reads everything for every output
        ("DENSE", 8, [2], False),
    ],
)
def test_where_an_output_may_lie_over_its_input(kind, offset, outputs, fine):
    model = at(network([16, 16, 4], [(kind, [0], 1), ("DENSE", [1], 2)], outputs), 16, offset, 64)
    assert (collisions(model) == []) is fine


def test_reshape_in_place_of_something_needed_later():
    model = network([16, 16, 16], [("RESHAPE", [0], 1), ("ADD", [0, 1], 2)], [2])
    assert collisions(at(model, 0, 16, 16)) == []
    assert collisions(at(model, 0, 16, 0)) == []
    assert len(collisions(at(model, 0, 0, 32))) == 1


def test_reshape_in_place_still_respects_others():
    model = network([16, 16, 16, 16], [("DENSE", [0], 1), ("RESHAPE", [1], 2), ("ADD", [2, 0], 3)], [3])
    assert collisions(at(model, 0, 16, 16, 32)) == []
    grown = dataclasses.replace(model, tensors=(*model.tensors[:2], Tensor("2", (1, 40), BYTE, offset=0), model.tensors[3]))
    assert len(collisions(at(grown, 48, 16, 16, 64))) == 1


def random_network(chance):
    count = chance.randint(2, 9)
    sizes = [chance.randint(1, 6) for _ in range(count)]
    steps = []
    for output in range(1, count):
        kind = chance.choice(["DENSE", "RESHAPE"])
        inputs = [output - 1] if kind == "RESHAPE" else [output - 1, chance.randrange(output)]
        if kind == "RESHAPE":
            sizes[output] = sizes[output - 1]
        steps.append((kind, inputs, output))
    return network(sizes, steps, {count - 1, chance.randrange(count)}, 1)


def overlap_by_brute_force(model):
    spans = model.lifetimes()
    for one, other in itertools.combinations(spans, 2):
        first, second = model.tensors[one], model.tensors[other]
        alive_together = spans[one][0] <= spans[other][1] and spans[other][0] <= spans[one][1]
        touching = first.offset < second.offset + second.nbytes and second.offset < first.offset + first.nbytes
        in_place = second.offset <= first.offset and any(
            operator.kind is OperatorKind.RESHAPE
            and operator.inputs == (one,)
            and operator.outputs == (other,)
            and spans[one][1] == position
            for position, operator in enumerate(model.operators)
        )
        if alive_together and touching and not in_place:
            return True
    return False


def test_collisions_agree_with_brute_force():
    chance = random.Random(7)
    found = {True: 0, False: 0}
    for _ in range(1000):
        model = random_network(chance)
        model = place(model) if chance.random() < 0.7 else model
        tensors = list(model.tensors)
        for _ in range(chance.randint(0, 2)):
            index = chance.randrange(len(tensors))
            tensors[index] = dataclasses.replace(tensors[index], offset=chance.randint(0, 12))
        model = dataclasses.replace(model, tensors=tuple(tensors))
        collides = bool(collisions(model))
        assert collides == overlap_by_brute_force(model), model
        found[collides] += 1
    assert min(found.values()) > 200, found


def test_bound_is_a_bound():
    chance = random.Random(8)
    for _ in range(300):
        model = place(random_network(chance))
        assert plan.lower_bound(model) <= model.arena_bytes
