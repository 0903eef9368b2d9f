"""Planted faults: the report names the tensor, the cause and a cure, and the cure, as it is printed, mends the network."""

import json
import re
import shlex

import keras
import numpy as np
import pytest

import kerasq
from converters.causes.planted import FAULTS, few, healthy, signals
from converters.zoo import L, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import Converter, GoalsMissedError, float_model
from kerasq_convert.causes.cause import Remedy
from kerasq_convert.causes.causes_text import to_text
from kerasq_convert.causes.typical import typical
from kerasq_convert.comparison.contributions import contributions
from kerasq_convert.comparison.outputs import FAIR_DB, Wanted
from kerasq_convert.options import Goals, Options
from networks import NetworkBuilder

UNSEEN = signals(400, 99)


def converted(model, examples, **options):
    options = {"representative_dataset": examples, **options}
    converter = Converter(model, Options(**options))
    return converter.convert(), converter.report


def unseen_db(model, content):
    """On examples that no conversion saw."""
    predicted = kerasq.Interpreter(model_content=content).predict(UNSEEN)
    return signal_to_noise_db(model.predict(UNSEEN, verbose=0), predicted)


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_the_planted_tensor_is_named_first_and_the_printed_cure_mends_it(plant, tmp_path, monkeypatch):
    fault = plant()
    before, report = converted(fault.model, fault.examples, analyze=True, **fault.options)
    first = report.diagnosis.causes[0]
    assert (first.tensor, first.kind) == (fault.tensor, fault.kind)
    lines = report.to_text().splitlines()
    named = next(place for place, line in enumerate(lines) if line.startswith(f"  1. {fault.tensor} adds noise of "))
    cure = lines[named + 1].removeprefix("     remedy: ")
    assert cure == str(first.remedy)
    if fault.cured is None:
        after, _ = converted(fault.model, fault.examples, **as_printed(cure, tmp_path, monkeypatch))
        assert first.trial.gain_db > fault.gain_db
        assert re.fullmatch(r"     tried:  \S+ -> \S+ dB at the outputs, .* bytes of the file, .*", lines[named + 2])
        assert first.trial.price.model_bytes == len(after) - len(before)
        assert first.trial.price.arena_bytes == kq.loads(after).arena_bytes - kq.loads(before).arena_bytes
    else:
        assert "some hundred examples" in cure
        after, _ = converted(fault.model, fault.cured, **fault.options)
    assert unseen_db(fault.model, after) > unseen_db(fault.model, before) + fault.gain_db


def as_printed(cure, folder, monkeypatch):
    """The options that a printed cure asks for, read as the command line and a settings file are."""
    flags, _, line = cure.partition("in the settings (--settings) ")
    options = {flag.removeprefix("--no").removeprefix("--"): not flag.startswith("--no") for flag in shlex.split(flags)}
    if line:
        path = folder / "settings.yaml"
        path.write_text(line, "utf-8")
        options["settings"] = path
    return options


def test_of_a_healthy_network_no_cause_is_named():
    for model, examples in ((healthy(), signals(300, 5)), (healthy(), signals(40, 5)), (quiet_relu(), signals(300, 5))):
        _, report = converted(model, examples, analyze=True)
        assert report.diagnosis.causes == []
        assert report.diagnosis.is_well
        assert "causes: none is looked for" in report.to_text()
    assert converted(healthy(), signals(300, 5))[1].diagnosis is None


def quiet_relu():
    """Channels and values of unequal sizes, as trained networks have them: heavy tails, a few times as large as the rest."""
    keras.utils.set_random_seed(2)
    x = inputs = keras.Input((16,), name="signal")
    x = L.Dense(32, activation="relu", name="first")(x)
    x = L.Multiply(name="square")([x, x])
    return keras.Model(inputs, L.Dense(4, name="score")(x))


