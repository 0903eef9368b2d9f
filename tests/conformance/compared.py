"""Files in bulk through Python and the runtime in C."""

import contextlib
import dataclasses
import struct
from collections import Counter

from kerasq.conformance import parity
from kerasq.format import Model
from kerasq.format.writer import unverified
from kerasq.verification.plan import needed_version


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
        return unverified(model, needed_version(model))
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError, struct.error, AssertionError):
        return None


def whole(model):
    """A model of one operator with the inputs, outputs, names and plan that make it a network if its operator is sound."""
    operator = model.operators[0]
    given = [index for index in operator.inputs if 0 <= index < len(model.tensors) and model.tensors[index].data is None]
    offset, tensors = 0, []
    for index, tensor in enumerate(model.tensors):
        if tensor.data is None:
            tensor = dataclasses.replace(tensor, name=f"{index}", offset=min(offset, 2**31))
            with contextlib.suppress(ZeroDivisionError, TypeError):
                offset += -(-tensor.nbytes // 16) * 16
        else:
            tensor = dataclasses.replace(tensor, name=f"{index}", offset=None)
        tensors.append(tensor)
    return Model(
        tuple(tensors),
        (operator,),
        tuple(dict.fromkeys(given)),
        operator.outputs,
        arena_bytes=min(offset, 2**31 - 1),
        test=model.test,
    )
