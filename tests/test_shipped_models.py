"""The trained files under examples/: they load, their plan and their arithmetic stay what they were, and they classify."""

import os
import pathlib
import zlib

import numpy as np
import pytest

import kerasq
from kerasq import format as kq
from kerasq.datasets import cifar10
from kerasq.verification.plan import lower_bound

MODELS = pathlib.Path(__file__).parents[1] / "examples/cifar10/models"

# Bytes of file and arena, and a checksum over every tensor of generated images: the fixed-point tensors of a stored model are
# the same integers on every machine and in every release.
GOLDEN = {
    "resnet23.kq": (107_152, 99_392, 0x518377E6),
    "resnet23_binary.kq": (25_616, 99_392, 0xACF74FCF),
    "resnet23_fixed8.kq": (104_696, 99_392, 0xCF8AA1C1),
    "resnet23_fixed4.kq": (57_280, 99_392, 0x954FC323),
    "resnet23_ternary.kq": (33_616, 99_392, 0x6CC16BC3),
    "resnet23_binary_connect.kq": (21_772, 99_392, 0x65D9E3A9),
    "resnet23_binary_weight.kq": (21_772, 99_392, 0xE83DA727),
    "mobilenet.kq": (83_456, 8_208, 0x1ABA42E5),
    "mobilenet_sparse_fixed8.kq": (77_280, 8_208, 0x79618470),
}


def generated_images():
    return np.random.default_rng(2026).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)


def checksum(interpreter):
    crc = 0
    for name, stored in sorted(interpreter.tensors(generated_images()).items()):
        crc = zlib.crc32(np.ascontiguousarray(stored), zlib.crc32(name.encode(), crc))
    return crc


@pytest.mark.parametrize("name", list(GOLDEN))
def test_every_integer_is_what_it_was(name):
    size, arena, expected = GOLDEN[name]
    model = kq.load(MODELS / name)
    assert (MODELS / name).stat().st_size == size
    assert model.arena_bytes == arena >= lower_bound(model)
    assert checksum(kerasq.Interpreter(MODELS / name, engine="reference")) == expected


# Files from before version 3 of the format, in which names and outputs that a reader can tell are left out.
OLDER = {"mobilenet.kq", "resnet23.kq", "resnet23_binary.kq", "resnet23_parameters.kq", "resnet23_binary_parameters.kq"}


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.kq")), ids=lambda path: path.name)
def test_the_writer_gives_the_same_bytes_back(path):
    assert kq.dumps(kq.load(path), compact=path.name not in OLDER) == path.read_bytes()


LEAST = {
    "resnet23.kq": 0.77,
    "resnet23_binary.kq": 0.74,
    "resnet23_fixed8.kq": 0.84,
    "resnet23_fixed4.kq": 0.84,
    "resnet23_ternary.kq": 0.82,
    "resnet23_binary_connect.kq": 0.80,
    "resnet23_binary_weight.kq": 0.81,
    "mobilenet.kq": 0.76,
    "mobilenet_sparse_fixed8.kq": 0.71,
}


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_photographs_are_classified(name, least):
    if not os.environ.get(cifar10.ENVIRONMENT_VARIABLE):
        pytest.skip(f"{cifar10.ENVIRONMENT_VARIABLE} names no folder of CIFAR-10")
    _, (images, labels) = cifar10.load_data()
    scores = kerasq.Interpreter(MODELS / name).predict(images[:1000])
    assert np.mean(scores.argmax(axis=1) == labels[:1000]) >= least
