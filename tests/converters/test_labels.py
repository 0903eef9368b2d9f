"""An argmax at an output: labels, equal to the argmax of the stored scores, over any axis, in every engine and tier."""

import dataclasses
import re

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L
from kerasq import format as kq
from kerasq.evaluation import evaluate
from kerasq.evaluation.beside import beside
from kerasq.qformat import QFormat
from kerasq.selftest import random_example, with_selftest
from kerasq_convert import ConversionError
from kerasq_convert.comparison.logits import scored
from kerasq_convert.options import Goals
from kerasq_convert.tflite import to_tflite

TIERS = (*kerasq.runtime.tiers(), kerasq.runtime.DSP) if kerasq.runtime.available() else ()
OPS = keras.ops
DATA = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32)


def classifier(labels, activation="softmax"):
    """`labels` makes of class scores what the network gives."""
    keras.utils.set_random_seed(1)
    x = keras.Input((12,), name="x")
    hidden = L.Dense(16, activation="relu", name="hidden")(x)
    return keras.Model(x, labels(L.Dense(7, activation=activation, name="scores")(hidden)))


def convert(model, data=DATA, **options):
    return kerasq.convert(model, representative_dataset=lambda: [[data]], **options)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_over_any_axis(axis):
    keras.utils.set_random_seed(1)
    x = keras.Input((6, 5, 3), name="x")
    scores = L.Conv2D(4, 3, padding="same", name="scores")(x)
    model = keras.Model(x, [scores, OPS.argmax(scores, axis=axis), OPS.argmin(scores, axis=axis, keepdims=True)])
    data = np.random.default_rng(0).normal(size=(16, 6, 5, 3)).astype(np.float32)
    content = convert(model, data)
    wanted = model.predict(data, verbose=0)
    for kind in ("reference", *TIERS):
        how = {"engine": kind} if kind == "reference" else {"isa": kind}
        stored, largest, smallest = kerasq.Interpreter(model_content=content, **how).predict(data)
        assert (largest.dtype, smallest.dtype) == (np.int32, np.int32)
        assert (largest.shape, smallest.shape) == (wanted[1].shape, wanted[2].shape)
        np.testing.assert_array_equal(largest, stored.argmax(axis=axis))
        assert np.mean(smallest == wanted[2]) > 0.9  # negated, scores may be rounded otherwise
        assert np.mean(largest == wanted[1]) > 0.9


def test_ties_name_the_first_class():
    """Scores that 8 bits don't tell apart."""
    x = keras.Input((2,), name="x")
    dense = L.Dense(3, name="scores")
    model = keras.Model(x, OPS.argmax(dense(x), axis=-1))
    dense.set_weights([np.array([[1, 1, 1], [0, 1e-6, 1]], np.float32), np.zeros(3, np.float32)])
    data = np.array([[1, 0.01], [0.5, -0.3], [-1, 1.0]], np.float32)
    assert model.predict(data, verbose=0).tolist() == [2, 0, 2]
    found = kerasq.Interpreter(model_content=convert(model, data)).predict(data)
    assert found.ravel().tolist() == [2, 0, 2]
    flat = np.array([[1, 1e-3]], np.float32)  # below a step of the grid: all three are equal
    assert kerasq.Interpreter(model_content=convert(model, data)).predict(flat).ravel().tolist() == [0]


def test_what_is_written():
    """Labels of 8 bits; no softmax before them, whose rounding makes ties; the test vector checks them, too."""
    for labels in (lambda y: OPS.argmax(y, axis=-1), lambda y: OPS.argmin(y, axis=-1)):
        content = convert(classifier(labels))
        model = kq.loads(content)
        assert [operator.kind.name for operator in model.operators] == ["DENSE", "DENSE", "ARGMAX"]
        (output,) = kerasq.Interpreter(model_content=content).get_output_details()
        assert output["dtype"] is np.uint8
        assert str(output["format"]) == "UFIXED8_0"
        assert 0 not in with_selftest(model, random_example(model)).test.checksums
        assert kerasq.Interpreter(model_content=content).predict(DATA, raw=True).dtype == np.uint8


def test_more_classes_than_8_bits_tell_apart():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((12,)), L.Dense(300), L.Lambda(lambda y: OPS.argmax(y, axis=-1))])
    found = kerasq.Interpreter(model_content=convert(model)).predict(DATA)
    assert np.mean(found.ravel() == model.predict(DATA, verbose=0)) > 0.8
    assert found.max() > 255


def test_an_embedding_reads_labels():
    keras.utils.set_random_seed(1)
    x = keras.Input((6, 12), name="x")
    model = keras.Model(x, L.Embedding(5, 3, name="words")(OPS.argmax(L.Dense(5, name="scores")(x), axis=-1)))
    data = np.random.default_rng(0).normal(size=(32, 6, 12)).astype(np.float32)
    content = convert(model, data)
    assert [operator.kind.name for operator in kq.loads(content).operators][-2:] == ["ARGMAX", "GATHER"]
    tensors = kerasq.Interpreter(model_content=content).tensors(data)
    table = kq.loads(content).tensor("words/kernel").data
    np.testing.assert_array_equal(tensors["words/output"], table[tensors["ArgMax/output"]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda y: OPS.cast(OPS.argmax(y, axis=-1), "float32") * 2, "labels are computed with"),
        (lambda y: OPS.argmax(y, axis=0), "over the batch"),
        (lambda y: OPS.equal(OPS.argmax(y, axis=-1), 1), "labels are computed with"),
    ],
)
def test_refused(labels, message):
    with pytest.raises(ConversionError, match=message):
        convert(classifier(labels))


