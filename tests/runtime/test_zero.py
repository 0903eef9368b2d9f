"""Operators whose input has a zero that is not 0: the kernels that compute all others compute them, to the bit, alone and in
pieces."""

from __future__ import annotations

import collections
import dataclasses
import itertools

import numpy as np
import pytest

import kerasq
from kerasq.format import dumps
from kerasq.format.model import ABSENT, Model
from kerasq.qformat import QFormat
from kerasq.runtime import Network
from networks import NetworkBuilder, random_inputs, random_stored
from practical_operators import PADDED, models_with_zeros
from random_operators import random_model

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
COUNT, LEAST = 40, 8  # networks of each kind; how often a kernel is to run
KERNELS = {
    "avx2": {"kq_conv_2d_avx2", "kq_conv_2d_3x3_avx2", "kq_depthwise_conv_2d_avx2", "kq_depthwise_bytes_avx2", "kq_mul_avx2"},
    "avx512vnni": {"kq_conv_2d_avx512", "kq_depthwise_bytes_avx512"},
}


def networks() -> list[Model]:
    """Padded convolutions as networks have them, products, and sums of 64 bits."""
    products = (random_model("mul", seed) for seed in itertools.count())
    some = [model for kind in PADDED for model in itertools.islice(models_with_zeros(kind), COUNT)]
    return [*some, *itertools.islice((model for model in products if model.operators[0].zero), COUNT)]


@pytest.fixture(scope="module")
def models() -> list[Model]:
    return networks()


def without_zeros(model: Model) -> Model:
    return dataclasses.replace(model, operators=tuple(operator.replace(zero=0) for operator in model.operators))


def outputs(model: Model, **engine) -> np.ndarray:
    return kerasq.Interpreter(model_content=model, **engine).predict(random_inputs(model, 0, 2), raw=True)


def in_pieces(model: Model, tier: str) -> np.ndarray:
    """The first example, by threads that divide all that can be divided."""
    output, network = model.tensors[model.outputs[0]], Network(dumps(model), tier)
    computed = np.empty((1, *output.shape[1:]), output.format.dtype)
    network.team(3, least_macs=1).run([array[:1] for array in random_inputs(model, 0, 2)], [computed])
    return computed


@pytest.mark.parametrize("tier", TIERS)
def test_the_kernels_are_those_of_networks_without(models, tier):
    used: collections.Counter[str] = collections.Counter()
    for model in models:
        kernels = [operator.kernel for operator in Network(dumps(model), tier).operators()]
        assert kernels == [operator.kernel for operator in Network(dumps(without_zeros(model)), tier).operators()]
        used.update(kernels)
    assert all(used[name] >= LEAST for name in KERNELS.get(tier, ()))
    assert sum(model.operators[0].accumulator_bits == 64 for model in models) >= LEAST


@pytest.mark.parametrize("tier", TIERS)
def test_the_values_of_the_reference(models, tier):
    changed = 0
    for number, model in enumerate(models):
        expected = outputs(model, engine="reference")
        label = f"networks()[{number}], {model.operators[0]}"
        np.testing.assert_array_equal(outputs(model, isa=tier, num_threads=1), expected, err_msg=label)
        np.testing.assert_array_equal(in_pieces(model, tier), expected[:1], err_msg=f"{label}, in pieces")
        changed += not np.array_equal(outputs(without_zeros(model), isa=tier), expected)
    assert changed > len(models) // 2


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("groups", [1, 24])
def test_operators_that_share_all_but_their_zero(tier, groups):
    """What is made of constants serves all of them."""
    rng, net, form = np.random.default_rng(groups), NetworkBuilder(), QFormat.parse("FIXED8_7")
    x = net.activation("x", (1, 7, 7, 24), "UFIXED8_7")
    kernel = net.constant("kernel", random_stored(rng, form, (24, 3, 3, 24 // groups)), form)
    applied = [
        net.apply("CONV_2D", (x, kernel, ABSENT, ABSENT), "FIXED8_4", f"y{zero}", padding=(1, 1, 1, 1), groups=groups, zero=zero)
        for zero in (0, 27, 255)
    ]
    model = net.build((x,), tuple(applied))
    found, expected = (outputs(model, **engine) for engine in ({"isa": tier}, {"engine": "reference"}))
    for y, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(y, wanted)
    assert len({y.tobytes() for y in found}) == 3
    alone = dataclasses.replace(model, operators=model.operators[:1], outputs=model.outputs[:1], tensors=model.tensors[:3])
    packed, packed_alone = (
        Network(dumps(network), tier).state_bytes - Network(dumps(network), "portable").state_bytes for network in (model, alone)
    )
    assert packed == packed_alone
