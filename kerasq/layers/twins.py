"""From a Keras layer with a kernel to the quantized layer that stands for it, and back."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from kerasq import layers
from kerasq.layers.base import AlreadyQuantized, QuantizedKernel
from kerasq.layers.kernel_part import KernelPart


def _kinds() -> dict[type, Any]:
    generic = [getattr(layers, name) for name in layers.__all__ if name.startswith("Quantized")]
    return {kind: twin for twin in generic if issubclass(twin, QuantizedKernel) and (kind := keras_kind(twin))}


def keras_kind(twin: type) -> Any:
    """The Keras layer that a quantized layer derives from."""
    bases = (kind for kind in twin.__mro__ if issubclass(kind, keras.layers.Layer))
    return next(kind for kind in bases if not issubclass(kind, AlreadyQuantized))


TWINS: dict[type, Any] = _kinds()
"""The generic quantized layer of every kind of Keras layer that has one."""


def kind_of(layer: Any) -> Any:
    """The Keras layer that a layer is, or is a quantized form of, if there is a quantized form; else `None`.

    A subclass of one's own is neither: what it computes is not known.
    """
    if isinstance(layer, QuantizedKernel):
        return keras_kind(type(layer))
    twin = TWINS.get(type(layer))
    return type(layer) if twin is not None and twin.stands_for(layer) else None


def parts_of(layer: Any) -> tuple[KernelPart, ...]:
    """The kernels of a layer that has a twin, or is one; that which makes its output channels comes last."""
    twin: Any = type(layer) if isinstance(layer, QuantizedKernel) else TWINS[type(layer)]
    return twin.kernel_parts


def quantized(layer: keras.layers.Layer, **quantizers: Any) -> Any:
    """The quantized twin of a Keras layer, of the same name and arguments; without weights until it is called."""
    if isinstance(layer, QuantizedKernel):  # already: its kernel is as it was, the rest is added
        kernels = {part.quantizer for part in parts_of(layer)}
        return type(layer).from_config({**layer.get_config(), **{k: v for k, v in quantizers.items() if k not in kernels}})
    return TWINS[type(layer)].from_config({"kernel_quantizer": None, **layer.get_config(), **quantizers})


def quantized_values(layer: keras.layers.Layer, part: KernelPart, quantizer: Any) -> Any:
    """A kernel as the twin of a layer would compute with it; `quantizer` is any function of a kernel with channels last."""
    twin: Any = quantized(layer)
    latent = keras.ops.convert_to_tensor(getattr(layer, part.latent))
    return getattr(twin, part.as_kernel)(quantizer(getattr(twin, part.channels_last)(latent)))


def in_float(layer: QuantizedKernel) -> Any:
    """The Keras layer that a quantized one is with its latent weights; without weights until it is called."""
    kind = keras_kind(type(layer))
    config = kind.get_config(layer)
    known = {*inspect.signature(kind.__init__).parameters, "name", "trainable", "dtype"}
    return kind.from_config({name: value for name, value in config.items() if name in known})
