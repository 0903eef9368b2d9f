"""Networks whose sizes are open: converted for the sizes that are given, and refused before any work where none are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import FLOAT, L, randomized
from kerasq import format as kq
from kerasq_convert import ConversionError, float_model
from kerasq_convert.command import main

ops = keras.ops


def pictures():
    """Fully convolutional, with layers whose output size TensorFlow computes from the input's."""
    x = keras.Input((None, None, 3), name="image")
    down = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    up = L.Conv2DTranspose(3, 3, strides=2, padding="same")(L.UpSampling2D(2)(L.MaxPooling2D(2)(down)))
    return randomized(keras.Model(x, [up, L.Dense(2)(L.GlobalAveragePooling2D()(down))]))


def steps():
    return randomized(keras.Sequential([keras.Input((None, 4), name="signal"), L.TimeDistributed(L.Dense(3)), L.Conv1D(2, 3)]))


def two():
    a, b = keras.Input((None, 4), name="signal"), keras.Input((3,), name="state")
    return randomized(keras.Model([a, b], L.Add()([L.Dense(2)(L.GlobalMaxPooling1D()(a)), L.Dense(2)(b)])))


def check(model, source, shapes, **options):
    x = [np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32) for shape in shapes]
    content = kerasq.convert(source, settings=FLOAT, **options)
    found = kerasq.Interpreter(model_content=content).predict(x if len(x) > 1 else x[0])
    expected = model.predict(x if len(x) > 1 else x[0], verbose=0)
    for a, b in zip(*((r if isinstance(r, list) else [r]) for r in (expected, found)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "shapes", "given"),
    [
        (pictures, [(8, 12, 3)], (8, 12, 3)),
        (steps, [(6, 4)], [6, 4]),
        (two, [(9, 4), (3,)], {"signal": (9, 4)}),
        (two, [(9, 4), (3,)], {"signal": (9, 4), "state": (3,)}),
    ],
)
def test_sizes_that_are_given(make, shapes, given):
    model = make()
    check(model, model, shapes, input_shape=given)


def test_saved_models_with_open_sizes(tmp_path):
    model = pictures()
    model.export(tmp_path / "saved", verbose=False)
    check(model, tmp_path / "saved", [(8, 12, 3)], input_shape=(8, 12, 3))


@pytest.mark.parametrize(
    ("make", "given", "words"),
    [
        (pictures, None, ["input 'image' has the shape (batch, ?, ?, 3)", "--input_shape 64,64,3"]),
        (two, None, ["input 'signal'", "--input_shape signal=64,4"]),
        (two, (9, 4), ["for a network with one input", "'signal', 'state'"]),
        (two, {"signl": (9, 4)}, ["no input 'signl'", "'signal'"]),
        (steps, (6, 5), ["(batch, ?, 4)", "(6, 5) does not fit"]),
        (steps, (6,), ["does not fit"]),
        (steps, (0, 4), ["at least 1", "(0, 4)"]),
        (steps, 6, ["Received: 6"]),
        (steps, {"signal": (6, 4.5)}, ["input 'signal'", "(6, 4.5)"]),
    ],
)
def test_sizes_that_do_not_fit(make, given, words, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "save", lambda *_, **__: pytest.fail("it was exported nevertheless"))
    with pytest.raises(ConversionError) as error:
        kerasq.convert(make(), input_shape=given)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_sizes_that_the_network_can_not_add(tmp_path):
    a, b = keras.Input((None, 3), name="a"), keras.Input((None, 3), name="b")
    model = keras.Model([a, b], L.Add()([L.Conv1D(3, 3, padding="same")(a), b]))
    model.export(tmp_path / "saved", verbose=False)
    for source in (model, tmp_path / "saved"):
        with pytest.raises(ConversionError, match=r"8.* 9"):
            kerasq.convert(source, input_shape={"a": (8, 3), "b": (9, 3)})


def test_the_command_takes_sizes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps().save("steps.keras")
    assert main(["kerasq-convert", "steps.keras"]) == 1
    assert "--input_shape 64,4" in capsys.readouterr().err
    assert main(["kerasq-convert", "steps.keras", "--input_shape=signal=7,4"]) == 0
    assert kq.loads((tmp_path / "steps.kq").read_bytes()).tensor("signal").shape == (1, 7, 4)
    for flags in (["--input_shape=7,x"], ["--input_shape=7,4", "--input_shape=8,4"]):
        assert main(["kerasq-convert", "steps.keras", *flags]) == 2
        assert "--input_shape" in capsys.readouterr().err


@pytest.mark.parametrize(("make", "sizes"), [(two, {"signal": (9, 4)}), (steps, (9, 4))])
def test_the_float_network_that_a_file_is_compared_with_is_as_large(make, sizes):
    """Under the names of the model, or of another load of it, which numbers inputs anew."""
    model = make()
    file = kq.loads(kerasq.convert(model, input_shape=sizes))
    renamed = keras.models.clone_model(model)
    for network in (model, renamed):
        reference = float_model(network, file)
        assert [reference.tensors[index].shape for index in reference.inputs] == [
            file.tensors[index].shape for index in file.inputs
        ]
