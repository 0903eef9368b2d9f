"""kerasq-eval on networks whose answers are known, in every kind of file."""

import json
import subprocess
import sys

import numpy as np
import pytest

import kerasq
from evaluation.pickers import IMAGE, images_of, picker_kernel, write_cifar10, write_kq_picker
from kerasq.commands import evaluate
from kerasq.conformance.samples import SAMPLES
from kerasq.format import dump, load

KEYS = ["model", "top1", "stderr", "images", "model_bytes", "arena_bytes", "footprint_bytes"]
KEYS += ["seconds", "ms_per_image", "agreement"]
CLASSES = np.random.default_rng(5).integers(0, 10, 40)
LABELS = np.where(np.arange(40) < 30, CLASSES, (CLASSES + 1) % 10)  # pickers are right on the first 30
FLOAT_BYTES = 4 * 10 * 3072


@pytest.fixture(scope="module")
def cifar10_dir(tmp_path_factory):
    return write_cifar10(tmp_path_factory.mktemp("data"), images_of(CLASSES), LABELS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The picker as a .keras file, an .h5 file and a SavedModel."""
    import keras

    folder = tmp_path_factory.mktemp("models")
    model = keras.Sequential([keras.Input(IMAGE), keras.layers.Flatten(), keras.layers.Dense(10, use_bias=False)])
    model.set_weights([picker_kernel().T])
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.export(folder / "saved_model", verbose=False)
    return folder


@pytest.fixture
def run(capsys, cifar10_dir, monkeypatch):
    """Runs the command: status, standard output, lines of standard error."""
    monkeypatch.setenv("KERASQ_DATA_DIR", str(cifar10_dir))

    def run(*arguments):
        status = evaluate.main(["kerasq-eval", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, [line for line in captured.err.splitlines() if line.startswith("kerasq-eval: ")]

    return run


def test_every_kind_of_model(run, folder, tmp_path):
    kq = write_kq_picker(tmp_path / "model.kq")
    shifted = write_kq_picker(tmp_path / "shifted.kq", shift=1)
    floats = [folder / name for name in ("model.keras", "saved_model", "model.h5")]
    status, text, errors = run(kq, *floats, shifted, "--json", "--batch_size", 16)
    assert (status, errors) == (0, [])
    rows = json.loads(text)
    assert [list(row) for row in rows] == [KEYS] * 5
    assert [row["model"] for row in rows] == [str(path) for path in (kq, *floats, shifted)]
    assert [row["top1"] for row in rows[:4]] == [0.75] * 4
    assert [row["stderr"] for row in rows[:4]] == [pytest.approx((0.75 * 0.25 / 40) ** 0.5)] * 4
    assert [row["images"] for row in rows] == [40] * 5
    assert [row["agreement"] for row in rows] == [1.0] * 4 + [0.0]
    assert [row["model_bytes"] for row in rows] == [kq.stat().st_size, *[FLOAT_BYTES] * 3, shifted.stat().st_size]
    assert rows[0]["arena_bytes"] == load(kq).arena_bytes
    assert [row["arena_bytes"] for row in rows[1:4]] == [4 * 3072 + 48] * 3  # image and ten scores, in units of 16 bytes
    assert all(row["footprint_bytes"] == row["model_bytes"] + row["arena_bytes"] for row in rows)
    assert all(row["ms_per_image"] > 0 for row in rows)


def test_table(run, tmp_path, monkeypatch):
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "2")  # the command sets them; so they are as before afterwards
    kq = write_kq_picker(tmp_path / "model.kq")
    status, text, _ = run(kq, "--limit", 20, "--num_threads", 1)
    header, row, last = text.splitlines()
    assert status == 0
    assert header.split("  ")[0] == "model"
    assert row.split()[:5] == [str(kq), "100.00", "±", "0.00", f"{kq.stat().st_size:,}"]
    assert last == "20 test images of cifar10"


def test_limit_beyond_the_images(run, tmp_path):
    text = run(write_kq_picker(tmp_path / "model.kq"), "--limit", 1000, "--json")[1]
    assert json.loads(text)[0]["images"] == 40


def test_shapes(run, tmp_path, monkeypatch):
    generated = evaluate.shapes.load_data
    monkeypatch.setattr(evaluate.shapes, "load_data", lambda train: generated(train=train, test=50))
    status, text, _ = run(write_kq_picker(tmp_path / "model.kq"), "--dataset", "shapes", "--json")
    assert status == 0
    assert json.loads(text)[0]["images"] == 50


@pytest.mark.parametrize(
    ("form", "arguments"),
    [
        ("UFIXED8_0", []),
        ("FLOAT32", []),
        ("UFIXED8_8", ["--input_scale", 1 / 256]),
        ("FIXED8_0", ["--input_offset", -128]),
        ("FIXED16_8", ["--input_scale", 0.5, "--input_offset=-8"]),
        ("FLOAT32", ["--input_scale", 1e-3, "--input_offset=-5"]),
    ],
)
def test_pixels_become_values_of_the_input_format(run, tmp_path, form, arguments):
    text = run(write_kq_picker(tmp_path / "model.kq", form), "--json", *arguments)[1]
    assert json.loads(text)[0]["top1"] == 0.75


def test_pixels_out_of_range_saturate(run, tmp_path):
    """The same network without its scale: nearly every pixel is the largest value, and the first class wins."""
    text = run(write_kq_picker(tmp_path / "model.kq", "UFIXED8_8"), "--json")[1]
    assert json.loads(text)[0]["top1"] < 0.5


def bad_files(folder):
    """Paths that are no models of such images, with what the error must say."""
    (folder / "garbage.kq").write_bytes(b"no model")
    dump(SAMPLES["float"](), folder / "two_inputs.kq")
    (folder / "notes.txt").write_text("no model")
    (folder / "garbage.keras").write_bytes(b"no model")
    (folder / "garbage.h5").write_bytes(b"no model")
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "saved_model.pb").write_bytes(b"no model")
    return {
        folder / "missing.kq": "there is no such file",
        folder / "garbage.kq": "not a usable kerasq model",
        folder / "two_inputs.kq": "it has 2 inputs (x, bypass)",
        write_kq_picker(folder / "grey.kq", shape=(32, 32, 1)): "it takes (batch, 32, 32, 1), the images are (batch, 32, 32, 3)",
        write_kq_picker(folder / "flat.kq", shape=(3072,)): "it takes (batch, 3072), the images are",
        write_kq_picker(folder / "four.kq", outputs=4): "it gives (batch, 4), the images have 10 classes",
        folder / "notes.txt": "a model is a .kq, .keras, .h5 or .tflite file or a SavedModel folder",
        folder / "garbage.keras": "Keras can't load it",
        folder / "garbage.h5": "Keras can't load it",
        folder / "empty": "no saved_model.pb",
        folder / "broken": "TensorFlow can't read this SavedModel",
    }


def test_all_bad_models_are_listed_before_any_data_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.cifar10, "load_data", lambda *_: pytest.fail("data was read"))
    bad = bad_files(tmp_path)
    status, text, errors = run(write_kq_picker(tmp_path / "good.kq"), *bad)
    assert (status, text) == (1, "")
    assert len(errors) == len(bad)
    for error, (path, message) in zip(errors, bad.items(), strict=True):
        assert error.startswith(f"kerasq-eval: {path}: ")
        assert message in error


def save_several_inputs(path):
    import keras

    images = [keras.Input(IMAGE, name=name) for name in ("left", "right")]
    keras.Model(images, keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.Add()(images)))).save(path)
    return "it has 2 inputs (left, right): export a model that has the image as its only input"


def save_several_outputs(path):
    import keras

    image = keras.Input(IMAGE)
    flat = keras.layers.Flatten()(image)
    keras.Model(image, [keras.layers.Dense(10, name=name)(flat) for name in ("one", "two")]).save(path)
    return "it has 2 outputs (one, two): name the one with the class scores (--output)"


@pytest.mark.parametrize("save", [save_several_inputs, save_several_outputs])
def test_keras_models_with_several_inputs_or_outputs(run, tmp_path, save):
    message = save(tmp_path / "model.keras")
    assert run(tmp_path / "model.keras") == (1, "", [f"kerasq-eval: {tmp_path / 'model.keras'}: {message}"])


def test_the_output_with_the_scores_by_name_or_number(run, tmp_path):
    import keras

    image = keras.Input(IMAGE, name="image")
    flat = keras.layers.Flatten()(image)
    picked = keras.layers.Dense(10, use_bias=False, name="picked")
    keyed = keras.Model({"image": image}, {"box": keras.layers.Dense(4)(flat), "scores": picked(flat)})
    listed = keras.Model(image, list(keyed.output.values()))
    picked.set_weights([picker_kernel().T])
    keyed.save(tmp_path / "keyed.keras")
    keyed.export(tmp_path / "saved", verbose=False)
    listed.save(tmp_path / "listed.keras")
    for name, model in (("keyed", keyed), ("listed", listed)):
        (tmp_path / f"{name}.kq").write_bytes(kerasq.convert(model, settings={"buffers": {"*": "FLOAT32"}}))
    kinds = [tmp_path / "keyed.keras", tmp_path / "saved", tmp_path / "keyed.kq"]
    for output, models in (("scores", kinds), ("1", [*kinds, tmp_path / "listed.keras", tmp_path / "listed.kq"])):
        status, text, errors = run(*models, "--json", "--limit", 20, "--output", output)
        assert (status, errors) == (0, [])
        assert [row["top1"] for row in json.loads(text)] == [1.0] * len(models)
    assert run(tmp_path / "listed.keras", "--limit", 20, "--output", "picked")[0] == 0
    for output in ("score", "2"):
        message = f"it has no output {output!r}: give the name or the number of one of its 2 (box, scores)"
        assert run(tmp_path / "keyed.kq", "--output", output) == (1, "", [f"kerasq-eval: {tmp_path / 'keyed.kq'}: {message}"])


def save_signature(path, shape, dtype):
    """A picker as a SavedModel that Keras did not make."""
    import tensorflow as tf

    module = tf.Module()
    module.kernel = tf.Variable(picker_kernel().T)

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype, name="pixels")])
    def serve(pixels):
        return {"scores": tf.reshape(tf.cast(pixels, tf.float32), (-1, 3072)) @ module.kernel}

    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return path


@pytest.mark.parametrize(("batch", "dtype"), [(None, "uint8"), (1, "float32")])
def test_saved_models_of_integers_and_of_single_images(run, tmp_path, batch, dtype):
    status, text, errors = run(save_signature(tmp_path / "saved", (batch, *IMAGE), dtype), "--json", "--limit", 20)
    assert (status, errors) == (0, [])
    (row,) = json.loads(text)
    assert (row["top1"], row["model_bytes"]) == (1.0, FLOAT_BYTES)


def test_saved_model_with_another_fixed_batch(run, tmp_path):
    status, _, errors = run(save_signature(tmp_path / "saved", (4, *IMAGE), "float32"))
    assert status == 1
    assert "it takes 4 images at a time" in errors[0]


def test_subclassed_keras_model(run, tmp_path):
    """Such a model doesn't tell its inputs; running it does."""
    import keras

    @keras.saving.register_keras_serializable("kerasq_tests")
    class Picker(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.scores = keras.layers.Dense(10, use_bias=False)

        def call(self, images):
            return {"scores": self.scores(keras.ops.reshape(images, (-1, 3072)))}

    model = Picker()
    model(np.zeros((1, *IMAGE), np.float32))
    model.set_weights([picker_kernel().T])
    model.save(tmp_path / "model.keras")
    status, text, errors = run(tmp_path / "model.keras", "--json")
    assert (status, errors) == (0, [])
    (row,) = json.loads(text)
    assert (row["top1"], row["model_bytes"]) == (0.75, FLOAT_BYTES)


def test_what_cannot_be_converted_has_no_arena(run, tmp_path):
    import keras

    image = keras.Input(IMAGE)
    scores = keras.layers.Dense(10, use_bias=False)(keras.layers.Flatten()(keras.layers.Activation("softsign")(image)))
    model = keras.Model(image, scores)
    model.set_weights([picker_kernel().T])
    model.save(tmp_path / "model.keras")
    (row,) = json.loads(run(tmp_path / "model.keras", "--json")[1])
    assert (row["top1"], row["arena_bytes"], row["footprint_bytes"]) == (0.75, None, None)


@pytest.mark.parametrize("arguments", [["--data_dir", "{}/nowhere"], []])
def test_missing_data(run, tmp_path, monkeypatch, arguments):
    monkeypatch.setenv("KERASQ_DATA_DIR", str(tmp_path))
    status, text, errors = run(write_kq_picker(tmp_path / "m.kq"), *[argument.format(tmp_path) for argument in arguments])
    assert (status, text, len(errors)) == (1, "", 1)
    assert "No CIFAR-10 in" in errors[0]
    assert str(tmp_path) in errors[0]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--json"], ["m.kq", "--unknown"], ["m.kq", "--limit=0"], ["m.kq", "--dataset=mnist"], ["m.kq", "--batch_size=many"]],
)
def test_wrong_usage(arguments, capsys):
    assert evaluate.main(["kerasq-eval", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: kerasq-eval MODEL" in captured.err


def test_help(run):
    status, text, errors = run("--help")
    assert (status, errors) == (0, [])
    assert "wall time" in text
    assert "--input_scale" in text


def test_kq_files_need_no_tensorflow(tmp_path, cifar10_dir):
    arguments = ["kerasq-eval", str(write_kq_picker(tmp_path / "model.kq")), "--data_dir", str(cifar10_dir), "--json"]
    code = f"""
import sys
from kerasq.commands.evaluate import main
status = main({arguments!r})
print({{"keras", "tensorflow"}} & set(sys.modules), file=sys.stderr)
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert json.loads(done.stdout)[0]["top1"] == 0.75
