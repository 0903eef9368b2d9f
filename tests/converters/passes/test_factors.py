"""Activations times factors: the same network, whatever the factors; with those that fill ranges it loses less."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import kerasq
from converters import layer_zoo, zoo
from converters.random_networks import random_network
from converters.same_results import assert_same_function
from converters.zoo import L
from kerasq.commands.inspect import main as inspect
from kerasq.evaluation.beside import beside
from kerasq.format import loads
from kerasq.interpreter import Interpreter
from kerasq_convert import ConversionError, float_model
from kerasq_convert.comparison.layers import analyze
from kerasq_convert.frontend import read_model
from kerasq_convert.observation import filling
from kerasq_convert.observation.filling import with_filled_ranges
from kerasq_convert.observation.observe import observe
from kerasq_convert.options import Options
from kerasq_convert.passes.factors import STEPS, Classes, as_filled, rescale
from kerasq_convert.passes.simplify import simplify

EXAMPLES = np.random.default_rng(2).uniform(0, 1, (64, 8, 8, 3)).astype(np.float32)
NETWORKS = (
    {
        f"zoo: {name}": (lambda name=name: zoo.build(name))
        for name in ("residual", "residual_binary_weight", "residual_fixed_point")
    }
    | {f"layers: {name}": (lambda name=name: layer_zoo.make(name)) for name in layer_zoo.LAYERS}
    | {f"random: {seed}": (lambda seed=seed: random_network(seed)) for seed in range(8)}
)


def joined():
    """Values that stop just above a power of two, in all that hands factors on: parts side by side, sums, products, tables."""
    keras.utils.set_random_seed(7)
    image = keras.Input((8, 8, 3), name="image")
    small = L.Conv2D(4, 3, padding="same", activation="relu", name="small")(image)
    large = L.Conv2D(4, 3, padding="same", activation="relu6", name="large")(image)
    both = L.MaxPooling2D(2, name="pool")(L.Concatenate(name="both")([small, large]))
    swish = L.Conv2D(8, 3, padding="same", activation="swish", name="swish")(both)
    gate = L.Dense(8, activation="sigmoid", name="gate")(L.GlobalAveragePooling2D(keepdims=True)(swish))
    gated = L.Multiply(name="gated")([swish, gate])
    first = L.Conv2D(8, 1, name="first")(gated)
    total = L.Add(name="total")([first, L.DepthwiseConv2D(3, padding="same", activation="relu", name="second")(first)])
    return keras.Model(image, L.Dense(5, name="scores")(L.Flatten()(total)))


@pytest.fixture(scope="module")
def model():
    network = joined()
    with_ranges(network, {"small": 0.27, "large": 4.3, "swish": 2.2, "first": 1.05, "second": 8.5, "scores": 7.9})
    return network


def with_ranges(network, largest):
    """Kernels scaled, layer by layer, so that outputs reach these values."""
    for name, limit in largest.items():
        layer = network.get_layer(name)
        reached = float(np.abs(keras.Model(network.inputs, layer.output).predict(EXAMPLES, verbose=0)).max())
        layer.kernel.assign(layer.kernel * (limit / reached))


@pytest.mark.parametrize("name", [*NETWORKS, "joined"])
def test_a_network_with_any_factors_is_the_same_function(name, model):
    network = simplify(read_model(model if name == "joined" else NETWORKS[name]()))
    classes = Classes(network.graph)
    rng = np.random.default_rng(3)
    chosen = {number: int(rng.integers(-12, 13)) for number in classes.roots()}
    scaled = dataclasses.replace(network, graph=rescale(network.graph, classes, chosen))
    assert_same_function(network, scaled, rng, 1e-4, 1e-6)


def test_values_of_all_kinds_have_factors(model):
    network = simplify(read_model(model))
    classes = Classes(network.graph)
    forms = {network.names.buffer(node.output): classes.forms(node.output) for node in network.graph.nodes}
    assert all(forms[f"{name}/output"] != [()] for name in ("small", "large", "pool", "swish", "gate", "gated", "first", "total"))
    assert forms["pool/output"] == [*forms["small/output"], *forms["large/output"]]
    assert forms["gated/output"] == [tuple(sorted((*forms["swish/output"][0], *forms["gate/output"][0])))]
    assert forms["total/output"] == forms["first/output"] == forms["second/output"]
    assert forms["scores/output"] == [()]


def test_filled_ranges_lose_less(model):
    others = np.random.default_rng(4).uniform(0, 1, (64, 8, 8, 3)).astype(np.float32)
    contents = [kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=each, prune=False) for each in (False, True)]
    plain, filled = (analyze(each, float_model(model, each), [others]) for each in map(loads, contents))
    for name in ("large/output", "gated/output"):
        assert filled.layer(name).storage.sqnr_db > plain.layer(name).storage.sqnr_db + 1.5
    assert filled.layer("scores/output").accumulated.sqnr_db > plain.layer("scores/output").accumulated.sqnr_db + 1
    assert len(contents[1]) <= len(contents[0]) + 384  # two words of metadata, and a bias for what reads the offset of the swish


def test_what_is_known_of_values_is_scaled_with_them(model):
    options = Options(representative_dataset=EXAMPLES, fill_ranges=True)
    network = simplify(read_model(model))
    filled, known = with_filled_ranges(network, observe(network, None, options), options)
    anew = observe(filled, None, options).statistics
    assert known.statistics.keys() == anew.keys()
    for name, histogram in anew.items():
        for what in ("min", "max", "std") if name != "pool/output" else ("min", "max"):  # known by what is pooled alone
            assert getattr(known.statistics[name], what) == pytest.approx(getattr(histogram, what), rel=2e-2, abs=1e-6), name


def test_what_is_trained_on_a_grid_stays():
    network, x = zoo.build("residual_fixed_point"), zoo.images(16)
    plain, filled = (kerasq.convert(network, fill_ranges=each, representative_dataset=x) for each in (False, True))
    np.testing.assert_array_equal(*(Interpreter(model_content=each).predict(x) for each in (plain, filled)))


def test_files_beside_each_other_are_compared_by_values_without_factors(model):
    plain, scaled = (loads(kerasq.convert(model, fill_ranges=each, representative_dataset=EXAMPLES)) for each in (False, True))
    for pair in ((plain, scaled), (scaled, plain)):
        compared = {entry.name: entry for entry in beside(*pair, EXAMPLES).computed}
        assert min(entry.sqnr_db for entry in compared.values()) > 25
        assert compared["large/output"].scaled
        assert not compared["scores/output"].scaled


def filled(content):
    return loads(content).metadata.get("filled")


def test_ranges_are_filled_by_default_where_that_helps(model):
    contents = [kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=each) for each in (None, True, False)]
    assert contents[0] == contents[1] != contents[2]
    assert filled(contents[0])
    assert filled(contents[2]) is None


def test_examples_that_are_held_back_decide(model, monkeypatch):
    """Factors that are none of these ranges' lose more than steps do; asked for, they are taken all the same."""

    def coarse(graph, classes, histograms, families, criterion=None, held=()):
        return {number: 0 if number in held else 5 * STEPS * (number % 3) for number in classes.roots()}

    monkeypatch.setattr(filling, "choose", coarse)
    monkeypatch.setattr(filling, "_scaled_histograms", lambda graph, classes, chosen, histograms: histograms)
    automatic, asked = (kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=each) for each in (None, True))
    assert filled(automatic) is None
    assert filled(asked)


