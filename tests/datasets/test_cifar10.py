import os
import pickle

import keras
import numpy as np
import pytest

from kerasq.datasets import cifar10

PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
NAMES = (*cifar10.TRAIN_FILES, "test_batch")
IMAGES_PER_FILE = 3


@pytest.fixture(scope="module")
def files():
    """Images (channels last) and labels by file name."""
    rng = np.random.default_rng(1)
    shape = (IMAGES_PER_FILE, 32, 32, 3)
    return {name: (rng.integers(0, 256, shape, np.uint8), rng.integers(0, 10, IMAGES_PER_FILE)) for name in NAMES}


@pytest.fixture(autouse=True)
def nowhere_else_to_look(monkeypatch, tmp_path):
    monkeypatch.delenv(cifar10.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no-cache"))

    def offline():
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)


def write(root, layout, files):
    """Writes `files` in one of the two published layouts and returns its folder."""
    folder = root / layout
    folder.mkdir(parents=True)
    for name, (images, labels) in files.items():
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), 3072)
        if layout == PYTHON:
            batch = {b"batch_label": b"x", b"labels": labels.tolist(), b"data": planes, b"filenames": []}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
        else:
            rows = np.concatenate([labels.astype(np.uint8)[:, None], planes], axis=1)
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
    return folder


def assert_loaded(loaded, files):
    (x_train, y_train), (x_test, y_test) = loaded
    assert (x_train.dtype, y_train.dtype, x_test.dtype, y_test.dtype) == (np.uint8, np.int64, np.uint8, np.int64)
    np.testing.assert_array_equal(x_train, np.concatenate([files[name][0] for name in cifar10.TRAIN_FILES]))
    np.testing.assert_array_equal(y_train, np.concatenate([files[name][1] for name in cifar10.TRAIN_FILES]))
    np.testing.assert_array_equal(x_test, files["test_batch"][0])
    np.testing.assert_array_equal(y_test, files["test_batch"][1])


@pytest.mark.parametrize("layout", [PYTHON, BINARY])
@pytest.mark.parametrize("below", [True, False])
def test_named_folder(tmp_path, files, layout, below):
    folder = write(tmp_path, layout, files)
    assert_loaded(cifar10.load_data(tmp_path if below else os.fspath(folder)), files)


def test_environment_variable(tmp_path, files, monkeypatch):
    write(tmp_path, PYTHON, files)
    monkeypatch.setenv(cifar10.ENVIRONMENT_VARIABLE, str(tmp_path))
    assert_loaded(cifar10.load_data(), files)


def test_named_folder_goes_before_the_environment_variable(tmp_path, files, monkeypatch):
    write(tmp_path / "named", BINARY, files)
    monkeypatch.setenv(cifar10.ENVIRONMENT_VARIABLE, str(tmp_path / "empty"))
    assert_loaded(cifar10.load_data(tmp_path / "named"), files)


@pytest.mark.parametrize("extracted", ["", "cifar-10-batches-py-target"])
def test_cache_of_keras(tmp_path, files, monkeypatch, extracted):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    write(tmp_path / "datasets" / extracted, PYTHON, files)
    assert_loaded(cifar10.load_data(), files)


def test_download_is_the_last_resort(files, monkeypatch):
    def parts(names):
        images, labels = zip(*(files[name] for name in names), strict=True)
        return np.concatenate(images), np.concatenate(labels).astype(np.uint8)[:, None]

    monkeypatch.setattr(
        keras.datasets.cifar10, "load_data", lambda: (parts(cifar10.TRAIN_FILES), parts(["test_batch"])), raising=True
    )
    assert_loaded(cifar10.load_data(), files)


def test_nothing_found_says_what_was_tried():
    with pytest.raises(FileNotFoundError, match=r"(?s)KERASQ_DATA_DIR.*no-cache.*no network.*cifar-10-batches-py"):
        cifar10.load_data()


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_named_folder_without_the_data(tmp_path, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv(cifar10.ENVIRONMENT_VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"No CIFAR-10 in .*data_batch_1"):
        cifar10.load_data(tmp_path if how == "argument" else None)


@pytest.mark.parametrize("content", [b"", b"rubbish", pickle.dumps({b"data": np.zeros((1, 3072), np.uint8)}, protocol=2)])
def test_damaged_python_batch(tmp_path, files, content):
    folder = write(tmp_path, PYTHON, files)
    (folder / "data_batch_2").write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_2 is not a CIFAR-10 batch"):
        cifar10.load_data(tmp_path)


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_damaged_binary_batch(tmp_path, files, size):
    folder = write(tmp_path, BINARY, files)
    (folder / "test_batch.bin").write_bytes(bytes(size))
    with pytest.raises(ValueError, match=rf"test_batch.bin is not a CIFAR-10 batch: {size} bytes"):
        cifar10.load_data(tmp_path)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_batch_runs_no_code(tmp_path, files, monkeypatch, protocol):
    folder = write(tmp_path, PYTHON, files)
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil()}, protocol=protocol))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"holds no .*mkdir"):
        cifar10.load_data(tmp_path)
    assert not (tmp_path / "evil").exists()
