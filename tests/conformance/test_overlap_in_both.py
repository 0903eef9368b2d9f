"""Outputs that lie over their inputs: allowed up to the same byte in Python and in C, and computed as if they lay apart."""

import numpy as np
import pytest

import kerasq
from conformance.compared import compare_all, unchecked
from kerasq.format import dumps
from kerasq.runtime.network import Network
from kerasq.verification.plan import aligned, needed_version
from networks import NetworkBuilder, random_stored
from overlapped import ALIGNMENT, distances, overlapped
from random_graphs import random_graph
from random_operators import OPERATORS, OVERLAPPING, random_model

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = (*kerasq.runtime.tiers(), kerasq.runtime.DSP) if kerasq.runtime.available() else ()


def models(kind, count):
    """A model, an input that its output may lie over, and the distance."""
    for seed in range(count):
        model = random_model(kind, seed)
        for index, distance in distances(model).items():
            yield f"random_model({kind!r}, {seed})", model, index, distance


def outputs(model, tier):
    inputs = [random_stored(np.random.default_rng(1), t.format, t.shape) for t in map(model.tensors.__getitem__, model.inputs)]
    interpreter = kerasq.Interpreter(model_content=dumps(model), engine="native", isa=tier)
    with np.errstate(all="ignore"):
        return interpreter.predict(inputs if len(inputs) > 1 else inputs[0], raw=True).tobytes()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", OVERLAPPING)
def test_computed_as_if_apart(kind, tier):
    overlapping = 0
    for label, model, index, distance in models(kind, 60):
        near, apart = overlapped(model, index, distance), overlapped(model, index, model.output(model.operators[0]).nbytes)
        overlapping += near.arena_bytes < apart.arena_bytes
        assert outputs(near, tier) == outputs(apart, tier), label
    assert overlapping > 20


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("channels", [32, 40, 64])
@pytest.mark.parametrize("form", ["FIXED8_4", "UFIXED8_5", "FIXED16_9", "UFIXED16_9"])
def test_maxima_over_their_own_input(form, channels, tier):
    net = NetworkBuilder()
    x = net.activation("x", (1, 6, 7, channels), form)
    y = net.apply("MAX_POOL_2D", (x,), form, window=(3, 2), strides=(1, 2), padding=(1, 1, 0, 1))
    model = net.build((x,), (y,))
    least = distances(model)[x]
    near, apart = overlapped(model, x, least), overlapped(model, x, model.output(model.operators[0]).nbytes)
    assert near.arena_bytes < apart.arena_bytes
    expected = outputs(apart, tier)
    for more in range(0, 3 * channels, ALIGNMENT):  # outputs over other channels than their own, too
        assert outputs(overlapped(model, x, least + more), tier) == expected, more
    if tier not in ("portable", kerasq.runtime.DSP) and channels % 32 == 0:  # whole vectors of channels
        assert Network(dumps(near), tier).operators()[0].kernel != "kq_max_pool_2d"


@pytest.mark.parametrize("kind", OVERLAPPING)
def test_both_verifiers_draw_the_same_line(kind, runtime):
    inside, outside = [], []
    for _, model, index, distance in models(kind, 60):
        inside.append(unchecked(overlapped(model, index, distance)))
        too_near = -(-distance // ALIGNMENT) * ALIGNMENT - ALIGNMENT
        if 0 <= too_near < model.output(model.operators[0]).nbytes:
            outside.append(unchecked(overlapped(model, index, too_near)))
    assert compare_all(inside, runtime) == {"ran": len(inside)}
    assert compare_all(outside, runtime) == ({"refused": len(outside)} if outside else {})
    assert len(inside) > 30


@pytest.mark.parametrize("kind", OPERATORS)
def test_both_verifiers_keep_an_output_off_what_is_read_again(kind, runtime):
    """No distance is enough: not even where only the output's last bytes lie over the input's first."""
    near = []
    for seed in range(40):
        model = random_model(kind, seed)
        below = max(0, aligned(model.output(model.operators[0]).nbytes, ALIGNMENT) - ALIGNMENT)
        inputs = set(model.operators[0].inputs) & set(model.lifetimes()) - set(model.outputs)
        near += [unchecked(overlapped(model, index, below)) for index in inputs - set(distances(model))]
    assert compare_all(near, runtime) == ({"refused": len(near)} if near else {})
    assert near or kind in OVERLAPPING


def test_random_graphs_overlap():
    """What tests/runtime/test_bit_equality.py compares tensor by tensor is, most often, an overlapped plan."""
    versions = [needed_version(random_graph(seed)) for seed in range(60)]
    assert sum(version >= 2 for version in versions) > 30
