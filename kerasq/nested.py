"""The layers of a Keras model, those of models and layers inside of it, too: what walks over them here, walks this way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def all_layers(model: Any) -> Iterator[Any]:
    """The model and all layers in it, nested ones as well; a shared one once."""
    return iter(model._flatten_layers())


def quantized_kernels(model: Any) -> Iterator[tuple[Any, Any]]:
    """Layers that have been built, with each of their kernels (`kernel_parts`) that has a quantizer."""
    for layer in all_layers(model):
        for part in getattr(layer, "kernel_parts", ()):
            if layer.built and getattr(layer, part.quantizer) is not None:
                yield layer, part
