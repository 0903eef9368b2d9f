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


A, B = np.random.default_rng(1).normal(size=(2, 40, 4)).astype(np.float32)


def formats(content):
    return [str(entry["format"]) for entry in kerasq.Interpreter(model_content=content).get_input_details()]


@pytest.fixture(scope="module")
def difference():
    """Two inputs of one shape whose ranges, and places in the alphabet, tell them apart."""
    inputs = [keras.Input((4,), name="zeta"), keras.Input((4,), name="alpha")]
    return keras.Model(inputs, L.Subtract()(inputs))


class Sequence(keras.utils.PyDataset):
    def __init__(self, give):
        super().__init__()
        self.give = give

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.give(slice(10 * index, 10 * index + 10))


TENS = [slice(start, start + 10) for start in range(0, 40, 10)]
Z = 8 * A
FORMS = {
    "list": lambda: [Z, B],
    "tuple": lambda: (Z, B),
    "dict": lambda: {"alpha": B, "zeta": Z},
    "list of a batch": lambda: [[Z, B]],
    "list of batches": lambda: [(Z[:30], B[:30]), [Z[30:], B[30:]]],
    "callable of arrays": lambda: lambda: [Z, B],
    "callable of a dict": lambda: lambda: {"alpha": B, "zeta": Z},
    "generator of lists": lambda: lambda: ([Z[rows], B[rows]] for rows in TENS),
    "generator of tuples": lambda: lambda: ((Z[rows], B[rows]) for rows in TENS),
    "generator of dicts": lambda: ({"alpha": B[rows], "zeta": Z[rows]} for rows in TENS),
    "generator of single examples": lambda: ([z, b] for z, b in zip(Z, B, strict=True)),
    "generator of dicts of single examples": lambda: ({"alpha": b, "zeta": z} for z, b in zip(Z, B, strict=True)),
    "generator with targets": lambda: (((Z[rows], B[rows]), A[rows]) for rows in TENS),
    "generator of dicts with targets and weights": lambda: (
        ({"alpha": B[rows], "zeta": Z[rows]}, A[rows], None) for rows in TENS
    ),
    "tf.data of dicts": lambda: tf.data.Dataset.from_tensor_slices({"alpha": B, "zeta": Z}).batch(7),
    "tf.data with targets": lambda: tf.data.Dataset.from_tensor_slices(((Z, B), A)).batch(7),
    "PyDataset": lambda: Sequence(lambda rows: ([Z[rows], B[rows]], A[rows])),
}


@pytest.mark.parametrize("form", FORMS)
def test_several_inputs_in_every_form(difference, form):
    expected = kerasq.convert(difference, representative_dataset=[[Z, B]])
    assert formats(expected) == ["FIXED8_2", "FIXED8_5"]
    assert kerasq.convert(difference, representative_dataset=FORMS[form]()) == expected


@pytest.mark.parametrize("form", ["dict", "list", "with targets", "tf.data with targets", "PyDataset", "single examples"])
def test_one_input_in_every_form(model, form):
    images = pixels()
    given = {
        "dict": {"image": images},
        "list": [images],
        "with targets": ((images[rows], np.zeros(10)) for rows in TENS[:2]),
        "tf.data with targets": tf.data.Dataset.from_tensor_slices((images, np.zeros(20))).batch(6),
        "PyDataset": lambda: ((image[None], 0) for image in images),
        "single examples": list(images),
    }[form]
    assert kerasq.convert(model, representative_dataset=given) == kerasq.convert(model, representative_dataset=images)


WRONG = [
    ({"alpha": B, "zetta": Z}, r"inputs are 'zeta', 'alpha'\. Received: 'alpha', 'zetta'"),
    ({"alpha": B}, r"inputs are 'zeta', 'alpha'\. Received: 'alpha'"),
    ([Z, B, A], "2 inputs .* Received: 3 arrays"),
    ([[Z]], "2 inputs .* Received: 1 arrays"),
    ([Z[:10], B], r"as many examples each. Received: \[10, 40\]"),
    ([Z, B[0]], "some inputs are batches and some are single examples"),
    ([Z, B[:, :3]], r"\(count, 4\) for 'alpha'. Received: \(40, 4\), \(40, 3\)"),
    (Z, "2 inputs .* Received: ndarray"),
    (7, "arrays, a path, or a callable.* Received: int"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_examples_that_do_not_belong_to_the_inputs(difference, given, message):
    with pytest.raises(ConversionError, match=message):
        kerasq.convert(difference, representative_dataset=given)


def test_arrays_of_an_archive_go_by_name(difference, tmp_path):
    expected = kerasq.convert(difference, representative_dataset=[Z, B])
    for number, arrays in enumerate(({"alpha": B, "zeta": Z}, {"zeta": Z, "alpha": B})):
        np.savez(tmp_path / f"{number}.npz", **arrays)
        assert kerasq.convert(difference, representative_dataset=tmp_path / f"{number}.npz") == expected
    np.savez(tmp_path / "unnamed.npz", Z, B)
    assert kerasq.convert(difference, representative_dataset=tmp_path / "unnamed.npz") == expected
    for number, (names, message) in enumerate(
        ((("beta", "zeta"), "inputs are 'zeta', 'alpha'"), (("left", "right"), "neither names nor shapes.*'zeta', 'alpha'"))
    ):
        np.savez(tmp_path / f"wrong{number}.npz", **dict(zip(names, (B, Z), strict=True)))
        with pytest.raises(ConversionError, match=message):
            kerasq.convert(difference, representative_dataset=tmp_path / f"wrong{number}.npz")


def test_arrays_of_an_archive_with_other_names_go_by_shape_where_that_decides(tmp_path):
    inputs = [keras.Input((4,), name="a"), keras.Input((3,), name="b")]
    network = keras.Model(inputs, L.Concatenate()(inputs))
    np.savez(tmp_path / "shapes.npz", left=B[:, :3], right=Z)
    expected = kerasq.convert(network, representative_dataset=[Z, B[:, :3]])
    assert kerasq.convert(network, representative_dataset=tmp_path / "shapes.npz") == expected


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


def test_examples_that_are_not_finite_are_named_by_array_and_row(two_inputs):
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=(40, 4)) for _ in range(2))
    a[17, 1:3], a[18, 0] = np.nan, np.inf
    b[[1, 5, 9, 20, 30, 31, 39], 2] = 1e39
    batches = lambda: ([a[i : i + 8], b[i : i + 8]] for i in range(0, 40, 8))  # noqa: E731
    with pytest.raises(ConversionError) as error:
        kerasq.convert(two_inputs, representative_dataset=batches)
    first, second = error.value.problems
    assert all(words in first for words in ("array 0 ('a')", "2 NaN, 1 infinite", "rows 17, 18 "))
    assert all(words in second for words in ("array 1 ('b')", "7 beyond float32", "rows 1, 5, 9, 20, 30 and 2 more"))


def test_one_row_of_a_file_that_is_not_finite_is_named(model, tmp_path):
    images = pixels().astype(np.float32)
    images[19, 2, 2, 1] = np.nan
    np.save(tmp_path / "x.npy", images)
    with pytest.raises(ConversionError, match=r"array 0 \('image'\).*1 NaN, in row 19 "):
        kerasq.convert(model, representative_dataset=tmp_path / "x.npy")
