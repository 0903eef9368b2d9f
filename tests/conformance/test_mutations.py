"""Damaged files: each is refused with a ModelError or runs in bounds; nothing else may come out."""

import itertools
from collections import Counter

import numpy as np
import pytest

from kerasq.conformance import fuzz
from kerasq.conformance.samples import SAMPLES
from kerasq.format import ModelError, OperatorKind, dumps, loads

SEED = 20240607
COUNT = 10_000


@pytest.fixture(scope="module")
def contents():
    return [dumps(make()) for make in SAMPLES.values()]


def outcomes(files):
    counts = Counter()
    for number, content in enumerate(files):
        try:
            counts[fuzz.outcome(content)] += 1
        except Exception as error:
            raise AssertionError(f"seed {SEED}, file {number} ({content.hex()}) is neither refused nor runs") from error
    return counts


def test_samples_have_every_kind_of_operator():
    assert {operator.kind for make in SAMPLES.values() for operator in make().operators} == set(OperatorKind)


def test_undamaged_files_run(contents):
    assert outcomes(contents) == {"ran": len(contents)}


def test_random_damage(contents):
    print(f"seed {SEED}")
    counts = outcomes(fuzz.mutants(contents, COUNT, SEED))
    print(counts)
    assert sum(counts.values()) == COUNT
    assert counts["refused"] > COUNT // 2
    assert counts["ran"] > COUNT // 100


def test_every_word_of_the_smallest_file(contents):
    """Each 32-bit word becomes 0, 1, -1, INT_MIN, INT_MAX, or a little more or less."""
    smallest = min(contents, key=len)
    counts = outcomes(fuzz.word_mutants(smallest))
    print(counts)
    assert sum(counts.values()) > 2 * len(smallest)
    assert counts["refused"] > counts["ran"] > 0


def test_noise():
    random = np.random.default_rng(SEED)
    for size in itertools.chain(range(64), (1000, 10_000)):
        noise = random.bytes(size)
        for content in (noise, b"\x08\0\0\0KRSQ" + noise):
            with pytest.raises(ModelError):
                loads(content)


def test_the_same_seed_gives_the_same_files(contents):
    first, second, other = (list(fuzz.mutants(contents, 50, seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_command(capsys, tmp_path, monkeypatch, contents):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.kq").write_bytes(contents[0])
    assert fuzz.main(["--count", "30", "--seed", "3", "model.kq"]) == 0
    assert "30 of 30, seed 3" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.kq"]


def test_command_keeps_what_fails(capsys, tmp_path, monkeypatch, contents):
    monkeypatch.chdir(tmp_path)
    expected = list(fuzz.mutants(contents, 3, 5))

    def outcome(content):
        if content == expected[1]:
            raise IndexError("out of bounds")
        return "refused"

    monkeypatch.setattr(fuzz, "outcome", outcome)
    assert fuzz.main(["--count", "3", "--seed", "5"]) == 1
    assert "IndexError: out of bounds" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"fuzz-5-2.kq": expected[1]}
