"""CIFAR-10 from a folder, from Keras' cache or, last, by download."""

from __future__ import annotations

import os
import pathlib
import pickle

import numpy as np

from kerasq.quiet import import_quietly

ENVIRONMENT_VARIABLE = "KERASQ_DATA_DIR"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))

Split = tuple[np.ndarray, np.ndarray]


def load_data(data_dir: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """CIFAR-10 as `(x_train, y_train), (x_test, y_test)`.

    Looks into `data_dir`, else into the folder that the variable `KERASQ_DATA_DIR` names, else into Keras' own download
    cache; only then Keras is asked to download it. A folder may be (or hold) `cifar-10-batches-py` or
    `cifar-10-batches-bin`, the two standard layouts.

    Returns:
        Images as uint8 arrays `(50000, 32, 32, 3)` and `(10000, 32, 32, 3)`, labels as int64 arrays `(n,)`.

    Raises:
        FileNotFoundError: Nothing was found and nothing could be downloaded; the message lists what was tried.
    """
    named = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        folder = _find(pathlib.Path(named))
        if folder is None:
            raise FileNotFoundError(
                f"No CIFAR-10 in {os.fspath(named)!r}: expected cifar-10-batches-py/data_batch_1 (or "
                "cifar-10-batches-bin/data_batch_1.bin) in it or below it"
            )
        return _read(folder)
    cache = pathlib.Path(os.environ.get("KERAS_HOME", pathlib.Path.home() / ".keras")) / "datasets"
    for candidate in (cache, cache / "cifar-10-batches-py-target"):
        folder = _find(candidate)
        if folder is not None:
            return _read(folder)
    return _download(cache)


def _find(root: pathlib.Path) -> pathlib.Path | None:
    for folder in (root, root / "cifar-10-batches-py", root / "cifar-10-batches-bin"):
        if (folder / "data_batch_1").is_file() or (folder / "data_batch_1.bin").is_file():
            return folder
    return None


def _read(folder: pathlib.Path) -> tuple[Split, Split]:
    read = _read_pickle if (folder / "data_batch_1").is_file() else _read_binary
    parts = [read(folder, name) for name in TRAIN_FILES]
    images, labels = zip(*parts, strict=True)
    return (np.concatenate(images), np.concatenate(labels)), read(folder, "test_batch")


class _ArraysOnly(pickle.Unpickler):
    """Unpickles what the published batches hold, and runs nothing else that a file may ask for."""

    def find_class(self, module: str, name: str):
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype", "_frombuffer"):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"a CIFAR-10 batch holds no {module}.{name}")


def _read_pickle(folder: pathlib.Path, name: str) -> Split:
    path = folder / name
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
        return _images(batch[b"data"]), np.asarray(batch[b"labels"], np.int64)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is not a CIFAR-10 batch: {error}") from error


def _read_binary(folder: pathlib.Path, name: str) -> Split:
    path = folder / f"{name}.bin"
    rows = np.fromfile(path, np.uint8)
    if rows.size == 0 or rows.size % 3073:
        raise ValueError(f"{path} is not a CIFAR-10 batch: {rows.size} bytes is no multiple of 3073")
    rows = rows.reshape(-1, 3073)
    return _images(rows[:, 1:]), rows[:, 0].astype(np.int64)


def _images(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(data, np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _download(cache: pathlib.Path) -> tuple[Split, Split]:
    try:
        keras = import_quietly("keras")
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
    except Exception as error:
        raise FileNotFoundError(
            f"CIFAR-10 was not found: no data_dir was given, the variable {ENVIRONMENT_VARIABLE} is not set, Keras' cache "
            f"({cache}) does not hold it, and downloading it failed ({error}). Unpack the python version of CIFAR-10 "
            f"anywhere and name the folder that holds cifar-10-batches-py"
        ) from error
    return (x_train, y_train.reshape(-1).astype(np.int64)), (x_test, y_test.reshape(-1).astype(np.int64))
