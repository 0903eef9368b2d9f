"""The layers of a Keras model, those of models and layers inside of it, too: what walks over them here, walks this way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def all_layers(model: Any) -> Iterator[Any]:
    """The model and all layers in it, nested ones as well; a shared one once."""
    return iter(model._flatten_layers())


def quantized_layers(model: Any) -> Iterator[Any]:
    """Those that have been built, and whose kernel has a quantizer."""
    return (layer for layer in all_layers(model) if getattr(layer, "kernel_quantizer", None) is not None and layer.built)
