"""DENSE: of flat and of image-like inputs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, kernel_of, magnitude, output_format, random_clamp, random_format, vectors
from operator_cases.exact import step, weighted
from operator_cases.rules import OUTPUT, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    """With every optional operand."""
    operands = {
        "input": net.activation("x", (1, 6, 5, 2), buffers),
        "kernel": net.constant("kernel", np.ones((4, 60)), "SIGN"),
        "multiplier": net.constant("multiplier", np.ones(4), "FIXED16_2"),
        "bias": net.constant("bias", np.ones(4), "FIXED32_4"),
    }
    return net.apply("DENSE", operands, buffers, OUTPUT, **attributes)


def dense(rng: np.random.Generator) -> Model:
    """Dense layers, of flat and of image-like inputs."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 5, int(rng.integers(1, 4))).tolist())
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", shape, source)
    outputs = int(rng.integers(1, 6))
    kernel, kernel_format = kernel_of(rng, net, (outputs, int(np.prod(shape))))
    sum_bits = (source.frac_bits or 0) + (kernel_format.frac_bits or 0)
    multiplier, bias, total_bits = vectors(rng, net, outputs, sum_bits)
    form = output_format(rng, total_bits, magnitude(rng, net, "DENSE", (x, kernel, multiplier, bias)))
    y = net.apply("DENSE", (x, kernel, multiplier, bias), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray) -> Iterator[Fraction]:
    source, kernel, multiplier, bias = (ops.operand(model, operator, name) for name in ("input", "kernel", "multiplier", "bias"))
    assert source is not None
    assert kernel is not None
    assert kernel.data is not None
    scale, weights = step(source.format) * step(kernel.format), kernel.data.tolist()
    for values in x.reshape(len(x), -1).tolist():
        for channel, row in enumerate(weights):
            total = sum(value * weight for value, weight in zip(values, row, strict=True))
            yield weighted(total, channel, scale, multiplier, bias)


BROKEN = [
    ("kernel", {"shape": (60,)}, "kernel must have 2 axes"),
    ("kernel", {"shape": (4, 59)}, "kernel must have 60 inputs"),
    ("bias", {"format": q("FIXED32_7")}, "bias must have at most as many fractional bits"),
    ("layer/output", {"shape": (1, 1, 4)}, "output must have shape"),
]

BROKEN_ATTRIBUTES = [({"total_bits": 0}, "total_bits must be 32 or 64")]

RANDOM = {"dense": dense}