def test_kernels_stay_shared():
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 3), name="image")
    shared = L.Conv2D(8, 3, padding="same", activation="relu", name="shared")
    x = L.Conv2D(8, 3, name="first")(image)
    network = keras.Model(image, L.Dense(5)(L.Flatten()(shared(shared(shared(x))))))
    plain, scaled = (kerasq.convert(network, representative_dataset=EXAMPLES, fill_ranges=each) for each in (False, True))
    assert filled(scaled)
    assert len(scaled) < len(plain) + 128 < len(plain) + 8 * 8 * 9


@pytest.mark.parametrize("bits", [8, 16])
def test_tables_stay_shared(bits):
    """Where all are one, scaling would make of each its own: more bytes than the rest of the network."""
    keras.utils.set_random_seed(3)
    layers = [L.Conv2D(4, 1, activation="tanh", name=f"tanh{number}") for number in range(6)]
    network = keras.Sequential(
        [keras.Input((8, 8, 3), name="image"), *layers, L.Conv2D(4, 1, activation="relu", name="last"), L.Flatten(), L.Dense(5)]
    )
    plain, asked, automatic = (
        kerasq.convert(network, representative_dataset=EXAMPLES, fill_ranges=each, bits=bits) for each in (False, True, None)
    )
    assert len(asked) > 1.05 * len(plain)
    assert len(automatic) < 1.01 * len(plain) + 128


