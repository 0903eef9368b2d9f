"""The kernels for Cortex-M4, as this processor computes them: the reference's values, for what converted networks are made of."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re

import numpy as np
import pytest

import kerasq
from c_compiler import RUNTIME
from kerasq.format import dumps
from kerasq.runtime import DSP, Network
from kerasq.runtime.network import aligned
from networks import random_inputs
from overlapped import ALIGNMENT, compared_at_every_distance
from practical_operators import KINDS, PADDED, models_with_zeros, practical_model

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

COUNT = 150


def inputs_of(model):
    return random_inputs(model, seed=1, examples=2)


def outputs(model, **engine):
    return kerasq.Interpreter(model_content=dumps(model), **engine).predict(inputs_of(model), raw=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_values_of_the_reference(kind):
    for seed in range(COUNT):
        model = practical_model(kind, seed)
        expected = outputs(model, engine="reference")
        np.testing.assert_array_equal(outputs(model, isa=DSP), expected, err_msg=f"practical_model({kind!r}, {seed})")


def test_inputs_whose_zero_is_not_0():
    """It changes no choice of a kernel, and every kernel of unsigned inputs computes with one."""
    used = collections.Counter()
    for kind in PADDED:
        for number, model in enumerate(itertools.islice(models_with_zeros(kind), 50)):
            (operator,) = model.operators
            without = dataclasses.replace(model, operators=(operator.replace(zero=0),))
            kernel, usual = (Network(dumps(network), DSP).operators()[0].kernel for network in (model, without))
            assert kernel == usual
            used[kernel] += 1
            expected = outputs(model, engine="reference")
            np.testing.assert_array_equal(outputs(model, isa=DSP), expected, err_msg=f"{kind}, number {number}")
    names = re.findall(r"\bX\((kq_conv_2d_(?:\w+_)?u8_\w*dsp)\)", (RUNTIME / "include" / "kerasq_kernels.h").read_text())
    assert min(used[name] for name in names) >= 5
    assert len(names) == 14


@pytest.mark.parametrize("kind", KINDS)
def test_over_an_input_at_every_distance(kind):
    """From the least that the rule allows, as if the output lay apart: blocks of several pixels overwrite nothing too early."""
    compared = 0
    for seed in range(COUNT):
        model = practical_model(kind, seed)
        label = f"practical_model({kind!r}, {seed})"
        compared += compared_at_every_distance(model, outputs, [DSP], 13 * ALIGNMENT, label)
    assert compared > COUNT or kind == "dense"


@pytest.mark.parametrize("kind", KINDS)
def test_an_arena_need_not_be_aligned_to_more_than_the_file_says(kind):
    """A header that --emit_c writes has the file's alignment, and scratch memory lies behind what is planned."""
    for seed in range(10):
        model = practical_model(kind, seed)
        network, inputs = Network(dumps(model), DSP), inputs_of(model)
        assert network.alignment == model.arena_alignment
        row = network.row_bytes
        arena = aligned(64 + row, 64)[model.arena_alignment :][:row].reshape(1, row)
        output = model.tensors[model.outputs[0]]
        computed = np.empty((2, *output.shape[1:]), output.format.dtype)
        network.run(arena, inputs, [computed])
        np.testing.assert_array_equal(computed.ravel(), np.ravel(outputs(model, isa="portable")), err_msg=f"{kind} {seed}")


def test_every_kernel_is_among_them():
    used = collections.Counter()
    for kind in KINDS:
        for seed in range(COUNT):
            used.update(operator.kernel for operator in Network(dumps(practical_model(kind, seed)), DSP).operators())
    header = (RUNTIME / "include" / "kerasq_kernels.h").read_text()
    assert set(re.findall(r"\bX\((\w+_dsp)\)", header)) == {name for name in used if name.endswith("_dsp")}
