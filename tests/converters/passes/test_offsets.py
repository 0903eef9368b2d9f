"""Activations with offsets: the same network, whatever the offsets; with those that make formats unsigned it loses less."""

import dataclasses

import keras
import numpy as np
import pytest
import yaml

import kerasq
from converters import layer_zoo
from converters.random_networks import random_network
from converters.same_results import assert_same_function
from converters.zoo import L
from kerasq.evaluation.beside import beside
from kerasq.format import dumps, loads
from kerasq.histogram import Histogram
from kerasq.interpreter import Interpreter
from kerasq_convert import ConversionError, Converter, float_model
from kerasq_convert.comparison.layers import analyze
from kerasq_convert.formats.behind import functions_behind
from kerasq_convert.frontend import read_model
from kerasq_convert.graph import Convolution, Curve, Graph
from kerasq_convert.observation.filling import with_filled_ranges
from kerasq_convert.observation.observe import observe
from kerasq_convert.observation.offsets import worthwhile
from kerasq_convert.options import Goals, Options
from kerasq_convert.passes.offsets import Offsets, as_offset, with_offsets
from kerasq_convert.passes.simplify import simplify

EXAMPLES = np.random.default_rng(2).uniform(-1, 1, (64, 8, 8, 3)).astype(np.float32)
OTHERS = np.random.default_rng(4).uniform(-1, 1, (64, 8, 8, 3)).astype(np.float32)
NETWORKS = {f"layers: {name}": (lambda name=name: layer_zoo.make(name)) for name in layer_zoo.LAYERS} | {
    f"random: {seed}": (lambda seed=seed: random_network(seed)) for seed in range(8)
}


def swishes():
    """Swish, hard swish and GELU before all that hands offsets on or takes them out: padding, products, sums, concatenation."""
    keras.utils.set_random_seed(7)
    image = keras.Input((8, 8, 3), name="image")
    stem = L.Conv2D(8, 3, padding="same", activation="swish", name="stem")(image)
    apart = L.DepthwiseConv2D(3, padding="same", activation="hard_swish", name="apart")(stem)
    gate = L.Dense(8, activation="sigmoid", name="gate")(L.GlobalAveragePooling2D(keepdims=True, name="mean")(apart))
    gated = L.Conv2D(8, 1, name="project")(L.Multiply(name="gated")([apart, gate]))
    grouped = L.Conv2D(8, 3, strides=2, padding="same", groups=2, activation="gelu", name="grouped")(gated)
    pooled = L.MaxPooling2D(2, name="pool")(L.Conv2D(8, 1, activation="gelu", name="aside")(gated))
    total = L.Add(name="total")([grouped, pooled])
    wide = L.Conv2D(4, 5, padding="same", activation="swish", name="wide")(total)
    both = L.Concatenate(name="both")([wide, L.Conv2D(4, 3, padding="same", activation="gelu", name="beside")(total)])
    last = L.Conv2D(8, 3, padding="same", activation="relu", name="last")(both)
    return keras.Model(image, L.Dense(5, name="scores")(L.Flatten()(last)))


@pytest.fixture(scope="module")
def model():
    network = swishes()
    for name in ("stem", "apart", "grouped", "aside", "wide", "project"):  # so that values reach where functions are one-sided
        layer = network.get_layer(name)
        before = keras.Model(network.inputs, layer.output).predict(EXAMPLES, verbose=0)
        layer.kernel.assign(layer.kernel * (6 / np.abs(before).max()))
    return network


@pytest.fixture(scope="module")
def content(model):
    return kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True)  # or tables that are shared would stay so


@pytest.mark.parametrize("name", [*NETWORKS, "swishes"])
def test_a_network_with_any_offsets_is_the_same_function(name, model):
    network = simplify(read_model(model if name == "swishes" else NETWORKS[name]()))
    offsets, rng = Offsets(network.graph), np.random.default_rng(3)
    chosen = {number: float(rng.uniform(0, 3)) for number in offsets.roots()}
    shifted = dataclasses.replace(network, graph=with_offsets(network.graph, offsets, chosen))
    assert_same_function(network, shifted, rng, 2e-4, 1e-2)


def test_values_of_all_kinds_have_offsets(model):
    network = simplify(read_model(model))
    offsets = Offsets(network.graph)
    forms = {network.names.buffer(node.output): offsets.form(offsets.forms[node.output]) for node in network.graph.nodes}
    names = ("stem", "apart", "mean", "grouped", "aside", "pool", "wide", "both", "last")
    assert all(len(forms[f"{name}/output"]) == 1 for name in names)
    assert forms["mean/output"] == forms["apart/output"]
    assert forms["pool/output"] == forms["aside/output"] != forms["grouped/output"]
    assert forms["total/output"] == tuple(sorted((*forms["grouped/output"], *forms["aside/output"])))
    assert forms["both/output"] == forms["wide/output"] == forms["beside/output"]
    assert forms["gated/output"] == forms["gate/output"] == forms["scores/output"] == ()


