"""Examples in files: an .npy array, an .npz archive of one array per input, a folder of images."""

from __future__ import annotations

import pathlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from kerasq.inputs import Input, archive_in_order
from kerasq_convert.errors import ConversionError

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
BATCH = 16


def open_examples(
    path: pathlib.Path, inputs: Sequence[Input], *, ordered: bool = True
) -> np.ndarray | dict[str, np.ndarray] | Iterable[list[np.ndarray]]:
    """The examples that a path leads to: an array, arrays by name, or batches read as they are asked for.

    Args:
        path: An `.npy` file; an `.npz` file of one array per input of the network (`kerasq.inputs.archive_in_order`); or a folder
            of images, taken in the order of their names, as they are: pixels of 0 to 255.
        inputs: The network's.
        ordered: Whether their order is the network's own.

    Raises:
        ConversionError: It can't be read, or does not fit the network.
    """
    if path.is_dir():
        return _images(path, [input_.shape for input_ in inputs])
    return _archive(path, inputs, ordered) if path.suffix == ".npz" else load_array(path)


def load_array(path: pathlib.Path) -> np.ndarray:
    """The array of an `.npy` file, mapped into memory."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConversionError(str(path), [f"this is not a readable .npy file ({error}); write it with numpy.save"]) from error
    if not isinstance(array, np.ndarray):
        raise ConversionError(str(path), ["this is an archive of arrays: call it .npz, or write one array with numpy.save"])
    return array


def _archive(path: pathlib.Path, inputs: Sequence[Input], ordered: bool) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ConversionError(str(path), [f"this is not a readable .npz file ({error}); write it with numpy.savez"]) from error
    try:
        ordered_arrays = archive_in_order(arrays, inputs, ordered=ordered)
    except ValueError as error:
        raise ConversionError(str(path), [str(error)]) from error
    return dict(zip((input_.name for input_ in inputs), ordered_arrays, strict=True))


def _images(folder: pathlib.Path, shapes: Sequence[tuple[int | None, ...]]) -> Iterable[list[np.ndarray]]:
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] not in (1, 3, 4):
        raise ConversionError(str(folder), [f"a folder of images is for a network that reads one image. Its inputs: {shapes}"])
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    if not files:
        raise ConversionError(str(folder), [f"there are no images in it ({', '.join(IMAGES)})"])
    return _decoded(files, tuple(int(size or 0) for size in shapes[0][1:]))


def _decoded(files: list[pathlib.Path], shape: tuple[int, ...]) -> Iterator[list[np.ndarray]]:
    import tensorflow as tf

    batch: list[np.ndarray] = []
    for path in files:
        try:
            image = tf.io.decode_image(path.read_bytes(), channels=shape[2], expand_animations=False).numpy()
        except (tf.errors.InvalidArgumentError, OSError) as error:
            raise ConversionError(str(path), ["this is not a readable image"]) from error
        if image.shape != shape:
            size = f"{image.shape[1]} x {image.shape[0]}"
            raise ConversionError(
                str(path), [f"the network reads images of {shape[1]} x {shape[0]}: resize this one, of {size}, as in training"]
            )
        batch.append(image)
        if len(batch) == BATCH or path is files[-1]:
            yield [np.stack(batch)]
            batch = []
