"""Folders as kerasq-convert --c_runtime writes them, for tests."""

from __future__ import annotations

import functools
import pathlib

import numpy as np

from kerasq import format as file_format
from kerasq.format import Model
from kerasq.interpreter import Interpreter
from kerasq.selftest import random_example, with_selftest
from kerasq_convert.command import main
from networks import NetworkBuilder, random_resnet23


@functools.cache
def first() -> Model:
    """A network with binary weights and a test vector."""
    model = random_resnet23("SIGN", maps=8, size=16)
    return with_selftest(model, random_example(model))


@functools.cache
def second() -> Model:
    """A small one of two inputs, without a test vector."""
    net = NetworkBuilder()
    a, b = net.activation("left */ one", (1, 4), "FIXED8_4"), net.activation("right", (1, 4), "FIXED16_4")
    both = net.apply("CONCAT", (a, b), "FIXED16_3", "both")
    return net.build((a, b), (both,))


def write(model: Model, folder: pathlib.Path, name: str, *flags: str) -> int:
    """Exit status of the command for a model, as NAME.kq beside the folder."""
    source = folder.parent / f"{name}.kq"
    file_format.dump(model, source)
    return main(["kerasq-convert", str(source), f"--emit_c={folder}", "--c_runtime", f"--c_name={name}", *flags])


def content_of(folder: pathlib.Path) -> dict[str, bytes]:
    """All files, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pattern(model: Model) -> np.ndarray:
    """The first input's stored values that a program makes, too: 7 i + 3 in 8 bits."""
    tensor = model.tensors[model.inputs[0]]
    return (7 * np.arange(np.prod(tensor.shape)) + 3).astype(np.uint8).astype(tensor.format.dtype).reshape(tensor.shape)


def expected(model: Model) -> list[int]:
    """Stored values of the first output for `pattern`, by the reference engine."""
    return Interpreter(model_content=model, engine="reference").predict(pattern(model), raw=True).ravel().tolist()
