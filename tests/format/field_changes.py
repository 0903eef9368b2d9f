"""Random changes of the fields of a file, given as nested dicts: what gets past the structure is judged by its meaning."""

import copy

from kerasq.format.schema import TYPES
from kerasq.qformat import QFormat

RANGES = {
    "type": range(9),
    "kind": range(12),
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
