"""Every set of vector kernels that this processor has: the reference's values, for what converted networks are made of.

tests/runtime/test_bit_equality.py draws from all that the file format allows, with few channels; here are the usual formats, from
1 to 70 channels, odd numbers included, windows, strides and dilations, maps of one column, batches of 1 to 17, and outputs that
lie over their inputs.
"""

from __future__ import annotations

import collections
import os

import numpy as np
import pytest

import kerasq
from kerasq.format import dumps
from kerasq.format.model import Model
from kerasq.runtime import Network
from networks import random_inputs
from overlapped import ALIGNMENT, compared_at_every_distance
from practical_operators import KINDS, practical_model

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = tuple(tier for tier in kerasq.runtime.tiers() if tier != "portable") if kerasq.runtime.available() else ()
COUNT = int(os.environ.get("KERASQ_RANDOM_GRAPHS", "300")) // 4
BATCH = 17


def outputs(model: Model, examples: int = 1, **engine) -> np.ndarray:
    inputs = random_inputs(model, seed=examples, examples=examples)
    return kerasq.Interpreter(model_content=dumps(model), num_threads=1, **engine).predict(inputs, raw=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_values_of_the_reference(kind):
    for seed in range(COUNT):
        model, examples = practical_model(kind, seed), seed % BATCH + 1
        expected = outputs(model, examples, engine="reference")
        for tier in TIERS:
            found = outputs(model, examples, isa=tier)
            np.testing.assert_array_equal(found, expected, err_msg=f"practical_model({kind!r}, {seed}), {tier}")


@pytest.mark.parametrize("kind", KINDS)
def test_over_an_input_at_every_distance(kind):
    """From the least that the rule allows, as if the output lay apart: rows and blocks overwrite nothing too early."""
    for seed in range(COUNT // 3):
        label = f"practical_model({kind!r}, {seed})"
        compared_at_every_distance(practical_model(kind, seed), outputs, TIERS, 39 * ALIGNMENT, label)


@pytest.mark.parametrize("tier", TIERS)
def test_the_kernels_for_weights_are_among_them(tier):
    used: collections.Counter[str] = collections.Counter()
    for kind in KINDS:
        for seed in range(20):
            used.update(operator.kernel for operator in Network(dumps(practical_model(kind, seed)), tier).operators())
    families = {name.rpartition("_")[0] for name in used if name.endswith(("_avx2", "_avx512"))}
    assert families >= {"kq_conv_2d", "kq_dense", "kq_depthwise_bytes"}
