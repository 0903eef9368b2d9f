"""Models of one random operator each: shapes, windows, formats and shifts all over what the file format allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from networks import NetworkBuilder, random_stored

ACTIVATIONS = ("FIXED8", "UFIXED8", "FIXED16", "UFIXED16")


def random_format(rng: np.random.Generator, families: tuple[str, ...], low: int = -10, high: int = 30) -> QFormat:
    """A format of one of the families, most often with a usual number of fractional bits, sometimes an odd one."""
    form = QFormat.parse(str(rng.choice(families)))
    return form.with_frac_bits(int(rng.integers(low, high))) if form.is_fixed else form


def output_format(rng: np.random.Generator, total_bits: int, magnitude: int) -> QFormat:
    """A format for totals of `total_bits` fractional bits: one that fits `magnitude`, one too fine or too coarse, or FLOAT32."""
    if rng.random() < 0.1:
        return QFormat.parse("FLOAT32")
    form = QFormat.parse(str(rng.choice(ACTIVATIONS)))
    fitting = total_bits - max(magnitude.bit_length() - form.bits, 0)
    away = int(rng.choice([0, -1, 1, -2, 2, 3, -12, 12, 40], p=[0.4, 0.2, 0.1, 0.15, 0.05, 0.02, 0.03, 0.03, 0.02]))
    return form.with_frac_bits(int(np.clip(fitting + away, MIN_FRAC_BITS, MAX_FRAC_BITS)))


def random_clamp(rng: np.random.Generator, form: QFormat) -> tuple[float, float] | None:
    """No clamp, a ReLU, or any two limits of the format."""
    kind = rng.choice(3, p=[0.6, 0.3, 0.1])
    if kind == 0:
        return None
    if form.is_float:
        return (0.0, float("inf")) if kind == 1 else (-1.5, 6.0)
    if kind == 1:
        return (0, form.max_int)
    low, high = sorted(rng.integers(form.min_int, form.max_int, 2, endpoint=True).tolist())
    return (low, high)


def _vectors(rng: np.random.Generator, net: NetworkBuilder, channels: int, sum_bits: int) -> tuple[int, int, int]:
    """Multiplier or ABSENT, bias or ABSENT, and the fractional bits of the total."""
    multiplier = bias = ABSENT
    if rng.random() < 0.5:
        form = random_format(rng, ("FIXED4", "FIXED8", "FIXED16", "FIXED32"))
        multiplier = net.constant("multiplier", random_stored(rng, form, (channels,)), form)
        sum_bits += form.frac_bits or 0
    if rng.random() < 0.6:
        form = QFormat.parse(str(rng.choice(["FIXED4", "FIXED8", "FIXED16", "FIXED32"])))
        coarsest, finest = max(MIN_FRAC_BITS, sum_bits - 24), min(sum_bits, MAX_FRAC_BITS)
        if coarsest <= finest:
            form = form.with_frac_bits(int(rng.integers(coarsest, finest, endpoint=True)))
            bias = net.constant("bias", random_stored(rng, form, (channels,)), form)
    return multiplier, bias, sum_bits


def _kernel(rng: np.random.Generator, net: NetworkBuilder, shape: tuple[int, ...]) -> tuple[int, QFormat]:
    form = random_format(rng, ("FIXED4", "FIXED8", "FIXED16", "SIGN"))
    return net.constant("kernel", random_stored(rng, form, shape), form), form


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
    kernel, kernel_format = _kernel(rng, net, (groups * outputs, *size, inputs))
    sum_bits = (source.frac_bits or 0) + (kernel_format.frac_bits or 0)
    multiplier, bias, total_bits = _vectors(rng, net, groups * outputs, sum_bits)
    form = output_format(rng, total_bits, _magnitude(rng, net, "CONV_2D", (x, kernel, multiplier, bias)))
    attributes = {"strides": strides, "dilations": dilations, "padding": padding, "groups": groups}
    y = net.apply("CONV_2D", (x, kernel, multiplier, bias), form, clamp=random_clamp(rng, form), **attributes)
    return net.build((x,), (y,))


def dense(rng: np.random.Generator) -> Model:
    """Dense layers, of flat and of image-like inputs."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 5, int(rng.integers(1, 4))).tolist())
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", shape, source)
    outputs = int(rng.integers(1, 6))
    kernel, kernel_format = _kernel(rng, net, (outputs, int(np.prod(shape))))
    sum_bits = (source.frac_bits or 0) + (kernel_format.frac_bits or 0)
    multiplier, bias, total_bits = _vectors(rng, net, outputs, sum_bits)
    form = output_format(rng, total_bits, _magnitude(rng, net, "DENSE", (x, kernel, multiplier, bias)))
    y = net.apply("DENSE", (x, kernel, multiplier, bias), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def _magnitude(rng: np.random.Generator, net: NetworkBuilder, kind: str, inputs: tuple[int, ...]) -> int:
    """About the size of typical totals: some bits below the largest possible one."""
    output = Tensor("y", (1,), QFormat.parse("FLOAT32"))
    operator = Operator(OperatorKind(kind), inputs, (len(net.tensors),))
    proven = ops.bounds(Model((*net.tensors, output), (operator,), (), ()), operator)
    assert proven is not None
    return max(proven.largest >> int(rng.integers(5)), 1)


def add(rng: np.random.Generator) -> Model:
    """Sums of two formats, up to 32 fractional bits apart."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 6, 3).tolist())
    first = random_format(rng, ACTIVATIONS, -20, 50)
    apart = int(rng.choice([0, 1, -3, int(rng.integers(-32, 33))]))
    second = random_format(rng, ACTIVATIONS).with_frac_bits(int(np.clip((first.frac_bits or 0) + apart, -32, 63)))
    a, b = net.activation("a", shape, first), net.activation("b", shape, second)
    finer = max(first.frac_bits or 0, second.frac_bits or 0)
    coarser = min(first.frac_bits or 0, second.frac_bits or 0)
    form = output_format(rng, finer, second.max_int << (finer - coarser))
    y = net.apply("ADD", (a, b), form, clamp=random_clamp(rng, form))
    return net.build((a, b), (y,))


def pooling(rng: np.random.Generator) -> Model:
    """Maxima and averages, with partial windows."""
    net = NetworkBuilder()
    window, strides = (tuple(rng.integers(1, 5, 2).tolist()) for _ in range(2))
    padding = tuple(int(rng.integers(0, window[axis])) for axis in (0, 0, 1, 1))
    sizes = [
        int(rng.integers(max(1, window[axis] - padding[2 * axis] - padding[2 * axis + 1]), window[axis] + 6)) for axis in (0, 1)
    ]
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", (1, *sizes, int(rng.integers(1, 4))), source)
    if rng.random() < 0.4:
        kind, form = "MAX_POOL_2D", source
    else:
        kind, form = "AVERAGE_POOL_2D", output_format(rng, source.frac_bits or 0, source.max_int)
        if form.is_fixed:
            distance = int(np.clip((form.frac_bits or 0) - (source.frac_bits or 0), -24, 24))
            form = form.with_frac_bits(int(np.clip((source.frac_bits or 0) + distance, -32, 63)))
    y = net.apply(kind, (x,), form, window=window, strides=strides, padding=padding, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def quantize(rng: np.random.Generator) -> Model:
    """From any fixed format to any other, and to FLOAT32."""
    net = NetworkBuilder()
    source = random_format(rng, ACTIVATIONS, -32, 64)
    x = net.activation("x", (1, int(rng.integers(1, 40))), source)
    form = output_format(rng, source.frac_bits or 0, source.max_int)
    y = net.apply("QUANTIZE", (x,), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def reshape(rng: np.random.Generator) -> Model:
    """Flattening and other shapes."""
    net = NetworkBuilder()
    source = random_format(rng, ACTIVATIONS)
    height, width, channels = rng.integers(1, 5, 3).tolist()
    x = net.activation("x", (1, height, width, channels), source)
    shape = [(1, height * width * channels), (1, width, height * channels), (1, channels, width, height)][rng.integers(3)]
    y = net.apply("RESHAPE", (x,), source, shape=shape, clamp=random_clamp(rng, source))
    return net.build((x,), (y,))


def residual(rng: np.random.Generator) -> Model:
    """Convolutions with an addend; now and then it is the input itself."""
    model = convolution(rng)
    net = NetworkBuilder()
    net.tensors, operator = list(model.tensors[:-1]), model.operators[0]
    net._arena_bytes = model.tensors[0].nbytes + 15 & ~15
    shape, form = model.output(operator).shape, model.output(operator).format
    total_bits = sum(model.tensors[index].format.frac_bits or 0 for index in operator.inputs[:3] if index != ABSENT)
    x = operator.inputs[0]
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
    attributes = {name: getattr(operator, name) for name in ("strides", "dilations", "padding", "groups")}
    y = net.apply("CONV_2D", (*operator.inputs, addend), form, clamp=random_clamp(rng, form), **attributes)
    return net.build((x,) if addend == x else (x, addend), (y,))


def mul(rng: np.random.Generator) -> Model:
    """Products of two tensors, or of one and a value per channel."""
    net = NetworkBuilder()
    shape = (1, *rng.integers(1, 6, int(rng.integers(1, 4))).tolist())
    first, second = random_format(rng, ACTIVATIONS, -12, 30), random_format(rng, ACTIVATIONS, -12, 30)
    a = net.activation("a", shape, first)
    by_channel = [(1, shape[-1]), (*(1 for _ in shape[1:]), shape[-1])][rng.integers(2)]
    b = net.activation("b", shape if rng.random() < 0.5 else by_channel, second)
    magnitude = first.max_int * second.max_int >> int(rng.integers(8))
    form = output_format(rng, (first.frac_bits or 0) + (second.frac_bits or 0), magnitude)
    y = net.apply("MUL", (a, b), form, clamp=random_clamp(rng, form))
    return net.build((a, b), (y,))


def concat(rng: np.random.Generator) -> Model:
    """Two to five tensors of any formats."""
    net = NetworkBuilder()
    pixels = (1, *rng.integers(1, 5, int(rng.integers(0, 3))).tolist())
    form = random_format(rng, ACTIVATIONS)
    inputs = []
    for number in range(int(rng.integers(2, 6))):
        source = form if rng.random() < 0.3 else random_format(rng, ACTIVATIONS)
        inputs.append(net.activation(f"x{number}", (*pixels, int(rng.integers(1, 6))), source))
    form = form if rng.random() < 0.8 else QFormat.parse("FLOAT32")
    y = net.apply("CONCAT", tuple(inputs), form, clamp=random_clamp(rng, form))
    return net.build(tuple(inputs), (y,))


def transpose(rng: np.random.Generator) -> Model:
    """Axes that change places, into shapes of any rank."""
    net = NetworkBuilder()
    a, b, c, d = rng.integers(1, 5, 4).tolist()
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", [(1, a, b, c * d), (1, a * b * c, d), (1, a * b * c * d)][rng.integers(3)], source)
    shape = [(1, a, c, b * d), (1, a * c * b * d), (1, c, a, b * d)][rng.integers(3)]
    y = net.apply("TRANSPOSE", (x,), source, shape=shape, window=(b, c), groups=d, clamp=random_clamp(rng, source))
    return net.build((x,), (y,))


def lookup(rng: np.random.Generator) -> Model:
    """Tables of any entries, for 8 and 16 bits."""
    net = NetworkBuilder()
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", (1, *rng.integers(1, 6, int(rng.integers(1, 4))).tolist()), source)
    form = random_format(rng, ACTIVATIONS)
    table = net.constant("table", random_stored(rng, form, (256 if source.bits == 8 else 513,)), form)
    y = net.apply("LOOKUP", (x, table), form, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


OPERATORS: dict[str, Callable[[np.random.Generator], Model]] = {
    "convolution": convolution,
    "residual": residual,
    "dense": dense,
    "add": add,
    "pooling": pooling,
    "quantize": quantize,
    "reshape": reshape,
    "mul": mul,
    "concat": concat,
    "transpose": transpose,
    "lookup": lookup,
}


def random_model(kind: str, seed: int) -> Model:
    """The model of a seed; parameters that no accumulator holds are drawn again."""
    rng = np.random.default_rng([seed, *kind.encode()])
    while True:
        try:
            return OPERATORS[kind](rng)
        except OverflowError:
            continue
