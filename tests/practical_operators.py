"""Models of one operator each as converted networks have them: usual formats and shifts, many channels, small maps.

tests/random_operators.py goes to the ends of what the file format allows, with few channels; these are what fast kernels are for.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import ABSENT, Layout, Model
from kerasq.format.packing import pairs_problem
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_stored
from random_operators import random_clamp

EIGHT_BITS = ("FIXED8", "UFIXED8")
INPUT_BITS = OUTPUT_BITS = 5


def _input_format(rng: np.random.Generator) -> QFormat:
    family = rng.choice([*EIGHT_BITS, "FIXED16", "UFIXED16"], p=[0.4, 0.4, 0.1, 0.1])
    return QFormat.parse(str(family)).with_frac_bits(INPUT_BITS)


def _kernel_format(rng: np.random.Generator, families: tuple[str, ...]) -> QFormat:
    form = QFormat.parse(str(rng.choice(families)))
    return form if form.is_sign else form.with_frac_bits(7)


def _weighted(rng: np.random.Generator, net: NetworkBuilder, x: int, shape: tuple[int, ...], families: tuple[str, ...]):
    """Kernel, multiplier, bias, and an output format that sums of the kernel's size fit, now and then too finely."""
    source, form = net.tensors[x].format, _kernel_format(rng, families)
    kernel = net.constant("kernel", random_stored(rng, form, shape), form)
    total = source.frac_bits + (form.frac_bits or 0)
    bits = source.bits + (1 if form.is_sign else form.bits) + int(np.prod(shape[1:])).bit_length() // 2
    multiplier = bias = ABSENT
    if rng.random() < 0.6:
        vector = QFormat.parse("FIXED16_14" if rng.random() < 0.8 else "FIXED8_6")
        multiplier = net.constant("multiplier", random_stored(rng, vector, shape[:1]), vector)
        total += vector.frac_bits
        bits += vector.bits - 2
    if rng.random() < 0.7:
        vector = QFormat.parse(rng.choice(["FIXED32", "FIXED16"])).with_frac_bits(total - int(rng.integers(0, 4)))
        magnitude = min(2 ** (vector.bits - 1) - 1, 2 ** max(bits - 5, 1))
        bias = net.constant("bias", rng.integers(-magnitude, magnitude, shape[:1], endpoint=True), vector)
    family = str(rng.choice([*EIGHT_BITS, "FIXED16"], p=[0.45, 0.45, 0.1]))
    places = bits - int(rng.integers(7, 12)) if rng.random() < 0.9 else int(rng.integers(-2, 34))
    return kernel, multiplier, bias, QFormat.parse(family).with_frac_bits(int(np.clip(total - places, -32, 63)))


