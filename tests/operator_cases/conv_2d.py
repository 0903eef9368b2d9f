"""CONV_2D: one group, several, depthwise; with and without an addend."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from networks import NetworkBuilder
from operator_cases.drawn import (
    ACTIVATIONS,
    kernel_of,
    magnitude,
    output_format,
    random_clamp,
    random_format,
    random_zero,
    vectors,
)
from operator_cases.exact import step, step_of, taps, weighted
from operator_cases.rules import OUTPUT, WINDOW_RULES, q


def valid(net: NetworkBuilder, buffers: str, **attributes) -> int:
    """With every optional operand."""
    operands = {
        "input": net.activation("x", (1, 6, 5, 2), buffers),
        "kernel": net.constant("kernel", np.ones((4, 3, 2, 1)), "FIXED8_3"),
        "multiplier": net.constant("multiplier", np.ones(4), "FIXED16_2"),
        "bias": net.constant("bias", np.ones(4), "FIXED32_7"),
        "addend": net.activation("addend", (1, 7, 5, 4), "FIXED8_5"),
    }
    return net.apply("CONV_2D", operands, buffers, OUTPUT, **{"groups": 2, "padding": (1, 2, 1, 0), **attributes})


def convolution(rng: np.random.Generator) -> Model:
    """Dense, grouped and depthwise convolutions."""
    net = NetworkBuilder()
    inputs, outputs = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    groups = int(rng.choice([1, 1, 2, 3]))
    depthwise = rng.random() < 0.25
    if depthwise:
        groups, inputs = int(rng.integers(2, 6)), 1
    size, strides, dilations = (tuple(rng.integers(1, high, 2).tolist()) for high in (4, 4, 3))
    extent = [dilation * (taps - 1) + 1 for taps, dilation in zip(size, dilations, strict=True)]
    padding = tuple(int(rng.integers(0, extent[axis])) for axis in (0, 0, 1, 1))
    sizes = [
        int(rng.integers(max(1, extent[axis] - padding[2 * axis] - padding[2 * axis + 1]), extent[axis] + 5)) for axis in (0, 1)
    ]
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", (1, *sizes, groups * inputs), source)
    kernel, kernel_format = kernel_of(rng, net, (groups * outputs, *size, inputs))
    sum_bits = (source.frac_bits or 0) + (kernel_format.frac_bits or 0)
    multiplier, bias, total_bits = vectors(rng, net, groups * outputs, sum_bits)
    form = output_format(rng, total_bits, magnitude(rng, net, "CONV_2D", (x, kernel, multiplier, bias)))
    attributes = {"strides": strides, "dilations": dilations, "padding": padding, "groups": groups}
    if any(padding):
        attributes["zero"] = random_zero(rng, source)
    y = net.apply("CONV_2D", (x, kernel, multiplier, bias), form, clamp=random_clamp(rng, form), **attributes)
    return net.build((x,), (y,))


def residual(rng: np.random.Generator) -> Model:
    """Convolutions with an addend; now and then it is the input itself."""
    model = convolution(rng)
    net = NetworkBuilder()
    net.tensors, operator = list(model.tensors[:-1]), model.operators[0]
    net._arena_bytes = model.tensors[0].nbytes + 15 & ~15
    shape, form = model.output(operator).shape, model.output(operator).format
    terms = [ops.operand(model, operator, name) for name in ("input", "kernel", "multiplier")]
    total_bits = sum(tensor.format.frac_bits or 0 for tensor in terms if tensor is not None)
    x = ops.operand_index(operator, "input")
    source = model.tensors[x].format
    if shape == model.tensors[x].shape and (source.frac_bits or 0) <= total_bits and rng.random() < 0.5:
        addend = x
    else:
        places = int(rng.choice([0, 1, 4, 8, 20]))
        family = QFormat.parse(str(rng.choice(ACTIVATIONS)))
        addend = net.activation(
            "addend",
            shape,
            family.with_frac_bits(int(np.clip(total_bits - places, MIN_FRAC_BITS, min(total_bits, MAX_FRAC_BITS)))),
        )
    attributes = {name: getattr(operator, name) for name in ("strides", "dilations", "padding", "groups", "zero")}
    y = net.apply("CONV_2D", (*operator.inputs, addend), form, clamp=random_clamp(rng, form), **attributes)
    return net.build((x,) if addend == x else (x, addend), (y,))


def exact(model: Model, operator: Operator, x: np.ndarray, addend: np.ndarray | None = None) -> Iterator[Fraction]:
    source, kernel, multiplier, bias = (ops.operand(model, operator, name) for name in ("input", "kernel", "multiplier", "bias"))
    assert source is not None
    assert kernel is not None
    assert kernel.data is not None
    _, rows, columns, channels = model.output(operator).shape
    _, height, width, inputs = kernel.shape
    vertical = taps(rows, height, operator.strides[0], operator.dilations[0], operator.padding[0], x.shape[1])
    horizontal = taps(columns, width, operator.strides[1], operator.dilations[1], operator.padding[2], x.shape[2])
    pixels, weights = x.tolist(), kernel.data.tolist()
    scale = step(source.format) * step(kernel.format)
    for example, row, column, channel in product(range(len(x)), range(rows), range(columns), range(channels)):
        first = channel // (channels // operator.groups) * inputs
        total = operator.zero * int(kernel.data[channel].sum(dtype=np.int64)) + sum(
            (pixels[example][y][z][first + c] - operator.zero) * weights[channel][i][j][c]
            for (i, y), (j, z), c in product(vertical[row], horizontal[column], range(inputs))
        )
        added = Fraction(0)
        if addend is not None:
            added = int(addend[example, row, column, channel]) * step_of(model, operator, "addend")
        yield weighted(total, channel, scale, multiplier, bias) + added


BROKEN = [
    ("x", {"shape": (1, 60)}, "must have 4 axes"),
    ("kernel", {"shape": (4, 6)}, "must have 4 axes"),
    ("kernel", {"shape": (4, 3, 2, 2)}, "kernel must have 1 input channels"),
    ("kernel", {"shape": (3, 3, 2, 1)}, "groups must divide"),
    ("kernel", {"shape": (4, 65536, 1, 1)}, "at most 65535 high and wide"),
    ("multiplier", {"shape": (3,)}, "multiplier must have one value per output channel"),
    ("bias", {"shape": (1, 4)}, "bias must have one value per output channel"),
    ("bias", {"format": q("FIXED32_10")}, "bias must have at most as many fractional bits"),
    ("addend", {"shape": (1, 5, 7, 4)}, r"addend must have the output's shape, \(1, 7, 5, 4\)"),
    ("addend", {"format": q("FIXED8_14")}, "addend must have at most as many fractional bits"),
    ("addend", {"format": q("FIXED16_-32")}, "total_bits must be 64"),
    ("addend", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
    ("kernel", {"format": q("UFIXED8_3")}, "kernel must be one of"),
    ("kernel", {"format": q("FIXED32_3")}, "kernel must be one of"),
    ("multiplier", {"format": q("SIGN")}, "multiplier must be one of"),
    ("bias", {"format": q("UFIXED16_3")}, "bias must be one of"),
    ("bias", {"data": None}, "bias must be a constant"),
    ("kernel", {"data": None}, "kernel must be a constant"),
    ("x", {"data": np.ones((1, 6, 5, 2), np.int8)}, "input must be an activation"),
    ("layer/output", {"data": np.ones((1, 7, 5, 4), np.int8)}, "output is a constant"),
    ("x", {"format": q("FIXED4_1")}, "input must be one of"),
    ("x", {"format": q("SIGN")}, "input must be one of"),
    ("x", {"format": q("FIXED8")}, "fractional bits is missing"),
    ("layer/output", {"format": q("FIXED32_4")}, "output must be one of"),
    ("layer/output", {"shape": (2, 7, 5, 4)}, "batch axis"),
    ("layer/output", {"shape": (1, 7, 5, 3)}, "must have .*shape"),
    ("layer/output", {"shape": (1, 7, 0, 4)}, "at least 1"),
    ("x", {"shape": ()}, "at least 1"),
    ("x", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
]

BROKEN_ATTRIBUTES = [
    *WINDOW_RULES,
    ({"dilations": (1, 0)}, "dilations must be at least 1"),
    ({"dilations": (4, 1)}, "output must have shape"),
    ({"dilations": (8, 1)}, "larger than the padded input"),
    ({"groups": 0}, "groups must divide"),
    ({"groups": 3}, "groups must divide"),
    ({"groups": 1}, "kernel must have 2 input channels"),
    ({"total_bits": 0}, "total_bits must be 32 or 64"),
    ({"zero": 1}, "zero must be 0: it is of unsigned inputs"),
]

RANDOM = {"convolution": convolution, "residual": residual}
