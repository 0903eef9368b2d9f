"""Networks whose answers are known: score c is the c-th byte of the image, so the class is where the largest of ten bytes is."""

from __future__ import annotations

import pathlib

import numpy as np

from kerasq.conformance.samples import ModelBuilder
from kerasq.format import OperatorKind, dump
from kerasq.format.model import ABSENT

IMAGE = (32, 32, 3)


def images_of(classes: np.ndarray, seed: int = 0) -> np.ndarray:
    """uint8 images, `(count, 32, 32, 3)`, that a picker puts into `classes`."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 200, (len(classes), *IMAGE), dtype=np.uint8)
    images.reshape(len(classes), -1)[np.arange(len(classes)), classes] = 201
    return images


def picker_kernel(outputs: int = 10, shift: int = 0, size: int = 3072) -> np.ndarray:
    """Kernel of the picker, outputs first; `shift` makes it answer class - shift (modulo 10)."""
    kernel = np.zeros((outputs, size), np.float32)
    kernel[np.arange(outputs), (np.arange(outputs) + shift) % 10] = 1
    return kernel


def write_kq_picker(
    path: pathlib.Path, form: str = "UFIXED8_0", *, shape: tuple[int, ...] = IMAGE, outputs: int = 10, shift: int = 0
) -> pathlib.Path:
    """A .kq file with one DENSE operator, whose output has the input's format."""
    net = ModelBuilder()
    image = net.activation("image", form, 1, *shape)
    kernel = picker_kernel(outputs, shift, int(np.prod(shape)))
    net.operator(
        OperatorKind.DENSE,
        [image, net.constant("scores/kernel", "FIXED8_0", *kernel.shape, data=kernel), ABSENT, ABSENT],
        net.activation("scores/output", form, 1, outputs),
    )
    dump(net.model([image]), path)
    return path


def write_cifar10(folder: pathlib.Path, images: np.ndarray, labels: np.ndarray) -> pathlib.Path:
    """A CIFAR-10 folder in the binary layout, with these test images and one black image per training file."""
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    rows = np.concatenate([labels[:, None].astype(np.uint8), images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1)
    rows.tofile(folder / "cifar-10-batches-bin" / "test_batch.bin")
    for index in range(1, 6):
        np.zeros(3073, np.uint8).tofile(folder / "cifar-10-batches-bin" / f"data_batch_{index}.bin")
    return folder
