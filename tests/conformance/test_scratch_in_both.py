"""Scratch memory that a file plans: both verifiers allow the same places, up to the byte."""

import dataclasses

import numpy as np

from conformance.compared import compare_all, unchecked
from random_graphs import random_graph


def with_scratch(model, rng):
    """One operator of a network with scratch memory: anywhere, or beside a tensor, just apart from it or just not."""
    alignment = model.arena_alignment
    position = int(rng.integers(len(model.operators)))
    arena = model.arena_bytes + int(rng.integers(0, 8)) * alignment
    tensor = model.tensors[int(rng.choice([index for index, t in enumerate(model.tensors) if not t.is_constant]))]
    size = int(rng.choice([1, alignment, int(rng.integers(1, 200))]))
    edges = (tensor.offset - -(-size // alignment) * alignment, tensor.offset + -(-tensor.nbytes // alignment) * alignment)
    offset = int(rng.choice([*edges, int(rng.integers(0, arena // alignment + 1)) * alignment])) + int(
        rng.choice([0, 0, alignment])
    )
    operators = list(model.operators)
    operators[position] = operators[position].replace(scratch=(max(offset, 0), size))
    return dataclasses.replace(model, operators=tuple(operators), arena_bytes=arena)


def test_both_verifiers_draw_the_same_line(runtime):
    rng = np.random.default_rng(5)
    counts = compare_all([unchecked(with_scratch(random_graph(seed % 40), rng)) for seed in range(400)], runtime)
    assert min(counts["ran"], counts["refused"]) > 80
