"""One example in several threads: every operator divided that can be, however small, is what one thread computes, to the bit."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq.format.model import ABSENT
from kerasq.qformat import QFormat
from kerasq.runtime import Network
from networks import NetworkBuilder, random_inputs, random_resnet23, random_stored
from overlapped import ALIGNMENT, compared_at_every_distance, distances, overlapped
from practical_operators import KINDS, practical_model
from random_graphs import random_graph
from random_operators import random_model

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = tuple(tier for tier in kerasq.runtime.tiers() if tier != "portable") if kerasq.runtime.available() else ()
EXAMPLES = 2


def outputs_of(model):
    tensors = [model.tensors[index] for index in model.outputs]
    return [np.empty((1, *tensor.shape[1:]), tensor.format.dtype) for tensor in tensors]


def divided(model, isa="portable"):
    """Outputs of one example; by a team that divides all it can, in memory that is not cleared."""
    network = Network(file_format.dumps(model), isa)
    team, outputs = network.team(3, least_macs=1), outputs_of(model)
    for example in (1, 0):
        team.run([array[example : example + 1] for array in random_inputs(model, 0, 2)], outputs)
    return outputs[0]


def assert_equal_in_threads(model, tier, threads, seed, label):
    network = Network(file_format.dumps(model), tier)
    team, arena = network.team(threads, least_macs=1), network.arena()
    for example in range(EXAMPLES):
        inputs = [array[example : example + 1] for array in random_inputs(model, seed, EXAMPLES)]
        alone, together = outputs_of(model), outputs_of(model)
        network.run(arena, inputs, alone)
        team.run(inputs, together)
        for expected, received in zip(alone, together, strict=True):
            np.testing.assert_array_equal(received, expected, err_msg=f"{label}, {tier}, {threads} threads")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", ["convolution", "residual"])
def test_divided_operators(tier, kind):
    for seed in range(100):
        assert_equal_in_threads(random_model(kind, seed), tier, 2 + seed % 4, seed, f"random_model({kind!r}, {seed})")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", KINDS)
def test_divided_operators_of_usual_shapes(tier, kind):
    for seed in range(40):
        assert_equal_in_threads(practical_model(kind, seed), tier, 2 + seed % 4, seed, f"practical_model({kind!r}, {seed})")


@pytest.mark.parametrize("kind", KINDS)
def test_divided_operators_over_their_input_at_every_distance(kind):
    for seed in range(8):
        label = f"practical_model({kind!r}, {seed})"
        compared_at_every_distance(practical_model(kind, seed), divided, TIERS, 39 * ALIGNMENT, label)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("channels", [16, 24])
def test_a_depthwise_convolution_of_many_pieces_over_its_input(tier, channels):
    rng, net = np.random.default_rng(channels), NetworkBuilder()
    x = net.activation("x", (1, 40, 40, channels), QFormat.parse("UFIXED8_8"))
    form = QFormat.parse("FIXED8_7")
    kernel = net.constant("kernel", random_stored(rng, form, (channels, 3, 3, 1)), form)
    y = net.apply("CONV_2D", (x, kernel, ABSENT, ABSENT), QFormat.parse("UFIXED8_6"), padding=(1, 1, 1, 1), groups=channels)
    model = net.build((x,), (y,))
    (least,) = distances(model).values()
    assert np.unique(divided(model)).size > 50
    np.testing.assert_array_equal(divided(overlapped(model, x, least), tier), divided(model))


@pytest.mark.parametrize("make", [lambda network, *_: network.team(2), lambda network, *ends: network.example_call(*ends)])
def test_a_network_lives_as_long_as_what_computes_it(make):
    model = random_graph(1)
    network = Network(file_format.dumps(model))
    alive, made = weakref.ref(network), make(network, random_inputs(model, 0, 1), outputs_of(model))
    del network
    gc.collect()
    assert alive() is not None
    del made
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("tier", TIERS)
def test_divided_graphs(tier):
    for seed in range(60):
        assert_equal_in_threads(random_graph(seed), tier, 2 + seed % 3, seed, f"random_graph({seed})")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("buffers", ["FIXED8", "FIXED16", "FLOAT32"])
def test_divided_resnet23(tier, buffers):
    model = random_resnet23("FIXED8", buffers, maps=32, size=16)
    assert_equal_in_threads(model, tier, 3, 0, f"ResNet23 {buffers}")


@pytest.fixture(scope="module")
def large():
    """A network that is large enough to be divided."""
    return random_resnet23("FIXED8", maps=64, size=64)


def test_only_large_networks_gain(large):
    small = Network(file_format.dumps(random_resnet23("FIXED8", maps=16, size=16)))
    assert small.threads(8) == 1
    assert Network(file_format.dumps(large), "portable").threads(8) == 1, "no portable kernel is divided"
    if TIERS:
        assert Network(file_format.dumps(large)).threads(8) == 8
        assert Network(file_format.dumps(large)).threads(1) == 1


def test_an_interpreter_computes_the_same_in_any_number_of_threads(large):
    x = random_inputs(large, 3, 1)[0]
    one, three = (kerasq.Interpreter(model_content=large, num_threads=threads) for threads in (1, 3))
    expected = one.predict(x, raw=True)
    np.testing.assert_array_equal(three.predict(x, raw=True), expected)
    np.testing.assert_array_equal(three.predict(x[0], raw=True), expected[0])
    three.set_tensor(large.inputs[0], x)
    three.invoke()
    np.testing.assert_array_equal(three.get_tensor(large.outputs[0]), expected)


def test_threads_share_an_interpreter_whose_examples_are_divided(large):
    """One at a time has the team, the others compute alone."""
    interpreter = kerasq.Interpreter(model_content=large, num_threads=2)
    examples = random_inputs(large, 4, 4)[0]
    expected = kerasq.Interpreter(model_content=large, num_threads=1).predict(examples, raw=True)
    wrong = []

    def work(example):
        for _ in range(5):
            if not np.array_equal(interpreter.predict(examples[example], raw=True), expected[example]):
                wrong.append(example)

    threads = [threading.Thread(target=work, args=(example,)) for example in range(len(examples))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_for_threads_counts_and_is_done_without_where_there_is_none(large):
    content = file_format.dumps(large)
    network = Network(content)
    one = network.state_bytes + network.arena_bytes + network.row_bytes
    interpreter = kerasq.Interpreter(model_content=content, max_bytes=one)
    x = random_inputs(large, 5, 1)[0]
    expected = kerasq.Interpreter(model_content=content, num_threads=1).predict(x, raw=True)
    np.testing.assert_array_equal(interpreter.predict(x, raw=True), expected)


FORKED = """
import os, sys
import numpy as np, kerasq
interpreter = kerasq.Interpreter(model_path=sys.argv[1], num_threads=3)
x = np.ones(interpreter.get_input_details()[0]["shape"], interpreter.get_input_details()[0]["dtype"])
expected = interpreter.predict(x, raw=True)
child = os.fork()
same = np.array_equal(interpreter.predict(x, raw=True), expected)
if child == 0:
    os._exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0
assert same
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_computes_without_the_threads(large, tmp_path):
    file_format.dump(large, tmp_path / "large.kq")
    done = subprocess.run(
        [sys.executable, "-c", FORKED, "large.kq"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