def _convolution(rng: np.random.Generator, families: tuple[str, ...], depthwise: bool, over_time: bool = False) -> Model:
    net = NetworkBuilder()
    if rng.random() < (0.05 if depthwise else 0.3):
        size, strides = (1, 1), (int(rng.choice([1, 1, 2])),) * 2
    elif rng.random() < (0.8 if depthwise else 0.6):
        size, strides = (3, 3), (int(rng.choice([1, 1, 2])),) * 2
    else:
        size, strides = tuple(rng.integers(1, 6, 2).tolist()), tuple(rng.integers(1, 4, 2).tolist())
    dilations = (1, 1) if rng.random() < 0.85 else tuple(rng.integers(1, 3, 2).tolist())
    if over_time:
        size, strides, dilations = ((pair[0], 1) for pair in ((int(rng.integers(1, 12)),), strides, dilations))
    extent = [dilation * (taps - 1) + 1 for taps, dilation in zip(size, dilations, strict=True)]
    padding = tuple(int(rng.integers(0, min(extent[axis], 3))) for axis in (0, 0, 1, 1))
    least = [max(1, extent[axis] - padding[2 * axis] - padding[2 * axis + 1]) for axis in (0, 1)]
    sizes = [low + int(rng.integers(0, 9)) for low in least]
    if over_time:
        sizes = [sizes[0] + int(rng.integers(0, 20)), 1]
    groups, inputs, outputs = 1, int(rng.integers(1, 71)), int(rng.integers(1, 71))
    if depthwise:
        inputs, outputs = 1, 1
        groups = int(rng.choice([4, 8, 12, 32, 64, int(rng.integers(2, 71))]))
    elif rng.random() < 0.5:
        inputs, outputs = (int(rng.choice([3, 4, 8, 16, 32, 64])) for _ in range(2))
    elif rng.random() < 0.2:
        groups, inputs, outputs = int(rng.integers(2, 4)), max(1, inputs // 4), max(1, outputs // 4)
    x = net.activation("x", (1, *sizes, groups * inputs), _input_format(rng))
    attributes = {"strides": strides, "dilations": dilations, "padding": padding, "groups": groups}
    return _convolved(rng, net, x, (groups * outputs, *size, inputs), families, attributes, 0.1 if depthwise else 0.5)


def _convolved(rng: np.random.Generator, net: NetworkBuilder, x: int, shape, families, attributes, addends: float) -> Model:
    """A convolution of x; with an addend as often as `addends` says."""
    kernel, multiplier, bias, form = _weighted(rng, net, x, shape, families)
    operands: tuple[int, ...] = (x, kernel, multiplier, bias)
    if rng.random() < addends:
        y = net.apply("CONV_2D", operands, form, **attributes)
        shape = net.tensors[y].shape
        net.tensors.pop()
        net.operators.pop()
        family = QFormat.parse(str(rng.choice([*EIGHT_BITS, "FIXED16"], p=[0.4, 0.4, 0.2])))
        total = sum(net.tensors[index].format.frac_bits or 0 for index in operands[:3] if index != ABSENT)
        addend = net.activation("addend", shape, family.with_frac_bits(min(total, form.frac_bits + int(rng.integers(-2, 4)))))
        operands = (*operands, addend)
    y = net.apply("CONV_2D", operands, form, clamp=random_clamp(rng, form), **attributes)
    return net.build((x, *operands[4:]), (y,))


def convolution(rng: np.random.Generator) -> Model:
    return _convolution(rng, ("FIXED8", "FIXED8", "FIXED8", "FIXED4", "FIXED16"), depthwise=False)


def paired_convolution(rng: np.random.Generator) -> Model:
    """With rows of weights in pairs, now and then of channels that make no whole words."""
    whole = rng.random() < 0.6
    while True:
        model = _convolution(rng, ("FIXED8",), depthwise=False)
        kernel = model.operators[0].inputs[1]
        tensors = list(model.tensors)
        form, shape = tensors[kernel].format, tensors[kernel].shape
        if pairs_problem(form, shape) is None and (shape[-1] % 4 == 0) == whole:
            tensors[kernel] = dataclasses.replace(tensors[kernel], layout=Layout.PAIRS)
            return dataclasses.replace(model, tensors=tuple(tensors))


def window_of_three(rng: np.random.Generator) -> Model:
    """Maps and channels that are just enough for fewer multiplications (kq_winograd.h)."""
    net = NetworkBuilder()
    padding = tuple(int(rng.integers(0, 3)) for _ in range(4))
    sizes = [int(rng.integers(6, 11)) - padding[2 * axis] - padding[2 * axis + 1] for axis in (0, 1)]
    x = net.activation("x", (1, *sizes, int(rng.integers(8, 20))), _input_format(rng))
    shape = (int(rng.integers(9, 20)), 3, 3, net.tensors[x].shape[3])
    return _convolved(rng, net, x, shape, ("FIXED8",), {"padding": padding}, 0.5)


def short_convolution(rng: np.random.Generator) -> Model:
    return _convolution(rng, ("FIXED2", "FIXED4"), depthwise=False)


def sign_convolution(rng: np.random.Generator) -> Model:
    return _convolution(rng, ("SIGN",), depthwise=False)


def depthwise(rng: np.random.Generator) -> Model:
    return _convolution(rng, ("FIXED8",) * 6 + ("SIGN",), depthwise=True)


def over_time(rng: np.random.Generator) -> Model:
    """Depthwise, one column wide."""
    return _convolution(rng, ("FIXED8",) * 6 + ("SIGN",), depthwise=True, over_time=True)


def dense(rng: np.random.Generator) -> Model:
    net = NetworkBuilder()
    inputs = int(rng.choice([8, 16, 64, int(rng.integers(1, 200))]))
    x = net.activation("x", (1, inputs), _input_format(rng))
    kernel, multiplier, bias, form = _weighted(
        rng, net, x, (int(rng.integers(1, 71)), inputs), ("FIXED8", "FIXED8", "FIXED8", "SIGN")
    )
    y = net.apply("DENSE", (x, kernel, multiplier, bias), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def pooling(rng: np.random.Generator) -> Model:
    net = NetworkBuilder()
    channels = int(rng.integers(1, 71)) if rng.random() < 0.5 else int(rng.choice([4, 8, 32, 64]))
    shape = (1, *rng.integers(2, 9, 2).tolist(), channels)
    source = _input_format(rng)
    x = net.activation("x", shape, source)
    kind = str(rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
    whole = rng.random() < 0.3
    window = shape[1:3] if whole else tuple(int(rng.integers(1, min(size, 4) + 1)) for size in shape[1:3])
    form = source if kind == "MAX_POOL_2D" else source.with_frac_bits(source.frac_bits + int(rng.integers(-1, 3)))
    padding = (0, 0, 0, 0) if whole else tuple(int(rng.integers(0, window[axis])) for axis in (0, 0, 1, 1))
    y = net.apply(kind, (x,), form, window=window, strides=window, padding=padding, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def add(rng: np.random.Generator) -> Model:
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 9, 2).tolist(), int(rng.integers(1, 71)))
    forms = [_input_format(rng).with_frac_bits(int(rng.integers(3, 8))) for _ in range(2)]
    a, b = net.activation("a", shape, forms[0]), net.activation("b", shape, forms[1])
    form = QFormat.parse(str(rng.choice(EIGHT_BITS))).with_frac_bits(int(rng.integers(2, 7)))
    y = net.apply("ADD", (a, b), form, clamp=random_clamp(rng, form))
    return net.build((a, b), (y,))


def lookup(rng: np.random.Generator) -> Model:
    net = NetworkBuilder()
    source = _input_format(rng)
    x = net.activation("x", (1, *rng.integers(1, 9, 2).tolist(), int(rng.integers(1, 71))), source)
    form = QFormat.parse(str(rng.choice(EIGHT_BITS))).with_frac_bits(int(rng.integers(2, 7)))
    table = net.constant("table", random_stored(rng, form, (256 if source.bits == 8 else 513,)), form)
    y = net.apply("LOOKUP", (x, table), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


KINDS: dict[str, Callable[[np.random.Generator], Model]] = {
    maker.__name__: maker
    for maker in (
        convolution,
        paired_convolution,
        window_of_three,
        short_convolution,
        sign_convolution,
        depthwise,
        over_time,
        dense,
        pooling,
        add,
        lookup,
    )
}


PADDED = tuple(kind for kind in KINDS if kind.endswith(("convolution", "window_of_three", "depthwise", "over_time")))


def practical_model(kind: str, seed: int) -> Model:
    """Model number `seed` of a kind."""
    return KINDS[kind](np.random.default_rng([seed, *kind.encode()]))


def models_with_zeros(kind: str, first: int = 0) -> Iterator[Model]:
    """The models of a kind of `PADDED` from a number on that may have a zero that is not 0, with one: 1, the largest, or any."""
    for seed in itertools.count(first):
        model = practical_model(kind, seed)
        (operator,) = model.operators
        x = model.tensors[operator.inputs[0]].format
        if not x.signed and any(operator.padding):
            zero = (1, x.max_int, np.random.default_rng(seed).integers(1, x.max_int))[seed % 3]
            yield dataclasses.replace(model, operators=(operator.replace(zero=int(zero)),))
