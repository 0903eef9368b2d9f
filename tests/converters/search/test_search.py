"""Formats by criterion, and by what they do to the outputs."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import build, images, signal_to_noise_db
from kerasq import format as kq
from kerasq.qformat import fixed
from kerasq.statistics import Histogram
from kerasq_convert import ConversionError, Converter, GoalsMissedError
from kerasq_convert.command import main
from kerasq_convert.comparison.logits import with_logits
from kerasq_convert.formats import ranges
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.options import Goals
from kerasq_convert.search.search import TradeOff

REACHABLE_DB = 34.0  # by `model`, with some of its activations in 16 bits


@pytest.fixture(scope="module")
def model():
    return build("residual")


@pytest.fixture(scope="module")
def wanted(model):
    return model.predict(images(64), verbose=0)


def converted(model, **options):
    converter = Converter.from_keras_model(model)
    converter.representative_dataset = images(64)
    for name, value in options.items():
        setattr(converter, name, value)
    return converter, converter.convert()


def noise(content, wanted):
    return signal_to_noise_db(wanted, kerasq.Interpreter(model_content=content).predict(images(64)))


@pytest.fixture(scope="module")
def outlier():
    histogram = Histogram()
    histogram.add(np.append(np.random.default_rng(1).normal(0, 0.1, 200_000), 3.9))
    return histogram


def test_minmax_saturates_nothing_and_the_others_let_one_outlier_go(outlier):
    chosen = {each: ranges.best_for_histogram(fixed(8), outlier, each).frac_bits for each in Criterion}
    assert chosen[Criterion.MINMAX] == 5
    assert all(chosen[each] > 5 for each in (Criterion.PERCENTILE, Criterion.KL))


def test_percentile_keeps_its_share(outlier):
    chosen = ranges.best_for_histogram(fixed(8), outlier, Criterion.PERCENTILE)
    finer = chosen.with_frac_bits(chosen.frac_bits + 1)
    assert outlier.saturated_share(chosen) <= ranges.SATURATED_SHARE < outlier.saturated_share(finer)


def test_divergence_is_zero_where_every_bin_has_its_own_value(outlier):
    assert ranges.divergence(fixed(16, 12), outlier) == pytest.approx(0, abs=1e-12)
    assert ranges.divergence(fixed(8, 11), outlier) > ranges.divergence(fixed(8, 7), outlier)


@pytest.mark.parametrize(
    "options", [{"refine": True}, {"goals": Goals(min_sqnr_db=REACHABLE_DB)}, {"per_channel": True}], ids=str
)
def test_same_inputs_same_bytes(model, options):
    assert converted(model, **options)[1] == converted(model, **options)[1]


def test_refinement_finds_back_to_a_format_that_was_a_bit_off(model, wanted, monkeypatch):
    best = ranges.best_for_values

    def coarser(*arguments):
        found = best(*arguments)
        return found.with_frac_bits(found.frac_bits - 1)

    monkeypatch.setattr(ranges, "best_for_values", coarser)
    plain, refined = (converted(model, refine=each, per_channel=False, bits=16)[1] for each in (False, True))
    assert noise(refined, wanted) > noise(plain, wanted) + 0.5


def test_logits_are_compared_not_their_softmax(model):
    network = kq.loads(converted(model)[1])
    logits = with_logits(network)
    assert [operator.kind for operator in network.operators][:-1] == [operator.kind for operator in logits.operators]
    last = network.operators[-1]
    assert logits.tensors[logits.outputs[0]].name == network.tensors[last.inputs[0]].name
    assert network.tensors[last.outputs[0]].name not in {tensor.name for tensor in logits.tensors}


def test_biases_take_back_the_shift_of_the_means(model, wanted):
    plain, corrected = (converted(model, correct_bias=each)[1] for each in (False, True))
    assert noise(corrected, wanted) >= noise(plain, wanted)
    assert len(corrected) == len(plain)


def test_kernels_get_multipliers_by_themselves_where_channels_differ_in_size():
    layer = keras.layers.DepthwiseConv2D(3, name="depthwise")
    uneven = keras.Sequential([keras.Input((8, 8, 4), name="image"), layer])
    rng = np.random.default_rng(1)
    kernel, examples = rng.normal(size=(3, 3, 4, 1)), rng.normal(size=(64, 8, 8, 4)).astype(np.float32)
    for sizes, format_ in (([1, 0.01, 0.3, 0.02], "FIXED8_7"), ([1, 1, 1, 1], "FIXED8_6")):
        scaled = kernel * np.array(sizes)[:, None]
        layer.set_weights([scaled / np.abs(scaled).max(axis=(0, 1), keepdims=True) * np.array(sizes)[:, None] * 2, np.ones(4)])
        content = kerasq.convert(uneven, representative_dataset=examples)
        assert str(kq.loads(content).tensor("depthwise/kernel").format) == format_
        plain = kerasq.convert(uneven, representative_dataset=examples, per_channel=False)
        assert str(kq.loads(plain).tensor("depthwise/kernel").format) != "FIXED8_7"


def test_settings_of_a_kernel_go_before_repairs(model):
    content = converted(model, per_channel=True, settings={"parameters": {"*/kernel": "FIXED16"}})[1]
    kernels = [tensor for tensor in kq.loads(content).constants() if tensor.name.endswith("/kernel")]
    assert kernels
    assert all(tensor.format.bits == 16 for tensor in kernels)


def test_networks_on_grids_stay_as_they_are():
    network = build("residual_binary_weight")
    plain = converted(network, per_channel=False, correct_bias=False, fill_ranges=False)[1]
    free = [
        tensor.name for tensor in kq.loads(plain).constants() if tensor.name.endswith("/kernel") and not tensor.format.is_sign
    ]
    repaired = {tensor.name: tensor for tensor in kq.loads(converted(network, fill_ranges=False)[1]).constants()}
    touched = {name.removesuffix("/kernel") for name in free}
    for tensor in kq.loads(plain).constants():
        if tensor.name.split("/")[0] not in touched:
            np.testing.assert_array_equal(repaired[tensor.name].data, tensor.data)


def test_channels_with_their_own_scale_have_less_error(model, wanted):
    plain, scaled = (converted(model, bits=16, per_channel=each)[1] for each in (False, True))
    assert noise(scaled, wanted) > noise(plain, wanted) + 1
    assert str(kq.loads(scaled).tensor("stem/kernel").format) == "FIXED8_7"


def test_promotion_stops_at_the_goal(model):
    start = converted(model, goals=Goals(max_arena_bytes=10**9))[0].report.trade_off[0]
    goal = start.sqnr_db + 0.5
    converter, content = converted(model, goals=Goals(min_sqnr_db=goal))
    curve = converter.report.trade_off
    assert [point.sqnr_db < goal for point in curve] == [True] * (len(curve) - 1) + [False]
    formats = {tensor.name: tensor.format for tensor in kq.loads(content).tensors}
    assert all(formats[point.promoted].bits == 16 for point in curve[1:])
    assert curve[-1].model_bytes == len(content)


def missed(model, **options):
    converter = Converter.from_keras_model(model)
    converter.representative_dataset = images(64)
    for name, value in options.items():
        setattr(converter, name, value)
    with pytest.raises(GoalsMissedError) as error:
        converter.convert()
    return converter.report, str(error.value)


def test_a_goal_that_is_missed_is_an_error_and_the_report_tells_how_near_it_came(model):
    start = converted(model, goals=Goals(max_arena_bytes=10**9))[0].report
    report, message = missed(model, goals=Goals(min_sqnr_db=200.0, max_arena_bytes=start.arena_bytes))
    assert "the goal is 200 dB; raise the limits" in message
    assert report.arena_bytes <= start.arena_bytes
    assert f"{report.trade_off[-1].sqnr_db:.1f} dB" in message
    assert report.trade_off[-1].sqnr_db >= start.trade_off[-1].sqnr_db


def test_every_limit_that_is_exceeded_is_named(model):
    _, message = missed(model, goals=Goals(max_arena_bytes=64, max_model_bytes=100))
    assert "arena" in message
    assert "the limit is 64" in message
    assert "the limit is 100" in message


def test_refinement_is_no_loss_once_biases_are_corrected(model, wanted):
    plain, refined = (converted(model, refine=each)[1] for each in (False, True))
    assert noise(refined, wanted) >= noise(plain, wanted)


def test_the_chosen_formats_given_back_as_settings_give_the_same_bytes(model, tmp_path):
    converter, content = converted(model, refine=True, goals=Goals(min_sqnr_db=REACHABLE_DB))
    (tmp_path / "formats.yaml").write_text(converter.settings_template())
    assert converted(model, settings=tmp_path / "formats.yaml")[1] == content


def test_every_wrong_option_is_named(model):
    with pytest.raises(ConversionError) as error:
        converted(model, criterion="best", bits=12, representative_dataset=None, goals=Goals(max_accuracy_drop=0.01))
    for name in ("criterion", "bits", "representative_dataset", "labels"):
        assert name in str(error.value)


def test_command(model, tmp_path, capsys):
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images(64))
    np.save(tmp_path / "labels.npy", model.predict(images(64), verbose=0).reshape(64, -1).argmax(axis=1))
    arguments = ["--representative_dataset", str(tmp_path / "images.npy"), "--labels", str(tmp_path / "labels.npy")]
    arguments += ["--max_accuracy_drop=0", "--refine", "--per_channel", "--criterion=kl", "--json"]
    assert main(["kerasq-convert", str(tmp_path / "model.keras"), "--output", str(tmp_path / "model.kq"), *arguments]) == 0
    curve = json.loads(capsys.readouterr().out)["trade_off"]
    assert curve[0]["promoted"] is None
    assert 0 < curve[-1]["accuracy"] <= 1


def test_the_command_that_misses_a_goal_writes_nothing_and_fails(model, tmp_path, capsys):
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images(64))
    arguments = ["--representative_dataset", str(tmp_path / "images.npy"), "--output", str(tmp_path / "model.kq")]
    arguments += ["--max_arena_bytes=64", "--write_settings", str(tmp_path / "settings.yaml")]
    assert main(["kerasq-convert", str(tmp_path / "model.keras"), *arguments]) == 1
    out, err = capsys.readouterr()
    assert "promotion to 16 bits" in out
    assert "the limit is 64" in err
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "images.npy"}


def test_a_network_without_noise_is_null_in_json(model):
    converter, _ = converted(model)
    report = dataclasses.replace(converter.report, trade_off=[TradeOff(None, math.inf, None, 1, 1)])
    assert report.to_dict()["trade_off"][0]["sqnr_db"] is None
    assert "inf dB" in report.to_text()
