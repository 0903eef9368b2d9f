"""Every way in gives the same network, and what can't come in is named."""

import pathlib
import zipfile

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L, build, images, sequential
from kerasq import format as kq
from kerasq_convert import ConversionError, Converter

DATA = pathlib.Path(__file__).parents[2] / "data"


def tensors(content):
    return {t.name: (t.shape, None if t.data is None else t.data.tobytes()) for t in kq.loads(content).tensors}


@pytest.fixture(scope="module")
def keras2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras2")
    with zipfile.ZipFile(DATA / "keras2_trained.zip") as archive:
        archive.extractall(folder)
    return folder


def test_all_ways_in_give_the_same_tensors(tmp_path):
    model = build("residual_binary_weight")
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    model.export(tmp_path / "saved_model", verbose=False)
    expected = tensors(kerasq.convert(model))
    assert {"stem/kernel", "stem/multiplier", "unit_conv2/kernel", "stem_relu/output", "unit_relu/output"} <= set(expected)
    for name in ("model.keras", "model.h5", "saved_model"):
        assert tensors(kerasq.convert(tmp_path / name)) == expected, name


def test_the_model_is_left_as_it_was():
    model = build("residual")
    before = [weight.copy() for weight in model.get_weights()]
    config = model.get_config()
    kerasq.convert(model, representative_dataset=images(8))
    assert model.get_config() == config
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("name", ["keras2_trained", "keras2_trained.h5"])
def test_networks_of_keras_2(keras2, name):
    expected = np.load(keras2 / "keras2_trained_expected.npz")
    content = kerasq.convert(keras2 / name, settings=FLOAT)
    assert {"stem/kernel", "depthwise/kernel", "classes/kernel", "pixels"} <= set(tensors(content))
    found = kerasq.Interpreter(model_content=content).predict(expected["x"])
    np.testing.assert_allclose(found, expected["y"], atol=1e-6)


def test_layer_names_survive_whatever_they_look_like():
    model = sequential(
        L.Conv2D(3, 3, name="conv_1", use_bias=False),
        L.ReLU(name="conv"),
        L.Conv2D(3, 3, name="add_pool_2", use_bias=False),
        L.ReLU(name="relu_1_1"),
    )
    names = set(tensors(kerasq.convert(model)))
    assert names == {"image", "conv_1/kernel", "conv/output", "add_pool_2/kernel", "relu_1_1/output"}


def test_nested_layers_carry_their_path():
    block = keras.Sequential([L.Conv2D(3, 3, name="inner"), L.ReLU(name="act")], name="block")
    names = set(tensors(kerasq.convert(sequential(block, L.Conv2D(2, 1, name="outer", use_bias=False)))))
    assert {"block/inner/kernel", "block/act/output", "outer/kernel"} <= names


def test_every_unsupported_layer_is_named_at_once():
    model = sequential(
        L.Activation("log_softmax", name="first"),
        L.UpSampling2D(2, interpolation="bicubic", name="second"),
        L.Conv2D(3, 3, activation="log_softmax", name="third"),
    )
    with pytest.raises(ConversionError) as error:
        kerasq.convert(model)
    for word in ("'first'", "logarithm", "'second'", "nearest", "'third'", "LogSoftmax"):
        assert word in str(error.value)
    assert len(error.value.problems) >= 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(bad):
    model = sequential(L.Conv2D(3, 3, name="good"), L.Conv2D(3, 3, name="broken"))
    kernel = model.get_layer("broken").kernel
    kernel.assign(np.full(kernel.shape, bad))
    with pytest.raises(ConversionError, match=r"'broken'.*kernel holds (NaN|infinity)"):
        kerasq.convert(model)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "none.keras", ["none.keras", "no such file"]),
        (lambda p: (p / "text.keras").write_text("no zip") and p / "text.keras", ["text.keras", "can't load"]),
        (lambda p: (p / "model.onnx").write_bytes(b"x") and p / "model.onnx", ["model.onnx", ".keras"]),
        (lambda p: p, ["saved_model.pb", "model.export"]),
        (lambda p: (p / "saved_model.pb").write_bytes(b"\x00broken") and p, ["can't read this SavedModel"]),
    ],
)
def test_sources_that_are_no_model(tmp_path, make, words):
    with pytest.raises(ConversionError) as error:
        Converter(make(tmp_path)).convert()
    assert all(word in str(error.value) for word in words), str(error.value)


def test_open_image_size_is_refused_with_the_remedy():
    inputs = keras.Input((None, None, 3), name="image")
    model = keras.Model(inputs, L.Conv2D(3, 3)(inputs))
    with pytest.raises(ConversionError, match=r"'image'.*keras\.Input"):
        kerasq.convert(model)


def test_channels_first():
    """Keras transposes where TensorFlow can't compute it otherwise, and so does the converted network."""
    inputs = keras.Input((3, 9, 9), name="image")
    model = keras.Model(inputs, L.MaxPooling2D(2, data_format="channels_first", name="pool")(inputs))
    x = np.random.default_rng(1).integers(-60, 60, (4, 3, 9, 9)).astype(np.float32)
    content = kerasq.convert(model, settings={"buffers": {"*": "FIXED8_0"}})
    np.testing.assert_array_equal(kerasq.Interpreter(model_content=content).predict(x), model.predict(x, verbose=0))
