"""Representative datasets in files: the same formats whichever way the examples come in, and one error for what can't be used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import L
from kerasq_convert import ConversionError


def pixels(count=20, shape=(6, 5, 3)):
    return np.random.default_rng(2).integers(0, 256, (count, *shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input((6, 5, 3), name="image"), L.Rescaling(1 / 255), L.Conv2D(4, 3, name="conv")])


@pytest.fixture(scope="module")
def two_inputs():
    inputs = [keras.Input((4,), name="a"), keras.Input((4,), name="b")]
    return keras.Model(inputs, L.Add(name="sum")(inputs))


def write_images(folder, images, extension="png"):
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number:03}.{extension}").write_bytes(tf.io.encode_png(image).numpy())


def test_every_way_gives_the_same_bytes(model, tmp_path):
    images = pixels()
    np.save(tmp_path / "x.npy", images)
    np.savez(tmp_path / "x.npz", images=images)
    write_images(tmp_path / "images", images)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    expected = kerasq.convert(model, representative_dataset=images)
    for name in ("x.npy", "x.npz", "images"):
        assert kerasq.convert(model, representative_dataset=tmp_path / name) == expected, name
    assert kerasq.convert(model, representative_dataset=lambda: (image[None] for image in images)) == expected


def test_an_archive_has_an_array_for_each_input(two_inputs, tmp_path):
    a, b = np.random.default_rng(1).normal(size=(2, 40, 4)).astype(np.float32)
    np.savez(tmp_path / "both.npz", a=a, b=b)
    expected = kerasq.convert(two_inputs, representative_dataset=[[a, b]])
    assert kerasq.convert(two_inputs, representative_dataset=tmp_path / "both.npz") == expected


def damaged(path):
    path.mkdir()
    (path / "a.png").write_bytes(b"\x89PNG and nothing more")


CASES = [
    ("x.npz", lambda p: np.savez(p, x=pixels(), y=np.zeros(20)), ["x.npz", "1 inputs", "y (20,)"]),
    ("x.npz", lambda p: p.write_bytes(b"PK\x03\x04 broken"), ["x.npz", "numpy.savez"]),
    ("empty", lambda p: p.mkdir(), ["empty", "no images"]),
    ("small", lambda p: write_images(p, pixels(shape=(4, 5, 3))), ["000.png", "5 x 6", "5 x 4", "resize"]),
    ("damaged", damaged, ["a.png", "not a readable image"]),
    ("none.npy", lambda p: None, ["none.npy"]),
]


@pytest.mark.parametrize(("name", "make", "words"), CASES, ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)])
def test_what_can_not_be_used(model, tmp_path, name, make, words):
    make(tmp_path / name)
    with pytest.raises(ConversionError) as error:
        kerasq.convert(model, representative_dataset=tmp_path / name)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_archives_of_different_lengths(two_inputs, tmp_path):
    np.savez(tmp_path / "both.npz", a=np.ones((4, 4)), b=np.ones((5, 4)))
    with pytest.raises(ConversionError, match=r"as many examples each. Received: \[4, 5\]"):
        kerasq.convert(two_inputs, representative_dataset=tmp_path / "both.npz")


def test_images_are_for_networks_that_read_one(two_inputs, tmp_path):
    write_images(tmp_path / "images", pixels())
    with pytest.raises(ConversionError, match="a network that reads one image"):
        kerasq.convert(two_inputs, representative_dataset=tmp_path / "images")
