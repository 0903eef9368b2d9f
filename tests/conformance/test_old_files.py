"""Files that earlier releases wrote: they load, keep their bytes, and give the integers that those releases gave.

tests/data/old_files are the networks of kerasq.conformance.samples, each with a test vector, as written at the last commit whose
format was version 1, and when each later version was new. They were made so, `compact` from version 3 on:

    model = SAMPLES[name]()
    path.write_bytes(dumps(with_selftest(model, random_example(model)), compact=True))  # versionN_name.kq
"""

import pathlib
from collections import Counter

import numpy as np
import pytest

import kerasq
from kerasq.conformance import parity
from kerasq.format import dumps, loads
from kerasq.format.structure import parse
from kerasq.selftest import with_selftest

FILES = sorted((pathlib.Path(__file__).parents[1] / "data" / "old_files").glob("*.kq"))
SHIPPED = sorted((pathlib.Path(__file__).parents[2] / "examples").rglob("*.kq"))


def test_there_are_files_of_every_version():
    versions = Counter(parse(path.read_bytes())["version"] for path in FILES)
    assert versions == {1: 4, 2: 2, 3: 2, 4: 1, 5: 2}
    assert len(SHIPPED) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_old_files(path, runtime):
    content = path.read_bytes()
    model = loads(content)
    assert dumps(model, compact=parse(content)["version"] > 2) == content
    assert parity.compare(content, runtime) == "ran"
    example, start = [], 0
    for index in model.inputs:
        tensor = model.tensors[index]
        stored = np.frombuffer(model.test.input, tensor.format.dtype, np.prod(tensor.shape), start)
        example.append(stored.reshape(tensor.shape))
        start += tensor.nbytes
    assert with_selftest(model, example).test == model.test


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_files_of_the_examples_are_accepted(path, runtime):
    assert runtime.answer(path.read_bytes()) in (["too", "large"], ["ran"])  # the runtime's verifier; the network is not small
    kerasq.Interpreter(path).allocate_tensors()