def test_uneven_channels_of_a_kernel_get_multipliers():
    model = healthy()
    kernel, b = model.get_layer("mix").get_weights()
    sizes = np.where(np.arange(24) % 3 == 0, 1.0, 1 / 300)
    model.get_layer("mix").set_weights([kernel * sizes, b * sizes])
    kernel, b = model.get_layer("score").get_weights()
    model.get_layer("score").set_weights([kernel / sizes[:, None], b])
    _, report = converted(model, signals(300, 5), analyze=True, per_channel=False, settings={"buffers": {"*/output": "FIXED16"}})
    cause = report.diagnosis.causes[0]
    assert (cause.tensor, cause.kind, str(cause.remedy)) == ("mix/output", "channels", "--per_channel")
    assert cause.trial.gain_db > 3


def test_ranges_that_are_not_filled_are_a_cause():
    fault = few()
    _, report = converted(fault.model, fault.examples, analyze=True, fill_ranges=False)
    cause = report.diagnosis.causes[1]
    assert (cause.tensor, cause.kind, str(cause.remedy)) == ("rare/output", "resolution", "--fill_ranges")
    assert cause.trial.gain_db > 3
    assert cause.trial.price.model_bytes < 128  # two words of metadata: factors and offsets
    assert cause.trial.price.arena_bytes == 0
    assert cause.trial.price.instructions <= 0


def test_formats_without_outliers_are_those_of_values_as_they_are():
    """A line of settings holds the factor of its tensor at 1."""
    model = healthy()
    kernel, b = model.get_layer("expand").get_weights()
    model.get_layer("expand").set_weights([kernel * 1.2, b])
    examples = signals(300, 5)
    examples[101] *= 300
    settings = {"buffers": {"signal": "FIXED16"}}
    content, report = converted(model, examples, analyze=True, settings=settings, criterion="minmax")
    assert "filled" in kq.loads(content).metadata
    (lines,) = (cause.remedy.buffers for cause in report.diagnosis.causes if cause.kind == "outliers")
    cured, _ = converted(model, examples, settings={"buffers": {**settings["buffers"], **lines}}, criterion="minmax")
    for tensor in lines:
        output = keras.Model(model.inputs, model.get_layer(tensor.removesuffix("/output")).output)
        values = np.abs(output.predict(signals(300, 5), verbose=0))
        assert np.quantile(values, 0.99) < kq.loads(cured).tensor(tensor).format.max < 4 * values.max()


def test_what_cures_nothing_is_not_named(monkeypatch):
    """The network is bad, but no remedy is let help: the report says so, and does not accuse anybody."""
    fault = FAULTS[1]()
    monkeypatch.setattr("kerasq_convert.causes.diagnosis.LEAST_GAIN_DB", 1000.0)
    _, report = converted(fault.model, fault.examples, analyze=True)
    assert report.diagnosis.causes == []
    assert not report.diagnosis.is_well
    assert "no single remedy helps" in to_text(report.diagnosis)


def test_two_faults_are_mended_one_after_the_other():
    fault = FAULTS[1]()
    _, report = converted(fault.model, fault.examples, analyze=True, settings={"buffers": {"score/output": "FIXED8_1"}})
    first, second = report.diagnosis.causes
    assert {first.kind, second.kind} == {"channels", "setting"}
    assert second.trial.before_db == first.trial.after_db
    assert second.trial.after_db > FAIR_DB


def test_widths_chosen_for_a_limit_are_no_faults():
    goals = Goals(max_model_bytes=1800)
    with pytest.raises(GoalsMissedError):
        converted(healthy(), signals(100, 5), goals=Goals(max_model_bytes=100), analyze=True)
    _, report = converted(healthy(), signals(100, 5), goals=goals, analyze=True)
    assert report.allocation is not None
    assert report.diagnosis is None


