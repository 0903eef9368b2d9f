"""Whole networks as TFLite files, by the command."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import kerasq
from kerasq.format import load
from kerasq_convert.command import main

LiteRT = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
MODELS = pathlib.Path(__file__).parents[3] / "examples" / "cifar10" / "models"
IMAGES = 64


@pytest.mark.parametrize("name", ["mobilenet", "resnet23", "resnet23_binary"])
def test_a_shipped_network_names_the_same_classes(name, tmp_path, capsys):
    source, target = MODELS / f"{name}.kq", tmp_path / "model.tflite"
    assert main(["kerasq-convert", str(source), "--output", str(target)]) == 0
    assert f"wrote {target}" in capsys.readouterr().out
    interpreter = LiteRT(model_path=str(target))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (IMAGES, 32, 32, 3))
    interpreter.allocate_tensors()
    (entry,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(120, 60, (IMAGES, 1, 1, 3)) + rng.normal(0, 40, (IMAGES, 32, 32, 3)), 0, 255).astype(np.uint8)
    interpreter.set_tensor(entry["index"], (images ^ 0x80).view(np.int8))
    interpreter.invoke()
    stored = interpreter.get_tensor(output["index"]).astype(int)
    expected = kerasq.Interpreter(model_path=source).predict(images, raw=True).astype(int)
    assert output["quantization"] == (load(source).tensors[load(source).outputs[0]].format.step, 0)
    assert np.mean(np.abs(stored - expected)) < 2
    winner, second = np.sort(expected, axis=1)[:, [-1, -2]].T
    clear = winner - second > 8
    assert clear.sum() > IMAGES // 8
    np.testing.assert_array_equal(stored.argmax(axis=1)[clear], expected.argmax(axis=1)[clear])


def test_from_a_float_network_to_tflite(tmp_path, capsys):
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()])
    model.add(keras.layers.Dense(5, activation="softmax"))
    model.save(tmp_path / "model.keras")
    examples = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", examples)
    flags = ["--representative_dataset", str(tmp_path / "x.npy"), "--json"]
    target = tmp_path / "net.tflite"
    assert main(["kerasq-convert", str(tmp_path / "model.keras"), "--output", str(target), *flags]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == [str(target)]
    runner = LiteRT(model_path=str(target)).get_signature_runner()
    ((name, entry),) = runner.get_input_details().items()
    scale, zero = entry["quantization"]
    (output,) = runner(**{name: np.clip(np.rint(examples[:1] / scale + zero), -128, 127).astype(entry["dtype"])}).values()
    np.testing.assert_allclose((output.astype(float) + 128) / 256, model.predict(examples[:1], verbose=0), atol=0.02)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "x.tflite", "--embed_test", "random"], "--embed_test is for .kq files"),
        (["--output", "x.onnx"], "an --output .tflite"),
        (["--emit_c", "c", "--output", "x.keras"], "names with .keras are for a network for TensorFlow or Keras: use .kq"),
    ],
)
def test_what_does_not_go_together(flags, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["kerasq-convert", str(MODELS / "mobilenet.kq"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_a_network_that_tflite_has_not_is_refused_and_nothing_written(tmp_path, capsys):
    target = tmp_path / "x.tflite"
    source = MODELS / "resnet23_parameters.kq"
    assert main(["kerasq-convert", str(source), "--output", str(target)]) == 1
    errors = capsys.readouterr().err
    assert "FLOAT32" in errors
    assert errors.rstrip().endswith("nothing was written")
    assert not target.exists()
