"""Well-formed files with wrong fields: what gets past the structure must be refused for its meaning, or run.

test_mutations.py damages bytes, which mostly ends at the structure; here the fields of a good file are changed and a new file is
built around them, so that the verifier and the operators' rules have to do the work.
"""

import copy
import random
from collections import Counter

from format.kq_bytes import build
from kerasq.format import dumps, fuzz
from kerasq.format.samples import SAMPLES
from kerasq.format.schema import TYPES
from kerasq.format.structure import parse
from kerasq.qformat import QFormat

SEED = 11
COUNT = 1000
RANGES = {
    "type": range(9),
    "kind": range(8),
    "accumulator_bits": (0, 32, 64),
    "total_bits": (0, 32, 64),
    "frac_bits": range(-4, 20),
}
NUMBERS = (-1, 0, 1, 2, 3, 4, 16, 255, 65535, 2**20, 2**31 - 1)


def plain(value):
    """What structure.parse returns, with absent fields left out and data as bytes."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return bytes(value) if isinstance(value, memoryview) else value


def leaves(holder):
    """Every (container, key) below `holder` whose value is not a table."""
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        if not isinstance(value, dict):
            yield holder, key
        if isinstance(value, (dict, list)):
            yield from leaves(value)


def change(content, chance):
    holder, key = chance.choice(list(leaves(content)))
    value = holder[key]
    if isinstance(value, list) and value:
        place = chance.randrange(len(value))
        value[place:place] = [copy.deepcopy(value[place])] if chance.random() < 0.5 else []
        if chance.random() < 0.5:
            del value[place]
    elif isinstance(value, float):
        holder[key] = chance.choice((0.0, -1.0, float("inf"), float("-inf"), float("nan"), 1e30))
    elif isinstance(value, int):
        known = [chance.choice(RANGES[key])] if key in RANGES and chance.random() < 0.8 else NUMBERS
        holder[key] = chance.choice((*known, value + 1, value - 1) if known is NUMBERS else known)
    elif isinstance(value, bytes):
        holder[key] = chance.choice((bytes(len(value)), b"\xff" * len(value), b"\x80" * len(value), value[:-1], value * 2))


def repair(content):
    """Data of the size that type and shape ask for, and an arena large enough: or almost everything ends there."""
    for tensor in content["tensors"]:
        if tensor.get("data") and 0 <= tensor["type"] < len(TYPES) and all(0 < size < 1 << 12 for size in tensor["shape"]):
            size = QFormat.parse(TYPES[tensor["type"]]).nbytes(tuple(tensor["shape"]))
            if size < 1 << 16:
                tensor["data"] = (tensor["data"] * (size // len(tensor["data"]) + 1))[:size]
    content["arena_bytes"] = max(content["arena_bytes"], 1 << 12)


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
