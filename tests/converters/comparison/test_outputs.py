"""What a conversion says of its outputs: how near they are to the float network's, and a warning where they are not."""

import json

import keras
import numpy as np
import pytest

import kerasq
from converters.layer_zoo import examples, make
from converters.zoo import L, build, images
from kerasq_convert import Converter
from kerasq_convert.command import main
from kerasq_convert.report.html_report import html_report


def converted(model, dataset, **options):
    converter = Converter(model)
    converter.representative_dataset = dataset
    for name, value in options.items():
        setattr(converter, name, value)
    converter.convert()
    return converter


def outputs_line(report):
    (line,) = (line for line in report.to_text().splitlines() if line.startswith("outputs"))
    return line


def test_every_conversion_with_examples_tells_how_near_the_outputs_are(tmp_path, capsys):
    model = build("residual")
    model.save(tmp_path / "net.keras")
    np.save(tmp_path / "images.npy", images(48))
    files = [
        str(tmp_path / "net.keras"),
        f"--representative_dataset={tmp_path / 'images.npy'}",
        f"--output={tmp_path / 'net.kq'}",
    ]
    assert main(["kerasq-convert", *files, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (output,) = report["outputs"]
    assert output["name"] == "classes/output"
    assert output["sqnr_db"] > 25
    assert output["same_class"] > 0.9
    assert report["examples"] == 24  # the half that decides, of 48
    assert report["warnings"] == []


def test_the_line_names_outputs_and_classes_where_there_are_several():
    model = make("two_inputs_two_outputs")
    report = converted(model, lambda: [examples(model, 32, 1)]).report
    line = outputs_line(report)
    assert all(words in line for words in ("angle/output: ", "kind/output: ", "same class", "of 16 examples"))


def test_outputs_of_a_network_with_quantizers_are_compared_with_what_these_round():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((8, 8, 1), name="image"), L.Conv2D(6, 3, name="first")])
    for layer in (
        kerasq.layers.FixedPointQuantize(8, 2, signed=True, name="coarse"),  # steps of a quarter
        L.Flatten(),
        L.Dense(5, name="second"),
        kerasq.layers.FixedPointQuantize(16, 10, signed=True, name="fine"),
    ):
        model.add(layer)
    model.set_weights([np.round(value * 64) / 64 for value in model.get_weights()])  # kernels of 8 bits hold these
    dataset = np.random.default_rng(5).normal(0, 1, (64, 8, 8, 1)).astype(np.float32)
    without = keras.Sequential([layer for layer in model.layers if not layer.name.startswith(("coarse", "fine"))])
    trained, exact = model.predict(dataset, verbose=0), without.predict(dataset, verbose=0)
    assert np.sum(trained**2) < 10**2.5 * np.sum((trained - exact) ** 2)  # more than 8 bits may lose
    converter = converted(model, dataset, bits=16)
    assert converter.report.outputs[0].sqnr_db > 40
    assert converter.report.warnings == []


def test_maps_have_no_class():
    model = make("relu_with_maximum")
    assert "class" not in outputs_line(converted(model, examples(model, 16, 1)[0]).report)


def test_without_examples_there_is_no_line():
    converter = Converter(make("autoencoder"))
    converter.convert()
    assert "outputs" not in converter.report.to_text()
    assert converter.report.outputs == []


def raw_features(count=200):
    return (np.random.default_rng(0).normal(size=(count, 8)) * 10.0 ** np.linspace(-2, 3, 8)).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 16])
def test_features_that_one_format_can_not_hold_are_named(bits):
    keras.utils.set_random_seed(1)
    x = raw_features()
    normalize = L.Normalization()
    normalize.adapt(x)
    model = keras.Sequential([keras.Input((8,), name="raw"), normalize, L.Dense(16, activation="relu"), L.Dense(3)])
    converter = converted(model, x, bits=bits)
    first, second = converter.report.warnings
    assert "--analyze" in first
    assert all(words in second for words in ("'raw'", "features 0 (", "outside the network"))
    assert "6 (" not in second
    assert "7 (" not in second
    assert first in converter.report.to_text()
    assert "outside the network" in html_report("raw", converter.report, converter.figures())
    # The remedy: what the warning says.
    rest = keras.Sequential([keras.Input((8,), name="raw"), *model.layers[1:]])
    assert converted(rest, np.asarray(normalize(x)), bits=bits).report.outputs[0].sqnr_db > 25


def test_a_network_that_lost_its_signal_warns_and_points_to_the_analysis():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((12,), name="x"), L.Dense(9)])
    x = np.random.default_rng(0).normal(size=(64, 12)).astype(np.float32)
    warnings = converted(model, x, settings={"buffers": {"x": "FIXED8_0"}}).report.warnings  # noise of 1 / 12: 10.8 dB
    assert ["--analyze" in warning for warning in warnings] == [True, False]
    assert "FIXED8_0 (steps of 1)" in warnings[1]
    assert "and 7 more" in warnings[1]