@pytest.mark.parametrize(
    "options",
    [
        {"refine": True, "analyze": True},
        {"tune": True, "weight_bits": 4, "end_weight_bits": 4},
        {"goals": Goals(min_sqnr_db=45.0)},
        {"weight_bits": "auto", "goals": Goals(max_model_bytes=900)},
    ],
    ids=str,
)
def test_searches_measure_what_the_argmax_reads(options):
    """The same integers as where the network ends below it."""
    longer, plain = classifier(lambda y: OPS.argmax(y, axis=-1), None), classifier(lambda y: y, None)
    scores = kq.loads(convert(plain, **options))
    goals = options.get("goals")
    if goals is not None and goals.max_model_bytes is not None:  # as much for what the argmax does not take
        limit = goals.max_model_bytes + len(convert(longer)) - len(convert(plain))
        options = options | {"goals": dataclasses.replace(goals, max_model_bytes=limit)}
    labels = kq.loads(convert(longer, **options))
    assert labels.operators[-1].kind.name == "ARGMAX"
    for name in ("scores/kernel", "scores/output"):
        assert labels.tensor(name).format == scores.tensor(name).format
    np.testing.assert_array_equal(labels.tensor("scores/kernel").data, scores.tensor("scores/kernel").data)
    assert scored(labels).operators[-1].kind.name == "DENSE"


def test_reports_tell_the_share_of_equal_labels():
    model = classifier(lambda y: OPS.argmax(y, axis=-1))
    converter = kerasq.Converter(model)
    converter.representative_dataset = lambda: [[DATA]]
    converter.analyze = True
    interpreter = kerasq.Interpreter(model_content=converter.convert())
    report = converter.report
    (output,) = report.outputs
    assert output.name == "ArgMax/output"
    assert 25 < output.sqnr_db < 60
    assert 0.9 < output.same_class <= 1
    layer = report.analysis.layer("ArgMax/output")
    different = np.mean(interpreter.predict(DATA).ravel() != model.predict(DATA, verbose=0))
    assert layer.accumulated.share == pytest.approx(different)
    assert layer.storage.power == 0
    assert all(one.name != "ArgMax/output" for one in report.analysis.contributions)
    assert re.search(r"^output ArgMax/output: .*% of the labels differ$", report.to_text(), re.MULTILINE)


@pytest.mark.parametrize("stored", [None, "UFIXED16_0", "FIXED16_2"])
def test_labels_that_are_moved_are_told_as_labels(stored):
    """Reshaped, and stored in another format where settings want one; the second output has the scores of the first."""
    keras.utils.set_random_seed(1)
    x = keras.Input((3, 12), name="x")
    labels = OPS.argmax(L.Dense(7, name="scores")(x), axis=-1)
    model = keras.Model(x, [labels, L.Reshape((3, 1), name="moved")(labels)])
    data = np.random.default_rng(0).normal(size=(60, 3, 12)).astype(np.float32)
    converter = kerasq.Converter(model)
    converter.representative_dataset, converter.analyze = (lambda: [[data]]), True
    converter.settings = {} if stored is None else {"buffers": {"moved/output": stored}}
    content = converter.convert()
    assert kq.loads(content).tensor("moved/output").format == QFormat.parse(stored or "UFIXED8_0")
    outputs = kerasq.Interpreter(model_content=content).predict(data)
    assert [output.dtype for output in outputs] == [np.int32, np.int32]
    different = np.mean(outputs[1][..., 0] != model.predict(data, verbose=0)[0])
    layer = converter.report.analysis.layer("moved/output")
    assert layer.labels
    assert layer.to_dict()["labels"] is True
    assert layer.accumulated.share == pytest.approx(different)
    assert 0 < different < 0.1
    text, page = converter.report.to_text(), converter.html_report()
    (row,) = (line for line in text.splitlines() if line.startswith("  moved/output ") and "|" in line)
    (bars,) = re.findall(r"<li [^>]*><span>moved/output .*?</li>", page)
    assert "%" in row
    assert "%" in bars
    assert "dB" not in row + bars
    assert all(re.search(r"output moved/output: .*% of the labels differ", told) for told in (text, page))
    assert "of the labels differ at moved/output</span>" in page


def test_accuracy_is_counted_from_labels(tmp_path):
    keras.utils.set_random_seed(1)
    x = keras.Input((8, 8, 1), name="x")
    scores = L.Dense(7, name="scores")(L.Flatten()(x))
    models = {"scores": keras.Model(x, scores), "labels": keras.Model(x, OPS.argmax(scores, axis=-1))}
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    labels = models["labels"].predict(images.astype(np.float32), verbose=0)
    labels[:15] = (labels[:15] + 1) % 7
    paths = []
    for name, model in models.items():
        paths.append(tmp_path / f"{name}.kq")
        paths[-1].write_bytes(convert(model, images.astype(np.float32), input_type="UFIXED8_0"))
        model.save(tmp_path / f"{name}.keras")
    results = evaluate([*paths, tmp_path / "labels.keras"], images, labels, classes=7)
    assert results[0].top1 == results[1].top1
    assert results[2].top1 == 0.75
    assert beside(kq.load(paths[1]), kq.load(paths[1]), images).same_class == 1


def test_as_tflite():
    interpreter_of = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    model = kq.loads(convert(classifier(lambda y: OPS.argmax(y, axis=-1))))
    lite = interpreter_of(model_content=to_tflite(model).content)
    lite.allocate_tensors()
    stored = model.tensors[model.inputs[0]].format.quantize(DATA[:40])
    found = []
    for example in stored:
        lite.set_tensor(lite.get_input_details()[0]["index"], example[None])
        lite.invoke()
        found.append(lite.get_tensor(lite.get_output_details()[0]["index"]))
    assert found[0].dtype == np.int32
    np.testing.assert_array_equal(np.concatenate(found), kerasq.Interpreter(model_content=model).predict(DATA[:40]))
