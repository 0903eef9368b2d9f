"""A .tflite file in LiteRT, beside which networks are judged: its time depends on it alone, and not on TensorFlow."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kerasq.evaluation.source import Input, Source
from kerasq.interpreter.batches import processors

_FLIP = 0x80  # a pixel p is stored as the int8 value p - 128: the same bits but for the highest


def open_tflite(path: pathlib.Path, num_threads: int | None) -> Source:
    """The network of a .tflite file.

    Args:
        path: The file.
        num_threads: Threads of LiteRT; `None` for the number of processors.

    Raises:
        ValueError: LiteRT is not installed, or does not run the file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ValueError("it needs LiteRT: pip install 'kerasq[bench]'") from error
    try:
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=num_threads or processors())
        interpreter.allocate_tensors()
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"it is not a network that LiteRT runs: {' '.join(str(error).split())}") from error
    network = _Network(interpreter)
    inputs = [
        Input(detail["name"], (None, *detail["shape"][1:].tolist()), np.dtype(np.float32))
        for detail in interpreter.get_input_details()
    ]
    names = [detail["name"] for detail in interpreter.get_output_details()]
    return Source(inputs, network.run, path.stat().st_size, lambda: None, network.takes_pixels, names)


class _Network:
    """An interpreter of batches of any size: of values, or of pixels where these are what it stores."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._input, *_ = interpreter.get_input_details()
        self._outputs = interpreter.get_output_details()
        scale, zero = self._input["quantization"]
        self.takes_pixels = self._input["dtype"] is np.int8 and abs(scale - 1) < 1e-6 and zero == -_FLIP

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        interpreter, index = self._interpreter, self._input["index"]
        if interpreter.get_input_details()[0]["shape"][0] != len(batch):
            interpreter.resize_tensor_input(index, batch.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(index, self._stored(batch))
        interpreter.invoke()
        return [_values(detail, interpreter.get_tensor(detail["index"])) for detail in self._outputs]

    def _stored(self, batch: np.ndarray) -> np.ndarray:
        if self.takes_pixels and batch.dtype == np.uint8:
            return (batch ^ _FLIP).view(np.int8)
        return stored(self._input, batch)


def stored(detail: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """Values as the input that LiteRT describes by `detail` stores them."""
    dtype, (scale, zero) = np.dtype(detail["dtype"]), detail["quantization"]
    if not np.issubdtype(dtype, np.integer) or not scale:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / np.float32(scale)) + zero, limits.min, limits.max).astype(dtype)


def _values(detail: dict[str, Any], stored: np.ndarray) -> np.ndarray:
    scale, zero = detail["quantization"]
    return (stored.astype(np.float32) - zero) * np.float32(scale) if scale else stored
