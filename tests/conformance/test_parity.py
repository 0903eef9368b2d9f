"""Python and the runtime in C accept the same files and compute the same integers from them; the sanitizers find nothing.

`python -m kerasq.conformance.parity` does the same for as many damaged files as one likes.
"""

import copy
import itertools
import random

import numpy as np
import pytest

from conformance.compared import compare_all, unchecked, whole
from format.broken_files import DAMAGE, GOOD, READER_RULES, with_field
from format.field_changes import change, plain, repair
from format.kq_bytes import MINIMAL, build
from kerasq.conformance import fuzz, parity
from kerasq.conformance.samples import SAMPLES
from kerasq.format import OperatorKind, dumps
from kerasq.format.structure import parse
from ops import broken_operators
from random_operators import OPERATORS, random_model
from verification import broken_models

SEED = 20240607


def status(content, runtime):
    """What the runtime refuses a file for: status, operator and tensor."""
    word, *details = runtime.answer(content)
    assert word == "refused"
    return tuple(map(int, details))


def test_undamaged_files_run(contents, runtime):
    assert compare_all(contents, runtime) == {"ran": len(contents)}


def test_random_damage(contents, runtime):
    print(f"seed {SEED}")
    counts = compare_all(fuzz.mutants(contents, 1000, SEED), runtime)
    assert counts["refused"] > 500
    assert counts["ran"] > 20


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_word(sample, runtime):
    content = dumps(SAMPLES[sample]())
    counts = compare_all(fuzz.word_mutants(content), runtime)
    assert sum(counts.values()) > 2 * len(content)
    weight = 2 if sample == "gated" else 1  # any words are a table of a LOOKUP
    assert weight * counts["refused"] > counts["ran"] > 0


def test_every_prefix(contents, runtime):
    counts = compare_all((content[:size] for content in contents for size in range(len(content))), runtime)
    assert counts["refused"] > 1000


def test_changed_fields(runtime):
    """Well-formed files with wrong fields, as in field_changes.py: the rules of operators have to do the work."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    good = [plain(parse(dumps(make()))) for make in SAMPLES.values()]
    files = []
    while len(files) < 1000:
        content = copy.deepcopy(chance.choice(good))
        for _ in range(chance.choice((1, 1, 2, 3))):
            change(content, chance)
        if chance.random() < 0.8:
            repair(content)
        try:
            files.append(build(content))
        except TypeError:  # the number doesn't fit its field
            continue
    counts = compare_all(files, runtime)
    assert counts["refused"] > 250
    assert counts["ran"] > 50


def test_rules_of_the_structure(runtime):
    files = [damage(GOOD) for damage, _ in DAMAGE.values()]
    assert compare_all(files, runtime) == {"refused": len(files)}


@pytest.mark.parametrize("text", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82", b"\xf5\x80\x80\x80"])
def test_strings_are_strict_utf8(text, runtime):
    content = build({**MINIMAL, "metadata": [{"key": "abcd"[: len(text)]}]})
    assert parity.compare(content.replace(b"abcd"[: len(text)] + b"\0", text + b"\0"), runtime) == "refused"


def test_all_of_utf8(runtime):
    """Two random bytes among ASCII, and every length of sequence at the limits of its range."""
    generator = np.random.default_rng(SEED)
    texts = [generator.bytes(4) for _ in range(2000)]
    for code in (0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF):
        texts.append(chr(code).encode().ljust(4, b"a"))
    content = build({**MINIMAL, "metadata": [{"key": "abcd"}]})
    counts = compare_all((content.replace(b"abcd\0", text + b"\0") for text in texts), runtime)
    assert counts["ran"] > 20


def test_rules_of_the_reader(runtime):
    files = [with_field(path, value) for path, value, _ in READER_RULES.values()]
    assert compare_all(files, runtime) == {"refused": len(files)}


def test_rules_of_the_verifier(runtime):
    files = [unchecked(change(broken_models.base())) for change, _ in broken_models.RULES.values()]
    files = [content for content in files if content is not None]
    assert len(files) > 50
    counts = compare_all(files, runtime)
    assert counts["refused"] > 45


def test_rules_of_the_operators(runtime):
    """The broken operators of ops/broken_operators.py, and random nonsense, as whole files."""
    models = []
    for kinds, changes, _ in broken_operators.ATTRIBUTES:
        models += [broken_operators.changed(broken_operators.valid(kind), **changes) for kind in kinds]
    for kind, name, changes, _ in broken_operators.TENSORS:
        models.append(broken_operators.with_tensor(broken_operators.valid(kind), name, **changes))
    models += [broken_operators.valid(kind, buffers) for kind in OperatorKind for buffers in ("FIXED8_4", "UFIXED16_7")]
    print(f"seed {SEED}")
    generator = np.random.default_rng(SEED)
    models += [broken_operators.nonsense(generator) for _ in range(2000)]
    files = [content for content in (unchecked(whole(model)) for model in models) if content is not None]
    counts = compare_all(files, runtime)
    assert counts["refused"] > 500
    assert counts["ran"] > 20


@pytest.mark.parametrize("kind", OPERATORS)
def test_recorded_widths(kind, runtime):
    """Random sound operators, as they are and with every pair of recorded widths."""
    files = []
    for seed in range(20):
        model = whole(random_model(kind, seed))
        files.append(unchecked(model))
        for widths in itertools.product((0, 32, 64), repeat=2):
            files.append(unchecked(broken_operators.changed(model, accumulator_bits=widths[0], total_bits=widths[1])))
    counts = compare_all(files, runtime)
    assert counts["ran"] >= 40
    assert counts["refused"] >= 100


def test_statuses_say_what_and_where(runtime):
    """One case for each status that a file can be refused with, by its number in kerasq.h."""
    base, rules = broken_models.base(), broken_models.RULES

    def broken(rule):
        return unchecked(rules[rule][0](base))

    def field(rule):
        return with_field(*READER_RULES[rule][:2])

    assert status(b"TFL3", runtime) == (3, -1, -1)
    assert status(DAMAGE["string not UTF-8"][0](GOOD), runtime) == (4, -1, 0)
    assert status(field("version of the future"), runtime) == (5, -1, -1)
    assert status(field("kind"), runtime) == (6, 0, -1)
    assert status(field("frac_bits too small"), runtime) == (6, -1, 1)
    assert status(broken("alignment 24"), runtime) == (7, -1, -1)
    assert status(field("empty key"), runtime) == (8, -1, -1)
    assert status(broken("long name"), runtime) == (8, -1, 0)
    assert status(field("axis of 0 in a constant"), runtime) == (9, -1, 2)
    assert status(field("spare bits"), runtime) == (10, -1, 2)
    assert status(broken("behind the arena"), runtime) == (11, -1, 6)
    assert status(broken("read before written"), runtime) == (12, 0, 3)
    assert status(broken("overlap"), runtime) == (13, 0, 3)
    assert status(broken("arity"), runtime) == (14, 1, 4)
    assert status(broken("clamp reversed"), runtime) == (15, 2, 6)
    assert status(broken("output shape"), runtime) == (16, 2, 6)
    assert status(broken("accumulator width"), runtime) == (17, 0, 3)
    assert status(broken("test without a checksum"), runtime) == (18, -1, -1)
