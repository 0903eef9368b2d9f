"""10,000 files of tests/mutants.py: accepted often, run by every kernel of every tier, without a finding."""

import random

import pytest

import mutants
from kerasq.conformance import field_mutants, samples
from kerasq.format import ModelError, dumps, loads
from kerasq.format.schema import CLAMP, OPERATOR, TENSOR, WINDOW

COUNT = 10_000
SEED = 20261126


def test_no_tier_leaves_its_bounds_or_computes_something_else(sanitized_program):
    print(f"seed {SEED}")
    counts, kernels = mutants.survey(sanitized_program, COUNT, SEED)
    table, own = mutants.kernel_table(kernels)
    print(table, counts)
    assert counts["failed"] == 0
    assert counts["ran"] > COUNT // 10
    assert counts["ran in the reference engine, too"] > COUNT // 100
    assert min(own.values()) >= 1


def test_the_same_seed_gives_the_same_files():
    assert list(mutants.mutants(120, 1)) == list(mutants.mutants(120, 1)) != list(mutants.mutants(120, 2))


def test_every_number_of_an_explicit_file_is_found_and_can_be_changed():
    model = samples.binary_network()
    content = field_mutants.explicit(model)
    where = field_mutants.places(content)
    assert dumps(loads(content)) != content
    found = {name for name, _, _ in where.numbers}
    assert found >= {*WINDOW.fields, *CLAMP.fields, "accumulator_bits", "total_bits", "kind", "type", "frac_bits", "offset"}
    assert found >= {name for table in (OPERATOR, TENSOR) for name in table.fields} - {"window", "clamp", "name", "data"}
    assert len(where.data) == sum(tensor.is_constant for tensor in model.tensors)


@pytest.mark.parametrize(("network", "zeros"), [(samples.gated_network, 0), (samples.offset_network, 2)])
def test_many_mutants_are_networks(network, zeros):
    content = field_mutants.explicit(network())
    where, chance = field_mutants.places(content), random.Random(SEED)
    changed = [field_mutants.mutant(content, where, chance) for _ in range(200)]
    assert all(len(mutant) == len(content) for mutant in changed)
    accepted = []
    for mutant in changed:
        try:
            accepted.append(loads(mutant))
        except ModelError:
            continue
    own = {operator.zero for operator in network().operators}
    assert 30 < len(accepted) < 170
    assert len({operator.zero for model in accepted for operator in model.operators} - own) >= zeros
