"""The kinds of models that can be evaluated: .kq files, Keras' own files, SavedModel folders, .tflite files in LiteRT.

Each opener returns a `Source`; it raises `ValueError` with one sentence, the remedy included, where a file is damaged.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

import kerasq
from kerasq.evaluation.source import Input, Source
from kerasq.evaluation.tflite import open_tflite
from kerasq.format import ModelError, loads
from kerasq.interpreter import Interpreter
from kerasq.quiet import import_quietly
from kerasq.text import first_of

_FLOAT_BYTES = 4


def open_source(path: str | os.PathLike[str], num_threads: int | None = None) -> Source:
    """Opens the model in a file or folder, by the end of its name.

    Args:
        num_threads: Threads of the interpreters of .kq and .tflite files; `None` for the number of processors.

    Raises:
        ValueError: There is no model, or none that can be loaded.
    """
    place = pathlib.Path(path)
    if not place.exists():
        raise ValueError("there is no such file or folder: check the path")
    if place.is_dir():
        return _open_saved_model(place)
    if place.suffix == ".kq":
        return _open_kq(place, num_threads)
    if place.suffix == ".tflite":
        return open_tflite(place, num_threads)
    if place.suffix in (".keras", ".h5", ".hdf5"):
        return _open_keras(place)
    raise ValueError("a model is a .kq, .keras, .h5 or .tflite file or a SavedModel folder: rename the file if it is one of them")


def _open_kq(path: pathlib.Path, num_threads: int | None) -> Source:
    try:
        interpreter = Interpreter(model_path=path, num_threads=num_threads)
        model_bytes = path.stat().st_size
    except ModelError as error:
        raise ValueError(f"it is not a usable kerasq model: {first_of(error.problems)}; convert the network again") from error
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror or error}") from error
    model = interpreter.model
    # Fixed inputs take values too (the interpreter quantizes them), hence float32 for all.
    tensors = [model.tensors[index] for index in model.inputs]
    inputs = [Input(tensor.name, (None, *tensor.shape[1:]), np.dtype(np.float32)) for tensor in tensors]
    pixels = all(str(tensor.format) == "UFIXED8_0" for tensor in tensors)
    return Source(inputs, interpreter.predict, model_bytes, lambda: model.arena_bytes, pixels, list(model.named_outputs()))


def _open_keras(path: pathlib.Path) -> Source:
    try:
        model = kerasq.load_keras_file(path)
    except kerasq.ConversionError as error:
        raise ValueError("; ".join(error.problems)) from error
    tensors = getattr(model, "inputs", None)  # a subclassed model knows its inputs only by being called
    return Source(
        inputs=tensors and [Input(tensor.name, tuple(tensor.shape), np.dtype(tensor.dtype)) for tensor in tensors],
        run=lambda batch: model.predict_on_batch(_as_the_model_takes_it(model, batch)),
        outputs=getattr(model, "output_names", None),
        model_bytes=sum(_FLOAT_BYTES * int(np.prod(weight.shape)) for weight in model.weights),
        arena_bytes=lambda: _float_arena(model),
    )


def _as_the_model_takes_it(model: Any, batch: np.ndarray) -> Any:
    """A batch for the only input of a Keras model, which may be a dict of one."""
    structure = getattr(model, "input", None)
    return dict.fromkeys(structure, batch) if isinstance(structure, dict) else batch


def _open_saved_model(folder: pathlib.Path) -> Source:
    if not (folder / "saved_model.pb").is_file():
        raise ValueError("this folder holds no saved_model.pb: name the folder that model.export(...) wrote")
    try:
        inputs, run, weights = kerasq.serving_function(folder)
    except kerasq.ConversionError as error:
        raise ValueError("; ".join(error.problems)) from error
    tf = import_quietly("tensorflow")

    dtype = inputs[0].dtype
    return Source(
        inputs=[Input(tensor.op.name, _shape(tensor), np.dtype(tensor.dtype.as_numpy_dtype)) for tensor in inputs],
        run=lambda batch: {name: output.numpy() for name, output in run(tf.constant(batch, dtype)).items()},
        model_bytes=_FLOAT_BYTES * weights,
        arena_bytes=lambda: _float_arena(folder),
    )


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _float_arena(model: Any) -> int | None:
    """Bytes of the arena that the model's conversion with FLOAT32 activations takes."""
    try:
        return loads(kerasq.convert(model)).arena_bytes
    except kerasq.ConversionError:
        return None
