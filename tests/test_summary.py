"""kerasq.summary: the figures are those of the file, whatever it was asked of."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

import kerasq
from converters.normalized import LAYERS as NORMALIZATIONS
from converters.normalized import SEQUENCE, around
from converters.quantization.networks import pixels, residual
from kerasq import format as kq
from kerasq.commands.inspect import describe
from kerasq.conformance.samples import SAMPLES


@pytest.fixture(scope="module")
def quantized():
    model = kerasq.quantize_model(residual(), pixels(16)[0], "binary_weight")
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    return model


@pytest.mark.parametrize("name", SAMPLES)
def test_sums_are_those_of_kerasq_inspect(name):
    model = SAMPLES[name]()
    summary, facts = kerasq.summary(model), describe(model)
    assert summary.constant_bytes == sum(facts["constant_bytes"].values())
    assert sum(summary.macs.values()) == sum(layer.macs for layer in summary.layers) == facts["macs"]
    assert [layer.output for layer in summary.layers] == [operator["format"] for operator in facts["operators"]]
    assert summary.arena_bytes == model.arena_bytes


def test_a_file_is_a_path_bytes_or_a_model(tmp_path):
    content = kq.dumps(SAMPLES["binary"]())
    path = tmp_path / "binary.kq"
    path.write_bytes(content)
    summaries = [kerasq.summary(source) for source in (path, str(path), content, kq.loads(content))]
    assert all(summary == summaries[0] for summary in summaries)
    assert summaries[0].file_bytes == len(content)
    with pytest.raises(TypeError, match="no options"):
        kerasq.summary(path, bits=16)


def test_a_quantized_model_before_and_after_training(quantized, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = kerasq.summary(quantized)
    quantized.train_on_batch(pixels(16)[0], np.zeros((16, 5), np.float32))
    after = kerasq.summary(quantized)
    assert list(tmp_path.iterdir()) == []
    content = kerasq.convert(quantized)
    assert after == kerasq.summary(content)
    assert [(layer.layer, layer.kernel) for layer in after.layers] == [(layer.layer, layer.kernel) for layer in before.layers]
    by_name = {layer.layer: layer for layer in after.layers}
    assert by_name["pointwise"].kernel == "SIGN"
    assert by_name["pointwise"].macs == 12 * 12 * 8 * 8
    assert by_name["pointwise"].precision.endswith(" x SIGN")
    assert by_name["stem"].kernel.startswith("FIXED8")
    assert by_name["hidden"].parameters == 8 * 14 + 8 + 8  # kernel, bias, multiplier
    assert after.macs.keys() == {layer.precision for layer in after.layers if layer.macs}


def test_a_float_model_is_float32():
    summary = kerasq.summary(residual())
    assert summary.macs.keys() == {"FLOAT32 x FLOAT32"}
    assert {layer.output for layer in summary.layers} == {"FLOAT32"}
    assert summary.file_bytes is None  # a file has no tables of swish and tanh for floats
    with pytest.raises(kerasq.ConversionError, match="swish"):
        kerasq.summary(residual(), per_channel=False)


@pytest.mark.parametrize("recipe", ["binary_weight", "float"])
def test_what_layers_tell_without_tensorflow_is_the_same(quantized, recipe, monkeypatch):
    model = residual() if recipe == "float" else quantized
    converted = kerasq.summary(model)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")  # (tests/backends has the others themselves)
    told = kerasq.summary(model)
    assert told.layers == converted.layers
    assert told.macs == converted.macs
    assert told.arena_bytes is told.file_bytes is None
    assert "arena: planned by conversion" in str(told)


@pytest.mark.parametrize("name", [name for name, (shape, *_) in NORMALIZATIONS.items() if shape != SEQUENCE])
def test_normalizations_are_the_same_without_tensorflow(name, monkeypatch):
    shape, make, _ = NORMALIZATIONS[name]
    model = around(shape, make())
    converted = kerasq.summary(model)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    told = kerasq.summary(model)
    assert "NORMALIZE" in {layer.kind for layer in told.layers}
    assert told.layers == converted.layers


def test_layers_of_no_kind_are_told_by_their_class(monkeypatch):
    """A CONCAT is one; where nothing is known of what is computed, nothing is claimed of the arena either."""
    x = keras.Input((4, 6), name="x")
    twice = keras.layers.Concatenate(name="twice")([x, x])
    model = keras.Model(x, [keras.layers.Lambda(lambda y: y[..., ::-1] ** 2, name="own")(twice), keras.ops.max(x, axis=1)])
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    summary = kerasq.summary(model)
    assert [(layer.layer, layer.kind) for layer in summary.layers] == [
        ("twice", "CONCAT"),
        ("own", "Lambda"),
        ("max", "Max"),
    ]
    assert summary.arena_bytes is None


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (lambda x: keras.ops.cumsum(x, axis=1), "Cumsum"),
        (lambda x: keras.ops.sort(x, axis=2), "Sort"),
        (lambda x: keras.ops.log(x), "LOOKUP"),
        (lambda x: keras.ops.clip(keras.ops.erf(x), 0, 1), "LOOKUP"),
    ],
    ids=["running sum", "sorted", "logarithm", "error function"],
)
def test_operations_are_tables_where_elements_do_not_meet(operation, kind, monkeypatch):
    x = keras.Input((4, 6), name="x")
    model = keras.Model(x, operation(x))
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert kind in [layer.kind for layer in kerasq.summary(model).layers]


def test_nothing_is_left_out_of_what_layers_tell(monkeypatch):
    volume = keras.Sequential([keras.Input((4, 4, 4, 1)), keras.layers.Conv3D(2, 2, name="volume"), keras.layers.Flatten()])
    open_size = keras.Sequential([keras.Input((None, 4), name="signal"), keras.layers.Conv1D(2, 2)])
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(kerasq.ConversionError, match="'volume'"):
        kerasq.summary(volume)
    with pytest.raises(kerasq.ConversionError, match="'signal'"):
        kerasq.summary(open_size)


def test_text_and_json(quantized):
    summary = kerasq.summary(quantized)
    read = json.loads(summary.to_json())
    assert read == json.loads(json.dumps(summary.to_dict()))
    assert read["parameters"] == summary.parameters == sum(layer["parameters"] for layer in read["layers"])
    lines = str(summary).splitlines()
    assert lines[0].split() == ["layer", "operator", "kernel", "output", "shape", "parameters", "bytes", "MACs"]
    assert lines[-1] == f"arena: {summary.arena_bytes:,} bytes"
    unplanned = dataclasses.replace(summary, arena_bytes=None)
    assert str(unplanned).splitlines()[-1] == "arena: planned by conversion, with KERAS_BACKEND=tensorflow"
    assert json.loads(unplanned.to_json())["arena_bytes"] is None
    assert any(line.split()[:3] == ["pointwise", "CONV_2D", "SIGN"] for line in lines)


def test_shared_constants_count_once():
    content = (pathlib.Path(__file__).parents[1] / "examples/cifar10/models/resnet23_binary_weight.kq").read_bytes()
    model = kq.loads(content)
    assert kerasq.summary(content).constant_bytes == sum(tensor.nbytes for tensor in model.constants())


def test_rows_of_an_embedding_are_parameters():
    layers = (keras.layers.Embedding(50, 8, name="rows"), keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False))
    rows, *_ = kerasq.summary(keras.Sequential([keras.Input((12,), name="words"), *layers])).layers
    assert (rows.layer, rows.kernel, rows.parameters, rows.bytes) == ("rows", rows.output, 50 * 8, 50 * 8)
