"""Equalization: the same network, with channels of like sizes."""

import json

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import NETWORKS, L, build, images, signal_to_noise_db
from kerasq.commands.inspect import main as inspect
from kerasq.interpreter import Interpreter
from kerasq_convert import ConversionError, float_model
from kerasq_convert.frontend import read_model
from kerasq_convert.graph import WeightedNode
from kerasq_convert.passes import run_passes
from kerasq_convert.passes.equalize import equalize


@pytest.fixture(scope="module")
def uneven():
    """A depthwise layer between two convolutions, its channels of very different sizes on both sides."""
    keras.utils.set_random_seed(5)
    sizes = np.geomspace(0.01, 10, 8).astype(np.float32)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            L.Conv2D(8, 3, padding="same", activation="relu", name="first"),
            L.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise"),
            L.MaxPooling2D(2, name="pool"),
            L.Conv2D(6, 1, activation="relu", name="second"),
            L.Flatten(name="flatten"),
            L.Dense(4, name="head"),
        ]
    )
    first, depthwise, second = (model.get_layer(name) for name in ("first", "depthwise", "second"))
    first.kernel.assign(first.kernel * sizes)
    first.bias.assign(np.linspace(-0.2, 0.2, 8) * sizes)
    depthwise.kernel.assign(depthwise.kernel / sizes[:, None])
    depthwise.kernel.assign(depthwise.kernel * sizes[::-1, None])
    second.kernel.assign(second.kernel / sizes[::-1, None])
    return model


@pytest.fixture(scope="module")
def examples():
    return np.random.default_rng(6).uniform(0, 1, (128, 8, 8, 3)).astype(np.float32)


def weighted(model):
    graph = equalize(run_passes(read_model(model))[0])
    return {node.layer: node for node in graph.nodes if isinstance(node, WeightedNode)}


def test_neighbours_share_the_sizes_of_their_channels(uneven):
    nodes = weighted(uneven)
    largest = {name: np.abs(node.kernel) for name, node in nodes.items()}
    out = largest["first"].max(axis=(1, 2, 3))
    np.testing.assert_allclose(out, largest["depthwise"].max(axis=(1, 2, 3)), rtol=1e-2)
    np.testing.assert_allclose(out, largest["second"].max(axis=(0, 1, 2)), rtol=1e-2)
    per_channel = largest["head"].reshape(4, 16, 6).max(axis=(0, 1))
    np.testing.assert_allclose(largest["second"].max(axis=(1, 2, 3)), per_channel, rtol=1e-2)


@pytest.mark.parametrize("name", [*NETWORKS, "uneven"])
def test_the_function_stays_the_same(name, uneven, examples):
    model, x = (uneven, examples) if name == "uneven" else (build(name), images(8))
    wanted = model.predict(x, verbose=0)
    content = kerasq.convert(model, equalize=True, settings={"buffers": {"*": "FLOAT32"}, "parameters": {"*": "FLOAT32"}})
    found = Interpreter(model_content=content).predict(x)
    for one, other in zip(np.atleast_1d(found), np.atleast_1d(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


def test_one_format_per_kernel_is_enough_then(uneven, examples):
    wanted = uneven.predict(examples, verbose=0)
    options = {"representative_dataset": examples, "per_channel": False, "prune": False}  # one grid rounds many channels to 0
    plain, equalized = (kerasq.convert(uneven, equalize=each, **options) for each in (False, True))
    noise = [signal_to_noise_db(wanted, Interpreter(model_content=each).predict(examples)) for each in (plain, equalized)]
    assert noise[1] > noise[0] + 10
    assert len(equalized) <= len(plain) + 64  # a word of metadata, and no parameter more


def test_kernels_on_a_grid_are_left_alone():
    model = build("residual_fixed_point")
    x = images(16)
    plain, equalized = (kerasq.convert(model, equalize=each, representative_dataset=x) for each in (False, True))
    np.testing.assert_array_equal(*(Interpreter(model_content=each).predict(x) for each in (plain, equalized)))


def test_statistics_of_the_training_do_not_fit(uneven, tmp_path):
    with pytest.raises(ConversionError, match="equalize changes ranges"):
        kerasq.convert(uneven, equalize=True, statistics=tmp_path)


def test_errors_of_layers_are_those_of_the_equalized_network(uneven, examples, tmp_path, capsys):
    content = kerasq.convert(uneven, equalize=True, representative_dataset=examples)
    (tmp_path / "model.kq").write_bytes(content)
    uneven.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", examples)
    arguments = ["--against", str(tmp_path / "model.keras"), "--representative_dataset", str(tmp_path / "x.npy")]
    assert inspect(["kerasq-inspect", str(tmp_path / "model.kq"), *arguments, "--json"]) == 0
    reference = float_model(uneven, kerasq.Interpreter(model_content=content).model)
    plain = float_model(uneven)
    assert not np.allclose(reference.tensor("first/kernel").values, plain.tensor("first/kernel").values)
    layers = json.loads(capsys.readouterr().out)["analysis"]["layers"]
    assert {layer["accumulated"]["sqnr_db"] > 15 for layer in layers} == {True}
