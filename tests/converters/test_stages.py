"""The stages of a conversion, each alone: what it takes and what it must give. None needs a later one."""

import ast
import pathlib

import keras
import numpy as np
import pytest

import kerasq_convert
from kerasq.format import dumps
from kerasq.qformat import FLOAT32, QFormat
from kerasq_convert import ConversionError, float_model, roles
from kerasq_convert.building import Builder, in_float
from kerasq_convert.formats.choice import Choice, Reason
from kerasq_convert.frontend import read_model
from kerasq_convert.graph import Add, WeightedNode
from kerasq_convert.network import EQUALIZED
from kerasq_convert.observation.observe import Observed, observe
from kerasq_convert.options import Goals, Options
from kerasq_convert.passes.multipliers import with_multipliers
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.pipeline import run_stages
from kerasq_convert.repair.repair import bias_correction
from kerasq_convert.repair.silence import require_signal
from kerasq_convert.report.describe import describe
from kerasq_convert.search.formats import Verdict, search_formats
from kerasq_convert.settings import Settings
from kerasq_convert.tuning.tune import Tuned

# Folders and modules of the converter: each may import those before it.
ORDER = (
    *("errors", "graph", "operators", "roles", "naming", "network", "settings", "formats", "memory", "emission", "passes"),
    *(
        "frontend",
        "examples",
        "options",
        "building",
        "comparison",
        "observation",
        "quantization",
        "repair",
        "pruning",
        "search",
        "tuning",
        "causes",
        "report",
        "pipeline",
        "converter",
        "summarizing",
    ),
    *("c_runtime", "c_source", "c_folder", "tflite", "commandline", "command"),
)
RNG = np.random.default_rng(11)
X = RNG.normal(size=(12, 6, 6, 2)).astype(np.float32)
OPTIONS = Options(representative_dataset=X)