def test_what_is_negative_by_little_is_stored_unsigned(content):
    stored = loads(content)
    for name in ("stem", "apart", "mean", "grouped", "aside", "pool"):
        assert stored.tensor(f"{name}/output").format.family == "UFIXED8", name
    zeros = {stored.output(operator).name: operator.zero for operator in stored.operators if operator.zero}
    assert {"apart/output:1", "gated/output"} <= zeros.keys()
    assert all(0 < zero < 64 for zero in zeros.values())


def test_every_engine_computes_the_same(content):
    outputs = [Interpreter(model_content=content, engine=engine).predict(OTHERS) for engine in ("reference", "native")]
    np.testing.assert_array_equal(*outputs)


def test_offsets_lose_less(model, content, monkeypatch):
    shifted = analyze(loads(content), float_model(model, loads(content)), [OTHERS])
    monkeypatch.setattr("kerasq_convert.observation.offsets.WORTHWHILE", -1.0)
    plain = loads(kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True))
    assert plain.tensor("stem/output").format.family == "FIXED8"
    before = analyze(plain, float_model(model, plain), [OTHERS])
    for name in ("stem/output", "apart/output"):
        assert shifted.layer(name).storage.share < before.layer(name).storage.share / 2, name
    assert shifted.layer("scores/output").accumulated.sqnr_db > before.layer("scores/output").accumulated.sqnr_db + 1


def test_what_is_known_of_values_is_shifted_with_them(model):
    options = Options(representative_dataset=EXAMPLES, fill_ranges=True)
    network = simplify(read_model(model))
    shifted, known = with_filled_ranges(network, observe(network, None, options), options)
    anew = observe(shifted, None, options).statistics
    for value, offset in shifted.graph.offsets.items():
        name = network.names.buffer(value)
        assert offset > 0
        assert known.statistics[name].min > -1e-6 or value in functions_behind(shifted.graph)  # where it is flat below
        for what in ("min", "max"):
            ours, seen = (getattr(statistics[name], what) for statistics in (known.statistics, anew))
            assert ours == pytest.approx(seen, rel=1e-2, abs=2e-2), (name, what)


def test_settings_of_a_conversion_lead_to_the_same_file(model, content):
    converter = Converter(model, Options(representative_dataset=EXAMPLES, fill_ranges=True))
    assert converter.convert() == content
    settings = yaml.safe_load(converter.settings_template())
    assert any(float(number) for number in settings["offsets"].split(","))
    again = loads(kerasq.convert(model, representative_dataset=EXAMPLES, settings=settings))
    assert dumps(again) == content


def test_a_signed_format_beside_told_offsets_is_refused_with_a_remedy(model):
    converter = Converter(model, Options(representative_dataset=EXAMPLES, fill_ranges=True))
    converter.convert()
    settings = yaml.safe_load(converter.settings_template())
    settings["buffers"]["apart/output"] = "FIXED16"
    with pytest.raises(ConversionError, match=r"with an offset it can't be FIXED16_\d+; write an unsigned format"):
        kerasq.convert(model, representative_dataset=EXAMPLES, settings=settings)
    settings["buffers"]["apart/output"] = "UFIXED16"
    stored = loads(kerasq.convert(model, representative_dataset=EXAMPLES, settings=settings))
    assert stored.tensor("apart/output").format.family == "UFIXED16"


@pytest.mark.parametrize("numbers", ["1,2", "-1", "nan", "x"])
def test_offsets_of_another_network_are_refused(model, numbers):
    network = simplify(read_model(model))
    told = numbers if "," in numbers else ",".join([numbers] * len(Offsets(network.graph).roots()))
    with pytest.raises(ConversionError, match="offsets in the file's metadata are not those of this network"):
        as_offset(network, told)


@pytest.mark.parametrize("wanted", ["FIXED8", "FIXED8_4", "FIXED16", "FLOAT32"])
def test_a_signed_format_in_the_settings_is_of_values_without_an_offset(model, wanted):
    settings = {"buffers": {"stem/output": wanted}}
    stored = loads(kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True, settings=settings))
    assert stored.tensor("stem/output").format.family == wanted.split("_")[0]
    reader = next(operator for operator in stored.operators if stored.output(operator).name == "apart/output:1")
    assert reader.zero == 0


@pytest.mark.parametrize("options", [{"tune": True}, {"weight_bits": 4}, {"per_channel": True}, {"equalize": True}, {"bits": 16}])
def test_with_other_options_the_network_is_still_near(model, options):
    wanted = model.predict(OTHERS, verbose=0)
    outputs = Interpreter(
        model_content=kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True, **options)
    ).predict(OTHERS)
    noise = np.sum((outputs - wanted) ** 2) / np.sum(wanted**2)
    assert 10 * np.log10(1 / noise) > (10 if "weight_bits" in options else 24)


