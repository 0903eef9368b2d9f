"""RESHAPE: flat and other shapes."""

from __future__ import annotations

import numpy as np

from kerasq.format.model import Model
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, random_clamp, random_format
from operator_cases.exact import unchanged
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    return net.apply("RESHAPE", (net.activation("x", (1, 6, 5, 2), buffers),), buffers, OUTPUT, (1, 60), **attributes)


def reshape(rng: np.random.Generator) -> Model:
    """Flattening and other shapes."""
    net = NetworkBuilder()
    source = random_format(rng, ACTIVATIONS)
    height, width, channels = rng.integers(1, 5, 3).tolist()
    x = net.activation("x", (1, height, width, channels), source)
    shape = [(1, height * width * channels), (1, width, height * channels), (1, channels, width, height)][rng.integers(3)]
    y = net.apply("RESHAPE", (x,), source, shape=shape, clamp=random_clamp(rng, source))
    return net.build((x,), (y,))


exact = unchanged


BROKEN = [
    ("layer/output", {"format": q("UFIXED8_4")}, "input's format"),
    ("layer/output", {"shape": (1, 59)}, "must have 60 elements"),
]

RANDOM = {"reshape": reshape}