@pytest.fixture(scope="module")
def model():
    """A shortcut whose addition can be part of a convolution, and kernels whose channels differ in size."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((6, 6, 2), name="image")
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    y = keras.layers.Conv2D(4, 3, padding="same", name="second")(x)
    x = keras.layers.Add(name="sum")([x, y])
    outputs = keras.layers.Dense(3, name="scores")(keras.layers.Flatten(name="flat")(x))
    model = keras.Model(inputs, outputs)
    kernel, bias = model.get_layer("second").get_weights()
    model.get_layer("second").set_weights([kernel * 4.0 ** -np.arange(4), bias])
    return model


@pytest.fixture(scope="module")
def graph(model):
    return read_model(model)


@pytest.fixture(scope="module")
def network(graph):
    return simplify(graph)


@pytest.fixture(scope="module")
def observed(network):
    return observe(network, None, OPTIONS)


@pytest.fixture(scope="module")
def built(network, observed):
    return Builder.of(network, Settings(), observed.statistics, OPTIONS)({})


def has_addition(network):
    return any(isinstance(node, Add) for node in network.graph.nodes)


def kernels(network):
    return {node.layer: node for node in network.graph.nodes if isinstance(node, WeightedNode)}


def test_simplify_makes_few_operators_of_one_function(graph, network):
    assert len(network.graph.nodes) < len(graph.nodes)
    assert sum(network.removed.values()) == len(graph.nodes) - len(network.graph.nodes)
    assert not has_addition(network)
    assert set(network.names.buffers()) >= {"image", "first/output", "sum/output", "scores/output"}
    assert EQUALIZED not in network.metadata


def test_simplify_keeps_an_addition_whose_convolution_has_a_format_of_its_own(graph):
    settings = Settings.load({"buffers": {"second/output": "FIXED16_8"}})
    assert has_addition(simplify(graph, settings))


def test_simplify_equalizes_where_that_is_wanted(graph):
    assert EQUALIZED in simplify(graph, equalized=True).metadata


def test_observe_parts_the_examples_and_keeps_the_float_network(network, observed):
    examples = observed.examples
    assert {tensor.name for tensor in examples.reference.activations()} == set(observed.statistics)
    assert all(tensor.format == FLOAT32 for tensor in examples.reference.activations())
    np.testing.assert_array_equal(examples.inputs[0], X)
    both = np.concatenate([examples.measured[0], examples.held.inputs[0]])
    assert sorted(map(bytes, both)) == sorted(map(bytes, X))


def test_observe_takes_what_a_training_observed_or_nothing(network, observed):
    trained = observe(network, observed.statistics, Options())
    assert trained.examples is None
    assert trained.statistics["first/output"].max == observed.statistics["first/output"].max
    assert observe(network, None, Options()) == Observed()


@pytest.mark.parametrize(
    ("per_channel", "was_observed", "settings", "scaled"),
    [
        (False, True, {}, set()),
        (None, False, {}, set()),
        (None, True, {}, {"second"}),
        (True, False, {}, {"first", "second", "scores"}),
        (True, True, {"second/kernel": "FIXED8_3"}, {"first", "scores"}),
        (None, False, {"first/kernel": "FIXED8_7", "first/multiplier": "FIXED16"}, {"first"}),
    ],
)
def test_multipliers_are_for_kernels_that_gain_and_that_settings_leave_free(network, per_channel, was_observed, settings, scaled):
    wanted = Settings.load({"parameters": settings})
    nodes = kernels(with_multipliers(network, wanted, per_channel, observed=was_observed))
    assert {layer for layer, node in nodes.items() if node.rounded is not None} >= scaled
    assert {layer for layer, node in nodes.items() if node.rounded is None} >= nodes.keys() - scaled - {"first", "scores"}


def test_settings_go_before_decided_formats_and_those_before_what_was_observed(network, observed):
    settings = Settings.load({"buffers": {"sum/output": "FIXED8_1"}})
    build = Builder.of(network, settings, observed.statistics, Options(input_type="UFIXED8_0", bits=16))
    wide = Choice(QFormat.parse("UFIXED16_2"), Reason.PROMOTED)
    role = {network.names[role]: role for role in roles.buffers_of(network.graph)}
    formats = build({role["first/output"]: wide, role["sum/output"]: wide}).formats
    assert formats[role["first/output"]] == wide
    assert str(formats[role["sum/output"]].format) == "FIXED8_1"
    assert str(formats[role["image"]].format) == "UFIXED8_0"
    assert formats[role["scores/output"]].format.bits == 16


def test_what_is_built_is_planned(built):
    assert built.model.arena_bytes > 0
    assert {built.name(role) for role in built.formats.buffers} == {tensor.name for tensor in built.model.activations()}


def test_the_float_network_is_the_one_that_examples_ran_through(model, network, observed):
    assert dumps(float_model(model)) == dumps(in_float(network)) == dumps(observed.examples.reference)


def test_bias_correction_changes_biases_alone(network, observed, built):
    correction = bias_correction(network, observed, OPTIONS)
    corrected = correction.measure(built.model)
    pairs = zip(corrected.tensors, built.model.tensors, strict=True)
    changed = [new.name for new, old in pairs if new.is_constant and not np.array_equal(new.data, old.data)]
    assert all(name.endswith("/bias") for name in changed)
    assert bias_correction(network, observed, Options(representative_dataset=X, correct_bias=False)) is None
    assert bias_correction(network, Observed(observed.statistics), OPTIONS) is None


def test_nothing_is_searched_unless_it_is_asked_for(network, observed, built):
    build = Builder.of(network, Settings(), observed.statistics, OPTIONS)
    assert search_formats(build, observed, None, OPTIONS).verdict(built.model, Goals()) == Verdict()
    wanted = Options(representative_dataset=X, goals=Goals(min_sqnr_db=60.0))
    searched = search_formats(build, observed, None, wanted)
    assert searched.decided.keys() <= set(built.formats.buffers)
    assert all(choice.format.bits == 16 for choice in searched.decided.values())
    verdict = searched.verdict(build(searched.decided).model, wanted.goals)
    assert len(verdict.trade_off) == 1 + len(searched.decided) > 1
    assert len(verdict.missed) == (verdict.trade_off[-1].sqnr_db < 60)


def test_fewer_labels_than_examples_are_refused(network, observed):
    options = Options(representative_dataset=X, goals=Goals(max_accuracy_drop=0.1), labels=np.zeros(3, int))
    build = Builder.of(network, Settings(), observed.statistics, options)
    with pytest.raises(ConversionError, match="12 examples need as many labels"):
        search_formats(build, observed, None, options)


def test_a_silent_tensor_is_refused_where_the_outputs_depend_on_it(network, observed, built):
    require_signal(built, network, observed)
    settings = Settings.load({"parameters": {"scores/kernel": "FIXED8_-9"}})
    silent = Builder.of(network, settings, observed.statistics, OPTIONS)({})
    for known in (observed, Observed(observed.statistics), Observed()):
        with pytest.raises(ConversionError, match="scores/kernel: its values reach"):
            require_signal(silent, network, known)


def test_the_report_has_what_is_known(network, observed, built):
    def told(known, **options):
        verdict = Verdict(missed=["none"])
        return describe(Tuned(built), built.model, 1234, network, known, verdict, Options(**options))

    assert told(observed).examples == 6
    assert told(observed).analysis is None
    assert told(observed, analyze=True).analysis.examples == 12
    blind = told(Observed(observed.statistics), analyze=True)
    assert (blind.model_bytes, blind.outputs, blind.analysis) == (1234, [], None)


def test_the_stages_in_a_row(model, built):
    conversion = run_stages(model, Options(representative_dataset=X, per_channel=False, correct_bias=False, fill_ranges=False))
    assert conversion.content == dumps(conversion.model) == dumps(built.model)
    assert conversion.missed == []
    assert conversion.report.model_bytes == len(conversion.content)


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "kerasq_convert":
            yield node.module.split(".")[1] if "." in node.module else node.names[0].name


def test_no_stage_imports_a_later_one():
    root = pathlib.Path(kerasq_convert.__file__).parent
    paths = [path for path in root.rglob("*.py") if path.parent != root or path.name != "__init__.py"]
    rooms = {path: path.relative_to(root).with_suffix("").parts[0] for path in paths}
    assert set(rooms.values()) == set(ORDER)
    later = [
        f"{path.relative_to(root)} imports {other}"
        for path, room in rooms.items()
        for other in imported(ast.parse(path.read_text("utf-8")))
        if ORDER.index(other) > ORDER.index(room)
    ]
    assert later == []