def test_what_a_table_has_hardly_a_use_for_is_not_lost_where_values_may_get_16_bits():
    """A hard swish is 0 below -3, a swish is not."""
    histogram = Histogram()
    histogram.add(np.random.default_rng(5).normal(0, 6, 20000))

    def offset_before(function, saturating):
        shared = {"shape": (1, 4, 4, 2), "layers": ("layer",)}
        nodes = [
            Convolution(output="x", inputs=("image",), layer="a", kernel=np.ones((2, 1, 1, 3)) / 3, **shared),
            Curve(output="y", inputs=("x",), function=function, **shared),
            Convolution(output="z", inputs=("y",), layer="c", kernel=np.ones((2, 1, 1, 2)) / 3, **shared),
        ]
        graph = Graph({"image": (1, 4, 4, 3)}, {"z": "z"}, tuple(nodes))
        offsets, histograms = Offsets(graph), dict.fromkeys(("image", "x", "z"), histogram) | {"y": histogram.mapped(function)}
        return offsets.of("x", worthwhile(graph, offsets, histograms, (), saturating=saturating))

    def hard_swish(x):
        return x * np.clip(x + 3, 0, 6) / 6

    def swish(x):
        return x / (1 + np.exp(-x))

    assert 3 <= offset_before(hard_swish, False) < 5
    assert 2 < offset_before(swish, True) < offset_before(swish, False) - 1


def test_what_is_promoted_keeps_its_zero(model):
    goals = Goals(min_sqnr_db=45)
    stored = kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True, goals=goals)
    wanted, outputs = model.predict(EXAMPLES, verbose=0), Interpreter(model_content=stored).predict(EXAMPLES)
    assert 10 * np.log10(np.sum(wanted**2) / np.sum((outputs - wanted) ** 2)) > 44


def test_files_beside_each_other_are_compared_by_values_without_offsets(model, content):
    plain, shifted = loads(kerasq.convert(model, fill_ranges=False, representative_dataset=EXAMPLES)), loads(content)
    for pair in ((plain, shifted), (shifted, plain)):
        compared = {entry.name: entry for entry in beside(*pair, EXAMPLES).computed}
        assert compared["stem/output"].scaled
        assert min(entry.sqnr_db for name, entry in compared.items() if not name.endswith(":1")) > 20  # without inputs of tables


def _sum_behind(image):
    """A sum of which one term has an offset, and which a function alone reads."""
    beside = L.Conv2D(8, 3, name="beside")(image)  # read twice, or it would take the other term as its addend
    total = L.Add()([L.Conv2D(8, 3, activation="swish")(image), beside])
    return L.Concatenate()([L.Activation("tanh")(total), L.MaxPooling2D(1)(beside)])


def _negative_throughout(image):
    """What means 0 is beyond all that is observed, and stands in the padding."""
    near = L.Conv2D(4, 3, kernel_initializer=keras.initializers.RandomUniform(-0.1, 0.1), bias_initializer=_constant(-4.0))
    return L.Conv2D(4, 3, padding="same", activation="swish")(near(image))


def _one_value(image):
    """A value that is the same throughout, and negative."""
    return L.Conv2D(4, 3)(L.Conv2D(8, 3, kernel_initializer="zeros", bias_initializer=_constant(-1.0))(image))


def _uneven_parts(image):
    """Parts of a concatenation, of which factors make one so large that its offset leaves the other few levels."""
    small = L.Conv2D(1, 1, kernel_initializer="zeros", bias_initializer=_constant(-0.7), activation="swish")(image)
    parts = L.Concatenate()([L.MaxPooling2D(1)(small), L.Conv2D(8, 3, padding="same", activation="swish")(image)])
    return L.Conv2D(4, 3, padding="same", activation="swish")(parts)


def _constant(value):
    return keras.initializers.Constant(value)


@pytest.mark.parametrize("body", [_sum_behind, _negative_throughout, _one_value, _uneven_parts])
def test_no_offset_makes_it_worse(body, monkeypatch):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, L.Dense(5, name="scores")(L.Flatten()(body(image))))
    wanted = model.predict(OTHERS, verbose=0)

    def noise():
        content = kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True)
        return np.sum((Interpreter(model_content=content).predict(OTHERS) - wanted) ** 2)

    shifted = noise()
    for name in ("WORTHWHILE", "WORTHWHILE_BEHIND"):
        monkeypatch.setattr(f"kerasq_convert.observation.offsets.{name}", -1.0)
    assert shifted < 1.5 * noise()


def test_what_is_no_number_is_told():
    image = keras.Input((8, 8, 3), name="image")
    root = keras.ops.sqrt(L.Conv2D(4, 1)(image))
    model = keras.Model(image, L.Dense(5)(L.Flatten()(L.Conv2D(4, 3, padding="same", activation="swish")(root))))
    with pytest.raises(ConversionError, match="NaNs and 0 infinities were observed"):
        kerasq.convert(model, representative_dataset=EXAMPLES, fill_ranges=True)
