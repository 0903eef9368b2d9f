"""QUANTIZE: from any format to any other."""

from __future__ import annotations

import numpy as np

from kerasq.format.model import Model
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, output_format, random_clamp, random_format
from operator_cases.exact import unchanged
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    return net.apply("QUANTIZE", (net.activation("x", (1, 6, 5, 2), buffers),), buffers, OUTPUT, **attributes)


def quantize(rng: np.random.Generator) -> Model:
    """From any fixed format to any other, and to FLOAT32."""
    net = NetworkBuilder()
    source = random_format(rng, ACTIVATIONS, -32, 64)
    x = net.activation("x", (1, int(rng.integers(1, 40))), source)
    form = output_format(rng, source.frac_bits or 0, source.max_int)
    y = net.apply("QUANTIZE", (x,), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


exact = unchanged


BROKEN = [
    ("layer/output", {"shape": (1, 6, 10)}, "output must have shape"),
    ("x", {"format": q("FIXED8_63")}, None),
]

RANDOM = {"quantize": quantize}
