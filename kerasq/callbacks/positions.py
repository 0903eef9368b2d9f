"""Where quantizers that learn stand: the numbers behind the formats, by tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np


def positions(layers: Mapping[str, Any]) -> dict[str, float]:
    """What the quantizers of layers have learned so far.

    Args:
        layers: Layers by name, as `Probe` has them.

    Returns:
        For every quantizer with a state, by the name of its tensor: `conv1/kernel/frac_bits`, the fractional bits of its present
        format (0 where a factor is beside it), and its parameters, `conv1/kernel/log2_threshold`, `relu_quantizer/output/limit`;
        of parameters per channel the mean.
    """
    values: dict[str, float] = {}
    for name, layer in layers.items():
        for tensor, state in _states(name, layer):
            values[f"{tensor}/frac_bits"] = float(state.quantizer.at(state.values).spec().frac_bits)
            for parameter, value in state.values.items():
                values[f"{tensor}/{parameter}"] = float(np.mean(keras.ops.convert_to_numpy(value)))
    return values


def _states(name: str, layer: Any) -> Iterator[tuple[str, Any]]:
    """The states in a layer, with the name of the tensor that each is for."""
    attributes = {part.state: part.latent for part in getattr(layer, "kernel_parts", ())}
    for attribute, tensor in (attributes | {"bias_state": "bias", "state": "output"}).items():
        state: Any = getattr(layer, attribute, None)
        if getattr(state, "quantizer", None) is not None and state.built:
            yield f"{name}/{tensor}", state
