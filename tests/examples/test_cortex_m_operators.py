"""The kernels on simulated processors: hundreds of random networks of one operator, and the trained networks of examples/, each
with the reference's checksums."""

from __future__ import annotations

import itertools
import pathlib
import shutil

import pytest

import kerasq.runtime
from kerasq import format as kq
from kerasq import ops
from overlapped import distances, overlapped
from practical_operators import KINDS, PADDED, models_with_zeros, practical_model
from random_operators import OPERATORS, random_model

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which computes the checksums")
COUNT = 60  # of each kind
COUNT_WITH_ZERO = 40  # of each kind that has padding
COUNT_OF_ANY = 6  # of each kind that the file format allows, all operators among them


def models():
    """Every other one with its output over an input, as near as may be."""
    for kind in KINDS:
        for seed in range(COUNT):
            model = practical_model(kind, seed)
            if seed % 2:
                for index, distance in distances(model).items():
                    model = overlapped(model, index, distance)
                    break
            yield f"practical_model({kind!r}, {seed})", model
    for kind in PADDED:
        for number, model in enumerate(itertools.islice(models_with_zeros(kind), COUNT_WITH_ZERO)):
            yield f"number {number} of models_with_zeros({kind!r})", model
    for kind in OPERATORS:
        for seed in range(COUNT_OF_ANY):
            yield f"random_model({kind!r}, {seed})", random_model(kind, seed)
    for path in sorted(ROOT.glob("examples/*/models/*.kq")):
        yield path.name, kq.load(path)


def is_exact(model):
    """Whether it computes in integers: what is computed in float may differ in the last place."""
    return all(ops.is_integer(model, operator) for operator in model.operators)


@pytest.fixture(scope="module")
def networks():
    from examples.operator_firmware import packed

    return {label: packed(model) for label, model in models() if is_exact(model)}


@pytest.mark.parametrize(
    ("cpu", "options"),
    [
        ("m4", ()),
        ("m4", ("-DKQ_NO_ASSEMBLY",)),
        ("m4", ("-Os",)),
        ("m7", ()),
        ("m33", ()),
        ("m0", ()),
        ("m3", ()),
        ("rv32", ()),
    ],
)
def test_every_checksum_is_the_references(cpu, options, networks, tmp_path):
    from processors import PROCESSORS

    from examples.operator_firmware import Program

    tools = (f"{PROCESSORS[cpu].tools}gcc", PROCESSORS[cpu].simulator[0])
    if any(shutil.which(tool) is None for tool in tools):
        pytest.skip(f"needs {' and '.join(tools)}")
    labels = list(networks)
    assert [labels[number] for number in Program(tmp_path, cpu, *options).failures(list(networks.values()))] == []
    assert sum(label.startswith("practical") for label in labels) >= 300
    assert {"resnet23.kq", "resnet23_binary.kq", "mobilenet.kq"} <= set(labels)
