"""What the verifier accepts can run in one arena: tensors at their offsets in the same bytes give what separate arrays give."""

from collections import Counter

import numpy as np
import pytest

from kerasq import ops
from kerasq.conformance import fuzz
from kerasq.conformance.samples import SAMPLES
from kerasq.format import ModelError, dumps, loads

SEED = 3


class Separate:
    """An array of its own for each tensor."""

    def __init__(self, model):
        self.values = {}

    def write(self, index, values):
        self.values[index] = values.copy()

    def read(self, index):
        return self.values[index]


class Arena:
    """The bytes that the plan gives to each tensor, for all of them together."""

    def __init__(self, model):
        self.model = model
        self.bytes = np.zeros(model.arena_bytes, np.uint8)

    def place(self, index):
        tensor = self.model.tensors[index]
        return self.bytes[tensor.offset : tensor.offset + tensor.nbytes]

    def write(self, index, values):
        self.place(index)[:] = np.frombuffer(values.tobytes(), np.uint8)

    def read(self, index):
        tensor = self.model.tensors[index]
        return np.frombuffer(self.place(index).tobytes(), tensor.format.dtype).reshape(tensor.shape)


def outputs(model, memory):
    random = np.random.default_rng(SEED)
    for index in model.inputs:
        tensor = model.tensors[index]
        noise = random.normal(scale=tensor.format.step * 50, size=tensor.shape)
        memory.write(index, tensor.format.quantize(noise))
    with np.errstate(all="ignore"):
        for operator in model.operators:
            given = [index for index in operator.inputs if index >= 0 and not model.tensors[index].is_constant]
            memory.write(operator.outputs[0], ops.prepare(model, operator)(*map(memory.read, given)))
    return [memory.read(index).tobytes() for index in model.outputs]


@pytest.mark.parametrize("sample", SAMPLES)
def test_samples(sample):
    model = SAMPLES[sample]()
    assert outputs(model, Arena(model)) == outputs(model, Separate(model))


def test_accepted_damage():
    print(f"seed {SEED}")
    contents = [dumps(make()) for make in SAMPLES.values()]
    counts = Counter()
    for content in fuzz.mutants(contents, 2000, SEED):
        try:
            model = loads(content)
        except ModelError:
            counts["refused"] += 1
            continue
        if fuzz.work(model) <= fuzz.MAX_WORK and model.arena_bytes < 1 << 20:
            assert outputs(model, Arena(model)) == outputs(model, Separate(model)), content.hex()
            counts["ran"] += 1
    print(counts)
    assert counts["ran"] > 100
