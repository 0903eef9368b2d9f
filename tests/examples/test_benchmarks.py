"""examples/benchmarks: networks of the published shapes, and examples that they can learn from."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys

import numpy as np
import pytest
from standins import NETWORKS, score, trained

import kerasq
from c_compiler import compiler
from kerasq.format import loads
from kerasq.runtime import DSP, Network

SOURCE = pathlib.Path(__file__).parents[2] / "examples" / "benchmarks" / "avx2_only.c"

# Million multiply-accumulates of the originals (MLPerf Tiny), and operators of the .kq file.
MACS = {"resnet8": 12.50, "vww": 7.49, "kws": 2.66, "ad": 0.264, "sww": 0.83}
MOST_OPERATORS = {"resnet8": 13, "vww": 31, "kws": 13, "ad": 10, "sww": 12}


@pytest.mark.parametrize("name", NETWORKS)
def test_work_is_that_of_the_original(converted_standins, name):
    model = loads(converted_standins[name])
    assert not any(tensor.format.is_float for tensor in model.tensors)
    assert len(model.operators) <= MOST_OPERATORS[name]
    macs = sum(operator.macs for operator in Network(converted_standins[name], DSP).operators())
    assert macs / 1e6 == pytest.approx(MACS[name], rel=0.02)


@pytest.mark.parametrize("name", NETWORKS)
def test_examples_are_repeatable_and_those_for_the_test_are_others(name):
    network = NETWORKS[name]
    (first, labels), (again, _), (other, _) = network.data(8, 1), network.data(8, 1), network.data(8, 2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape[1:] == network.build().input_shape[1:]
    assert labels.shape == (8,)


def test_a_trained_network_knows_its_classes_and_so_does_its_conversion():
    network = NETWORKS["sww"]
    model, (examples, labels) = trained(network), network.test()
    content = kerasq.convert(model, representative_dataset=network.representative())
    scores = kerasq.Interpreter(model_content=content).predict(examples)
    before = score(model.predict(examples, verbose=0), examples, labels)
    assert before > 90
    assert score(scores, examples, labels) > before - 2


def test_an_autoencoder_is_scored_by_how_it_tells_broken_from_sound():
    examples, labels = NETWORKS["ad"].data(20, 2)
    assert score(examples * (1 - labels[:, None]), examples, labels) == 100
    assert score(examples * labels[:, None], examples, labels) == 0


@pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="for Linux on x86-64")
def test_a_program_is_shown_avx2_only(tmp_path):
    """The library that hides newer instructions; where it can, no tier beyond AVX2 is left, for whoever asks the processor."""
    library = tmp_path / "avx2_only.so"
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
    subprocess.run([*compiler(), *flags, str(SOURCE), "-o", str(library)], check=True)
    program = [sys.executable, "-c", "import kerasq.runtime; print(*kerasq.runtime.tiers())"]
    result = subprocess.run(program, env={**os.environ, "LD_PRELOAD": str(library)}, capture_output=True, text=True, check=True)
    if "can't hide" in result.stderr:
        pytest.skip("this machine can't hide instructions")
    assert result.stdout.split() == [tier for tier in kerasq.runtime.tiers() if tier != "avx512vnni"]
