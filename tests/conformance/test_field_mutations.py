"""Well-formed files with wrong fields: what gets past the structure must be refused for its meaning, or run.

test_mutations.py damages bytes, which mostly ends at the structure; here the fields of a good file are changed and a new file is
built around them, so that the verifier and the operators' rules have to do the work.
"""

import copy
import random
from collections import Counter

from format.field_changes import change, plain, repair
from format.kq_bytes import build
from kerasq.conformance import fuzz
from kerasq.conformance.samples import SAMPLES
from kerasq.format import dumps
from kerasq.format.structure import parse

SEED = 11
COUNT = 1000


def test_changed_fields():
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    good = [plain(parse(dumps(make()))) for make in SAMPLES.values()]
    counts = Counter()
    for number in range(COUNT):
        content = copy.deepcopy(chance.choice(good))
        for _ in range(chance.choice((1, 1, 2, 3))):
            change(content, chance)
        if chance.random() < 0.8:
            repair(content)
        try:
            data = build(content)
        except TypeError:  # the number doesn't fit its field
            counts["impossible"] += 1
            continue
        try:
            counts[fuzz.outcome(data)] += 1
        except Exception as error:
            raise AssertionError(f"seed {SEED}, file {number} ({data.hex()}) is neither refused nor runs") from error
    print(counts)
    assert counts["refused"] > COUNT // 4
    assert counts["ran"] > COUNT // 20
