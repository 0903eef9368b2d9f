"""`kerasq.summary`: what a model is made of, as its file has it, before there is one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from kerasq.footprint.summary import Summary, summarize
from kerasq.format import Model, dumps, loads
from kerasq.format.reader import read_bytes
from kerasq.nested import all_layers, quantized_kernels
from kerasq_convert.converter import convert
from kerasq_convert.errors import ConversionError
from kerasq_convert.pipeline import float_model


def summary(model: Any, **options: Any) -> Summary:
    """Layer by layer: formats of kernel and outputs, parameters, bytes as stored, multiply-accumulates by precision; the arena.

    A Keras model is converted in memory, so that all figures are those of its file: batch normalization is folded, kernels of
    `quantize_model` or kerasq layers have their formats, before as after training. What has no format, a float model, is FLOAT32
    unless the options say more. (A file of a float model with tabulated functions there is not: `file_bytes` is then `None`.)
    On another backend than TensorFlow a layer without a kernel that is of no kind that is known shows as its class, without
    parameters and multiply-accumulates.

    Args:
        model: A Keras model, the path of a SavedModel, `.keras` or `.h5` file: whatever `kerasq.convert` takes; or a .kq file, as
            a path, bytes or `kerasq.format.Model`.
        **options: Those of `kerasq.convert`, `representative_dataset` for one. For a .kq file, and on another backend than
            TensorFlow, there are none.

    Returns:
        A `Summary`: `print` shows it, `to_dict()` and `to_json()` have the figures.

    Raises:
        ConversionError: The model can't be converted; on another backend: it is subclassed, an input has an open size, or a layer
            with a kernel is of no kind that is known.
        kerasq.format.ModelError: The .kq file is refused.
        TypeError: There is no such option.

    Example:

    >>> print(kerasq.summary(kerasq.quantize_model(model, x_train[:256], "ternary")))
    """
    content = _content(model)
    if content is not None and options:
        raise TypeError(f"a .kq file has its formats: no options are expected. Received: {', '.join(options)}")
    elsewhere = _elsewhere(model) if content is None and not options else None
    if elsewhere is not None:
        from kerasq_convert.quantization.draft import draft

        drafted = draft(elsewhere, is_float=_is_float(elsewhere))
        told = summarize(drafted.model, None)
        outputs = (drafted.model.output(operator).name for operator in drafted.model.operators)
        kinds = [drafted.unknown.get(name, layer.kind) for name, layer in zip(outputs, told.layers, strict=True)]
        layers = tuple(dataclasses.replace(layer, kind=kind) for layer, kind in zip(told.layers, kinds, strict=True))
        return dataclasses.replace(told, layers=layers, arena_bytes=None)
    if content is None:
        try:
            content = convert(model, **options)
        except ConversionError:
            if options or not _is_float(model):
                raise
            return summarize(float_model(model), None)  # a file has no tables of float functions, the network in memory has
    return summarize(loads(content), len(content))


def _elsewhere(model: Any) -> Any:
    """The Keras model, where Keras can't export it: its backend is not TensorFlow's."""
    import keras

    is_file = isinstance(model, str | Path) and Path(model).suffix in (".keras", ".h5")
    if keras.backend.backend() == "tensorflow" or not (is_file or isinstance(model, keras.Model)):
        return None
    return keras.models.load_model(model, compile=False) if is_file else model


def _is_float(model: Any) -> bool:
    """Whether it is a Keras model without any quantizer."""
    import keras

    from kerasq.layers import FixedPointQuantize, Quantize

    if not isinstance(model, keras.Model):
        return False
    quantizes = (isinstance(layer, FixedPointQuantize | Quantize) for layer in all_layers(model))
    return not any(quantizes) and not any(quantized_kernels(model))


def _content(model: Any) -> bytes | None:
    """The bytes of a .kq file, where the model is one."""
    if isinstance(model, Model):
        return dumps(model)
    if isinstance(model, bytes | bytearray | memoryview):
        return bytes(model)
    path = Path(model) if isinstance(model, str | Path) else None
    return read_bytes(path) if path is not None and path.suffix == ".kq" else None
