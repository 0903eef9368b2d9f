"""Files in bulk through Python and the runtime in C."""

import struct
from collections import Counter

from kerasq.format.writer import _Writer
from kerasq.runtime import parity


def compare_all(files, runtime):
    counts = Counter()
    for number, content in enumerate(files):
        try:
            counts[parity.compare(content, runtime)] += 1
        except parity.MismatchError as mismatch:
            raise AssertionError(f"file {number} ({content.hex()}): {mismatch}") from None
    print(counts)
    return counts


def unchecked(model):
    """The file of a model that the writer would refuse; None where it can't be written at all."""
    try:
        return _Writer().model(model)
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError, struct.error, AssertionError):
        return None