@pytest.mark.parametrize(
    "settings",
    [
        {"buffers": {"large/output": "FIXED8_4"}},
        {"parameters": {"large/kernel": "FIXED8_6"}},
        {"parameters": {"large/bias": "FIXED32_10"}},
    ],
)
def test_what_settings_say_is_of_values_as_they_are(model, settings):
    """Of all that share a concatenation with them, too; others are scaled."""
    network = simplify(read_model(model))
    classes = Classes(network.graph)
    values = {network.names.buffer(node.output): node.output for node in network.graph.nodes}
    chosen = {}
    for each in (None, True):
        content = kerasq.convert(model, representative_dataset=EXAMPLES, settings=settings, fill_ranges=each)
        exponents = dict(zip(classes.roots(), map(int, filled(content).split(",")), strict=True))
        chosen[each] = {name: set(classes.exponents(value, exponents)) for name, value in values.items()}
    assert chosen[None]["large/output"] == chosen[None]["small/output"] == {0} != chosen[True]["large/output"]
    assert chosen[None]["gated/output"] == chosen[True]["gated/output"] != {0}


def test_a_family_in_the_settings_leaves_factors_free(model):
    settings = {"buffers": {"*": "FIXED8"}}
    assert filled(kerasq.convert(model, representative_dataset=EXAMPLES, settings=settings))


@pytest.mark.parametrize(
    ("factors", "words"),
    [("1,2", "the factors in the settings are not those of this network"), (["1", "2"], "a line of numbers with commas")],
)
def test_other_factors_in_the_settings_are_refused(model, factors, words):
    with pytest.raises(ConversionError, match=words):
        kerasq.convert(model, representative_dataset=EXAMPLES, settings={"factors": factors})


def test_without_ranges_there_is_nothing_to_fill(model):
    with pytest.raises(ConversionError, match="fill_ranges is by what was observed: give representative_dataset or statistics"):
        kerasq.convert(model, fill_ranges=True)


def test_errors_of_layers_are_those_of_the_scaled_network(model, tmp_path, capsys):
    (tmp_path / "model.kq").write_bytes(kerasq.convert(model, fill_ranges=True, representative_dataset=EXAMPLES))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", EXAMPLES)
    arguments = ["--against", str(tmp_path / "model.keras"), "--representative_dataset", str(tmp_path / "x.npy"), "--json"]
    assert inspect(["kerasq-inspect", str(tmp_path / "model.kq"), *arguments]) == 0
    layers = json.loads(capsys.readouterr().out)["analysis"]["layers"]
    assert min(layer["accumulated"]["sqnr_db"] for layer in layers) > 25


@pytest.mark.parametrize("told", ["", "1,2", "x", "9999999", "1e3"])
def test_factors_of_another_network_are_refused(model, told):
    network = simplify(read_model(model))
    exponents = ",".join([told] * len(Classes(network.graph).roots())) if told == "9999999" else told
    with pytest.raises(ConversionError, match="factors in the file's metadata are not those of this network"):
        as_filled(network, exponents)