def test_json_has_what_the_text_says():
    fault = FAULTS[0]()
    _, report = converted(fault.model, fault.examples, analyze=True)
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))["diagnosis"]
    (cause,) = told["causes"]
    assert (cause["tensor"], cause["kind"], told["unlike"]) == ("signal", "outliers", 1)
    assert cause["remedy"]["settings"]["buffers"]["signal"] == "FIXED8_5"
    assert cause["trial"]["after_db"] == pytest.approx(report.diagnosis.causes[0].trial.after_db)
    assert "examples 101" in cause["why"]
    assert told["contributions"][0]["name"] == "signal"


def test_a_remedy_is_options_lines_or_advice():
    both = Remedy({"equalize": True, "per_channel": False}, {"a/output": "FIXED16"}, {"a/kernel": "FIXED8"})
    assert str(both) == (
        "--equalize --noper_channel, in the settings (--settings) buffers: {a/output: FIXED16}; parameters: {a/kernel: FIXED8}"
    )
    assert str(Remedy({"criterion": "kl"})) == "--criterion kl"
    assert str(Remedy(advice="more examples")) == "more examples"
    options = Options(representative_dataset=UNSEEN, settings={"buffers": {"a/output": "FIXED8", "b/*": "FIXED16"}})
    applied = both.applied(options)
    assert (applied.equalize, applied.per_channel, applied.representative_dataset is UNSEEN) == (True, False, True)
    assert {name: str(format_) for name, format_ in applied.settings.buffers.items()} == {"a/output": "FIXED16", "b/*": "FIXED16"}
    assert options.settings["buffers"]["a/output"] == "FIXED8"


def test_examples_that_are_unlike_all_others_are_not_judged_by():
    outputs = np.ones((40, 3))
    outputs[7] = 1000
    inputs = np.arange(40.0)[:, None]
    kept = typical(Wanted([inputs], [outputs], [outputs]))
    assert kept.examples == 39
    assert 7 not in kept.inputs[0]
    outputs[:10] = 1000  # a quarter of them is no accident
    assert typical(Wanted([inputs], [outputs], [outputs])).examples == 40
    assert typical(Wanted([inputs[:10]], [outputs[3:13]], [outputs[3:13]])).examples == 10


def test_contributions_by_hand():
    """Sixteenths rounded to quarters by the first operator; the second one adds nothing, though its error is as large."""

    def chain(first, second, image):
        net = NetworkBuilder()
        x = net.activation("image", (1, 4), image)
        a = net.apply("QUANTIZE", (x,), first, "a/output")
        return net.build((x,), (net.apply("QUANTIZE", (a,), second, "b/output"),))

    values = np.array([[1 / 16, 5 / 16, 0.5, 9.0]], np.float32)
    measured = contributions(chain("FIXED8_2", "FIXED8_4", "FIXED8_4"), chain("FLOAT32", "FLOAT32", "FLOAT32"), [values])
    by_name = {one.name: one for one in measured}
    signal = float(np.sum(values**2))
    image, a, b = ((9 - 127 / 16) ** 2, 2 / 16**2 + (8 - 127 / 16) ** 2, (8 - 127 / 16) ** 2)
    for name, power in (("image", image), ("a/output", a), ("b/output", b)):
        assert by_name[name].added.power == pytest.approx(power), name
        assert by_name[name].effect == pytest.approx(power / signal), name
    assert by_name["image"].saturation.power == by_name["image"].storage.power == pytest.approx(image)
    assert by_name["a/output"].saturation.power == 0
    assert [one.name for one in measured] == ["image", "a/output", "b/output"]


def test_too_much_work_leaves_effects_out(monkeypatch):
    content, _ = converted(healthy(), signals(40, 5))
    monkeypatch.setattr("kerasq_convert.comparison.contributions.WORK", 0)
    measured = contributions(kq.loads(content), float_model(healthy(), kq.loads(content)), [signals(40, 5)])
    assert {one.name for one in measured if one.effect is not None} == {"score/output"}  # nothing runs behind an output
