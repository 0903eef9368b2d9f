"""Networks of several random operators over a shared arena: formats of all kinds side by side, FLOAT32 among them.

Where random_operators.py goes to the limits of one operator, this goes for what meets in a network: widths on both sides of
what vector kernels take at once, outputs in the place of their inputs, tensors that are read twice, scratch memory beside live
tensors.
"""

from __future__ import annotations

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat
from kerasq_convert.memory.plan import plan_memory
from networks import NetworkBuilder, random_stored
from random_operators import magnitude, output_format, random_clamp, random_format, random_zero

FIXED = ("FIXED8", "FIXED8", "UFIXED8", "FIXED16", "UFIXED16")
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 65, 80)
MOVERS = ("multiply", "concatenate", "transpose", "lookup", "rows_of_classes", "normalize")
KERNELS = ("FIXED2", "FIXED4", "FIXED8", "FIXED8", "FIXED8", "FIXED16", "SIGN", "SIGN")


class _Graph:
    """A network in the making; every method appends an operator to the activation `x`."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.net = NetworkBuilder()
        self.inputs: list[int] = []
        self.added: set[int] = set()  # read as addends

    def shape(self, x: int) -> tuple[int, ...]:
        return self.net.tensors[x].shape

    def form(self, x: int) -> QFormat:
        return self.net.tensors[x].format

    def channels(self) -> int:
        return int(self.rng.choice(CHANNELS))

    def input(self) -> int:
        size = self.rng.integers(1, 10, 2).tolist()
        form = random_format(self.rng, (*FIXED, "FLOAT32"), 0, 12)
        return self.net.activation(f"input{len(self.net.tensors)}", (1, *size, self.channels()), form)

    def result_format(self, total_bits: int, magnitude: int) -> QFormat:
        """A fixed format, most often; now and then FLOAT32."""
        return output_format(self.rng, total_bits, magnitude)

    def float_result(self) -> QFormat:
        """The format of what was computed in float, of values around 1."""
        return QFormat.parse(str(self.rng.choice(["FLOAT32", "FLOAT32", "FIXED8_4", "UFIXED8_5"])))

    def weighted(self, kind: str, x: int, shape: tuple[int, ...], **attributes) -> int:
        rng, net, source = self.rng, self.net, self.form(x)
        kernel_format = QFormat.parse(str(rng.choice(KERNELS)))
        taps = int(np.prod(shape[1:]))
        if kernel_format.is_fixed:  # values of about taps ** -1/2, so that sums stay near the size of their inputs
            kernel_format = kernel_format.with_frac_bits(kernel_format.bits - 2 + taps.bit_length() // 2)
        if source.is_float and rng.random() < 0.5:
            kernel_format = QFormat.parse("FLOAT32")
        stored = random_stored(rng, kernel_format, shape)
        kernel = net.constant(
            f"kernel{len(net.tensors)}", stored / np.float32(taps**0.5) if kernel_format.is_float else stored, kernel_format
        )
        multiplier = bias = ABSENT
        total_bits = (source.frac_bits or 0) + (kernel_format.frac_bits or 0)
        is_float = source.is_float or kernel_format.is_float
        if kernel_format.is_sign or rng.random() < 0.2:
            form = QFormat.parse(str(rng.choice(["FIXED8_6", "FIXED16_14", "FIXED16_16"])))
            multiplier = net.constant(f"multiplier{len(net.tensors)}", random_stored(rng, form, shape[:1]), form)
            total_bits += form.frac_bits or 0
        if rng.random() < 0.7:
            frac_bits = int(np.clip(total_bits - rng.integers(0, 12), -32, 63))
            form = QFormat.parse("FLOAT32" if is_float else str(rng.choice(["FIXED32", "FIXED16"])))
            form = form.with_frac_bits(frac_bits) if form.is_fixed else form
            bias = net.constant(
                f"bias{len(net.tensors)}", random_stored(rng, form, shape[:1]) // (1 if form.is_float else 16), form
            )
        inputs: tuple[int, ...] = (x, kernel, multiplier, bias)
        if kind == "CONV_2D":
            inputs = (*inputs, *self.addend(inputs, attributes, None if is_float else total_bits))
            if not is_float and any(attributes["padding"]):
                attributes["zero"] = random_zero(rng, source)
        form = self.float_result() if is_float else self.result_format(total_bits, magnitude(rng, net, kind, inputs))
        return net.apply(kind, inputs, form, clamp=random_clamp(rng, form), **attributes)

    def addend(self, inputs: tuple[int, ...], attributes: dict, total_bits: int | None) -> tuple[int, ...]:
        """An activation of the convolution's output shape, often: one that is there, or a new input of the network."""
        rng, tensors = self.rng, self.net.tensors
        shapes = [() if index == ABSENT else self.shape(index) for index in inputs]
        shape = ops.output_shape(Operator(OperatorKind.CONV_2D, inputs, (-1,), **attributes), shapes)
        if rng.random() < 0.5:
            return ()
        fitting = [
            index
            for index, tensor in enumerate(tensors)
            if not tensor.is_constant
            and tensor.shape == shape
            and (total_bits is None or (tensor.format.is_fixed and 0 <= total_bits - (tensor.format.frac_bits or 0) <= 24))
        ]
        if fitting:
            self.added.add(chosen := int(rng.choice(fitting)))
            return (chosen,)
        form = QFormat.parse(str(rng.choice(FIXED)))
        places = int(rng.integers(0, 12))
        form = form.with_frac_bits(int(np.clip((8 if total_bits is None else total_bits) - places, -32, 63)))
        self.inputs.append(self.net.activation(f"addend{len(tensors)}", shape, form))
        return (self.inputs[-1],)

    def convolution(self, x: int) -> int:
        rng, (_, height, width, inputs) = self.rng, self.shape(x)
        window = [int(min(size, rng.choice([1, 1, 2, 3, 3, 5]))) for size in (height, width)]
        groups, outputs = 1, self.channels()
        if rng.random() < 0.3:
            groups = inputs if rng.random() < 0.6 else int(rng.choice([g for g in range(1, inputs + 1) if inputs % g == 0]))
            outputs = groups * int(rng.integers(1, 3))
        dilations = tuple(
            int(rng.choice([1, 1, 1, 2])) if 2 * (taps - 1) < size else 1
            for taps, size in zip(window, (height, width), strict=True)
        )
        extent = [dilation * (taps - 1) + 1 for taps, dilation in zip(window, dilations, strict=True)]
        padding = tuple(int(rng.integers(0, extent[axis])) for axis in (0, 0, 1, 1))
        strides = tuple(rng.choice([1, 1, 2, 3], 2).tolist())
        shape = (outputs, *window, inputs // groups)
        return self.weighted("CONV_2D", x, shape, strides=strides, dilations=dilations, padding=padding, groups=groups)

    def dense(self, x: int) -> int:
        return self.weighted("DENSE", x, (self.channels(), int(np.prod(self.shape(x)))))

    def add(self, x: int, other: int) -> int:
        a, b = self.form(x), self.form(other)
        if a.is_float or b.is_float:
            form = self.float_result()
        else:
            finer = max(a.frac_bits or 0, b.frac_bits or 0)
            form = self.result_format(finer, 255 << (finer - min(a.frac_bits or 0, b.frac_bits or 0)))
        return self.net.apply("ADD", (x, other), form, clamp=random_clamp(self.rng, form))

    def pooling(self, x: int) -> int:
        rng, source, (_, height, width, _) = self.rng, self.form(x), self.shape(x)
        window = tuple(int(min(size, rng.integers(1, 4))) for size in (height, width))
        padding = tuple(int(rng.integers(0, window[axis])) for axis in (0, 0, 1, 1))
        strides = tuple(rng.integers(1, 4, 2).tolist())
        kind, form = "MAX_POOL_2D", source
        if rng.random() < 0.5:
            kind = "AVERAGE_POOL_2D"
            form = self.float_result() if source.is_float else self.near(source)
        clamp = random_clamp(rng, form)
        return self.net.apply(kind, (x,), form, window=window, padding=padding, strides=strides, clamp=clamp)

    def near(self, source: QFormat) -> QFormat:
        form = QFormat.parse(str(self.rng.choice(FIXED)))
        distance = int(self.rng.integers(-3, 4)) + form.bits - source.bits
        return form.with_frac_bits(int(np.clip((source.frac_bits or 0) + distance, -32, 63)))

    def quantize(self, x: int) -> int:
        source = self.form(x)
        form = self.float_result() if source.is_float or self.rng.random() < 0.2 else self.near(source)
        return self.net.apply("QUANTIZE", (x,), form, clamp=random_clamp(self.rng, form))

    def reshape(self, x: int) -> int:
        _, height, width, channels = self.shape(x)
        shape = ((1, width, height, channels), (1, height * width, 1, channels), (1, 1, width, height * channels))
        chosen = shape[int(self.rng.integers(3))]
        return self.net.apply("RESHAPE", (x,), self.form(x), shape=chosen, clamp=random_clamp(self.rng, self.form(x)))

    def multiply(self, x: int) -> int:
        """By another activation of its shape, itself at worst, or by a value per channel."""
        rng, source = self.rng, self.form(x)
        tensors = [i for i, t in enumerate(self.net.tensors) if not t.is_constant and t.shape == self.shape(x)]
        if rng.random() < 0.5:
            other = int(rng.choice(tensors))
            self.added.add(other)
        else:
            form = random_format(rng, FIXED, 0, 12)
            other = self.net.activation(f"gate{len(self.net.tensors)}", (1, self.shape(x)[-1]), form)
            self.inputs.append(other)
        if source.is_float or self.form(other).is_float:
            form, zero = self.float_result(), 0
        else:
            form = self.result_format((source.frac_bits or 0) + (self.form(other).frac_bits or 0), 1 << 14)
            zero = random_zero(rng, source)
        return self.net.apply("MUL", (x, other), form, clamp=random_clamp(rng, form), zero=zero)

    def concatenate(self, x: int) -> int:
        """With other activations that differ in channels only, itself among them."""
        rng = self.rng
        fitting = [i for i, t in enumerate(self.net.tensors) if not t.is_constant and t.shape[:-1] == self.shape(x)[:-1]]
        others = [int(i) for i in rng.choice(fitting, int(rng.integers(1, 5)))]
        self.added.update(others)
        inputs = (x, *others)
        if any(self.form(i).is_float for i in inputs):
            form = self.float_result()
        else:
            form = self.form(x) if rng.random() < 0.5 else self.near(self.form(x))
        return self.net.apply("CONCAT", inputs, form, clamp=random_clamp(rng, form))

    def transpose(self, x: int) -> int:
        """Depth to space, space to depth, or height by width."""
        rng, (_, height, width, channels) = self.rng, self.shape(x)
        if channels % 2 == 0 and rng.random() < 0.5:
            sizes, together, shape = (width, 1), channels // 2, (1, height, 2, width * channels // 2)
            if channels % 4 == 0:
                sizes, shape = (width, 2), (1, 2 * height, 2 * width, channels // 4)
        else:
            sizes, together, shape = (height, width), channels, (1, width, height, channels)
        source = self.form(x)
        clamp = random_clamp(rng, source)
        return self.net.apply("TRANSPOSE", (x,), source, shape=shape, window=sizes, groups=together, clamp=clamp)

    def lookup(self, x: int) -> int:
        source = self.form(x)
        if source.is_float:
            return self.quantize(x)
        form = random_format(self.rng, FIXED, 0, 12)
        entries = random_stored(self.rng, form, (256 if source.bits == 8 else 513,))
        table = self.net.constant(f"table{len(self.net.tensors)}", entries, form)
        return self.net.apply("LOOKUP", (x, table), form, clamp=random_clamp(self.rng, form))

    def argmax(self, x: int) -> int:
        form = QFormat.parse("UFIXED8_0" if self.shape(x)[-1] <= 256 and self.rng.random() < 0.7 else "UFIXED16_0")
        return self.net.apply("ARGMAX", (x,), form, shape=(*self.shape(x)[:-1], 1))

    def rows_of_classes(self, x: int) -> int:
        """For each pixel the row of a table that its class has."""
        source = QFormat.parse(str(self.rng.choice(["FIXED8_4", "UFIXED8_4", "FIXED16_9", "FIXED4_2", "FIXED2_1", "SIGN"])))
        stored = random_stored(self.rng, source, (int(self.rng.choice([5, 100])), self.channels()))
        table = self.net.constant(f"table{len(self.net.tensors)}", stored, source)
        form = (
            source
            if source.bits >= 8 and self.rng.random() < 0.6
            else QFormat.parse(str(self.rng.choice(FIXED))).with_frac_bits(3)
        )
        shape = (*self.shape(x)[:-1], stored.shape[-1])
        return self.net.apply("GATHER", (self.argmax(x), table), form, shape=shape, clamp=random_clamp(self.rng, form))

    def normalize(self, x: int) -> int:
        rng, source, (_, *sizes, channels) = self.rng, self.form(x), self.shape(x)
        window = tuple(int(rng.choice([1, size])) for size in sizes) if len(sizes) == 2 else (1, int(np.prod(sizes)))
        groups = int(rng.choice([1, 1, channels, *(g for g in range(1, channels) if channels % g == 0)]))
        exact = source.is_fixed and rng.random() < 0.9
        epsilon = QFormat.parse("FIXED16_20" if exact else "FLOAT32")
        constant = self.net.constant(f"epsilon{len(self.net.tensors)}", np.array([1049 if exact else 1e-3]), epsilon)
        form = random_format(rng, FIXED, 0, 14) if exact else self.float_result()
        attributes = {"window": window, "groups": groups, "centered": int(rng.integers(2)), "clamp": random_clamp(rng, form)}
        return self.net.apply("NORMALIZE", (x, constant), form, **attributes)

    def softmax(self, x: int) -> int:
        source, table = self.form(x), ABSENT
        form = QFormat.parse(str(self.rng.choice(["UFIXED8_8", "FIXED16_15", "UFIXED16_16"])))
        if source.is_fixed and self.rng.random() < 0.8:
            table = self.net.constant(f"table{len(self.net.tensors)}", exponentials(source), "UFIXED16_15")
        elif self.rng.random() < 0.5:
            form = QFormat.parse("FLOAT32")
        return self.net.apply("SOFTMAX", (x, table), form)


def random_graph(seed: int) -> Model:
    """The network of a seed: up to eight operators; sums that no accumulator holds are drawn again."""
    rng = np.random.default_rng([seed, 1])
    while True:
        try:
            return _draw(_Graph(rng))
        except OverflowError:
            continue


def _draw(graph: _Graph) -> Model:
    rng = graph.rng
    graph.inputs = [graph.input() for _ in range(int(rng.choice([1, 1, 2])))]
    images, unread = list(graph.inputs), set(graph.inputs)
    for _ in range(int(rng.integers(1, 8))):
        x = int(rng.choice(images[-3:]))
        kind = str(rng.choice(["convolution", "convolution", "convolution", "add", "pooling", "quantize", "reshape", *MOVERS]))
        if kind == "add":
            partners = [y for y in images if graph.shape(y) == graph.shape(x) and _addable(graph.form(x), graph.form(y))]
            other = int(rng.choice(partners))
            images.append(graph.add(x, other))
            unread -= {other}
        else:
            images.append(getattr(graph, kind)(x))
        unread = (unread - {x} - graph.added) | {images[-1]}
    outputs = []
    for x in sorted(unread):
        if rng.random() < 0.3:
            x = graph.dense(x)
        outputs.append(graph.softmax(x) if rng.random() < 0.2 else x)
    return plan_memory(graph.net.build(tuple(graph.inputs), tuple(outputs)))


def _addable(a: QFormat, b: QFormat) -> bool:
    return a.is_float or b.is_float or abs((a.frac_bits or 0) - (b.frac_bits or 0)) <= 32
