"""Random networks of one operator each, of the kinds, formats and shapes that converted networks have."""

from collections.abc import Iterator

import numpy as np

from kerasq.conformance.samples import ModelBuilder
from kerasq.format import Model, verify
from kerasq.format.errors import ModelError
from kerasq.format.model import OperatorKind
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat

MOST_PRODUCTS = 200_000
Shape = tuple[int, ...]
_CHANNELS = (1, 2, 3, 4, 8, 10, 12, 16, 24, 32, 40, 64, 96, 128)


def single_operators(seed: int) -> Iterator[Model]:
    """Sound networks without end."""
    rng = np.random.default_rng(seed)
    makers = (_convolution,) * 8 + (_first_convolution,) * 3 + (_depthwise,) * 4 + (_dense,) * 3 + (_pooling,) * 2
    makers += (_add, _mul, _concat, _others, _softmax, _argmax, _gather, _normalize)
    while True:
        net = ModelBuilder(int(rng.integers(1 << 30)))
        inputs = makers[rng.integers(len(makers))](rng, net)
        if inputs is None:
            continue
        try:
            yield verified(net.model(inputs))
        except ModelError:  # sums that no accumulator holds
            continue


def verified(model: Model) -> Model:
    verify(model)
    return model


def _size(rng: np.random.Generator, low: int, high: int) -> int:
    """Small ones as often as large ones."""
    return round(low * (high / low) ** rng.random())


def _weights(rng: np.random.Generator, net: ModelBuilder, x: int, shape: Shape, families: tuple[str, ...]) -> tuple[dict, str]:
    """Operands of a convolution or Dense layer by name, and a format that their sums fit."""
    family = str(rng.choice(families))
    places = {"FIXED8": 7, "FIXED16": 12, "FIXED4": 3, "FIXED2": 1, "SIGN": 0}[family]
    source = net.tensors[x].format
    # As training leaves them: few are large.
    data = None
    if family == "FIXED8":
        data = np.round(net.random.normal(0, rng.uniform(15, 45), shape)).clip(-127, 127)
    kernel = net.constant("kernel", family if family == "SIGN" else f"{family}_{places}", *shape, data=data)
    operands = {"input": x, "kernel": kernel}
    total = source.frac_bits + places
    bits = source.bits - 2 + net.tensors[kernel].format.bits - 2 + int(np.prod(shape[1:])).bit_length() / 2
    if rng.random() < 0.7:
        operands["multiplier"] = net.constant("multiplier", "FIXED16_14", shape[0])
        total, bits = total + 14, bits + 14
    if rng.random() < 0.85:
        form = f"FIXED32_{total}"
        data = net.random.normal(0, 2 ** min(bits - 1, 29), shape[0]).clip(-(2**31), 2**31 - 1).astype(np.int64)
        operands["bias"] = net.constant("bias", form, shape[0], data=data)
    output = str(rng.choice(["FIXED8", "UFIXED8"] if source.bits == 8 else ["FIXED16", "FIXED8"]))
    width = 16 if output == "FIXED16" else 8
    return operands, f"{output}_{total - round(max(bits - width + 2, 0))}"


def _clamp(rng: np.random.Generator, form: str) -> dict:
    if rng.random() < 0.5:
        return {}
    parsed = QFormat.parse(form)
    return {"clamp": (0, int(rng.integers(parsed.max_int // 2, parsed.max_int)))}


def _input(rng: np.random.Generator, wide: float = 0.08) -> str:
    families = ["FIXED8_5", "UFIXED8_5", "FIXED16_9", "UFIXED16_9"]
    return str(rng.choice(families, p=[(1 - wide) / 2, (1 - wide) / 2, wide / 2, wide / 2]))


def _window(rng: np.random.Generator) -> tuple[Shape, Shape]:
    sizes = [(1, 1), (3, 3), (3, 3), (5, 5), (1, 1), (3, 1), (10, 4), (int(rng.integers(1, 16)), 1), (2, 2)]
    return sizes[rng.integers(len(sizes))], ((1, 1), (1, 1), (2, 2))[rng.integers(3)]


def _map(
    rng: np.random.Generator, window: tuple[int, int], strides: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Height and width of an input, padding, and how many pixels the output has."""
    result = [_size(rng, 1, 32), _size(rng, 1, 32) if window[1] > 1 or rng.random() < 0.7 else 1]
    same = rng.random() < 0.7
    padding, source = [], []
    for size, taps, step in zip(result, window, strides, strict=True):
        absent = max(taps - step, 0) if same and size * step >= taps else 0
        padding += [absent // 2, absent - absent // 2]
        source.append((size - 1) * step + taps - absent)
    return tuple(source), tuple(padding), result[0] * result[1]


def _first_convolution(rng: np.random.Generator, net: ModelBuilder) -> list[int] | None:
    """Of an image or a spectrogram: few channels, and large windows, too."""
    return _convolution(rng, net, inputs=int(rng.integers(1, 4)))


def _convolution(rng: np.random.Generator, net: ModelBuilder, inputs: int | None = None) -> list[int] | None:
    window, strides = _window(rng)
    if inputs is not None and window == (1, 1):
        window = (10, 4)
    source, padding, pixels = _map(rng, window, strides)
    maps, outputs = (int(rng.choice(_CHANNELS)) if rng.random() < 0.8 else int(rng.integers(1, 70)) for _ in range(2))
    inputs = maps if inputs is None else inputs
    if not 200 < pixels * outputs * inputs * window[0] * window[1] < MOST_PRODUCTS:
        return None
    x = net.activation("x", _input(rng), 1, *source, inputs)
    families = ("FIXED8",) * 8 + ("SIGN",) * 4 + ("FIXED4", "FIXED2") * 2 + ("FIXED16",)
    operands, form = _weights(rng, net, x, (outputs, *window, inputs), families)
    shape = _result(source, window, strides, padding, outputs)
    addends = []
    if rng.random() < 0.3:
        signed = rng.random() < 0.6
        addends = [net.activation("addend", "FIXED8_4" if signed else "UFIXED8_4", 1, *shape)]
        operands["addend"] = addends[0]
    attributes = {"strides": strides, "padding": padding, **_clamp(rng, form)}
    net.operator(OperatorKind.CONV_2D, operands, net.activation("y", form, 1, *shape), **attributes)
    return [x, *addends]


def _result(source: Shape, window: Shape, strides: Shape, padding: Shape, channels: int) -> Shape:
    sizes = [(source[axis] + padding[2 * axis] + padding[2 * axis + 1] - window[axis]) // strides[axis] + 1 for axis in (0, 1)]
    return (*sizes, channels)


def _depthwise(rng: np.random.Generator, net: ModelBuilder) -> list[int] | None:
    window, strides = ((3, 3), ((1, 1), (1, 1), (2, 2))[rng.integers(3)]) if rng.random() < 0.6 else _window(rng)
    source, padding, pixels = _map(rng, window, strides)
    channels = int(rng.choice(_CHANNELS)) if rng.random() < 0.85 else int(rng.integers(1, 70))
    if not 50 < pixels * channels * window[0] * window[1] < MOST_PRODUCTS / 2:
        return None
    x = net.activation("x", _input(rng), 1, *source, channels)
    operands, form = _weights(rng, net, x, (channels, *window, 1), ("FIXED8",))
    attributes = {"strides": strides, "padding": padding, "groups": channels, **_clamp(rng, form)}
    shape = _result(source, window, strides, padding, channels)
    net.operator(OperatorKind.CONV_2D, operands, net.activation("y", form, 1, *shape), **attributes)
    return [x]


def _dense(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    inputs, outputs = _size(rng, 4, 700), _size(rng, 2, 200)
    if rng.random() < 0.6:
        inputs, outputs = max(inputs // 8, 1) * 8, max(outputs // 4, 1) * 4
    x = net.activation("x", _input(rng), 1, inputs)
    operands, form = _weights(rng, net, x, (outputs, inputs), ("FIXED8",) * 5 + ("SIGN", "SIGN", "FIXED4", "FIXED2", "FIXED16"))
    net.operator(OperatorKind.DENSE, operands, net.activation("y", form, 1, outputs), **_clamp(rng, form))
    return [x]


def _pooling(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    kind = OperatorKind.MAX_POOL_2D if rng.random() < 0.4 else OperatorKind.AVERAGE_POOL_2D
    window = ((2, 2), (3, 3), (_size(rng, 2, 25), _size(rng, 1, 8)))[rng.integers(3)]
    pixels = (1, 1) if max(window) > 3 else (_size(rng, 1, 16), _size(rng, 1, 16))
    channels = int(rng.choice(_CHANNELS))
    form = _input(rng)
    x = net.activation("x", form, 1, window[0] * pixels[0], window[1] * pixels[1], channels)
    y = net.activation("y", form, 1, *pixels, channels)
    net.operator(kind, [x], y, window=window, strides=window)
    return [x]


def _elements(rng: np.random.Generator) -> tuple[int, ...]:
    return _size(rng, 1, 16), _size(rng, 1, 16), int(rng.choice(_CHANNELS))


def _add(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    shape = _elements(rng)
    inputs = [net.activation(name, _input(rng), 1, *shape) for name in ("a", "b")]
    form = "FIXED8_4"
    net.operator(OperatorKind.ADD, inputs, net.activation("y", form, 1, *shape), **_clamp(rng, form))
    return inputs


def _mul(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    shape = _elements(rng)
    inputs = [net.activation(name, _input(rng), 1, *shape) for name in ("a", "b")]
    net.operator(OperatorKind.MUL, inputs, net.activation("y", "FIXED8_3", 1, *shape))
    return inputs


def _concat(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    height, width, channels = _elements(rng)
    form = _input(rng)
    inputs = [net.activation(name, form, 1, height, width, channels) for name in ("a", "b")]
    y = net.activation("y", form, 1, height, width, 2 * channels)
    net.operator(OperatorKind.CONCAT, inputs, y)
    return inputs


def _others(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    shape, form = _elements(rng), _input(rng)
    x = net.activation("x", form, 1, *shape)
    match int(rng.integers(3)):
        case 0:
            net.operator(OperatorKind.RESHAPE, [x], net.activation("y", form, 1, int(np.prod(shape))))
        case 1:
            net.operator(OperatorKind.QUANTIZE, [x], net.activation("y", "FIXED8_4", 1, *shape))
        case 2:
            if "16" in form:
                form = "FIXED8_5"
                net.tensors[x] = net.tensors[x].__class__("x", (1, *shape), QFormat.parse(form), offset=0)
            table = net.constant("table", "FIXED8_6", 256)
            net.operator(OperatorKind.LOOKUP, [x, table], net.activation("y", "FIXED8_6", 1, *shape))
    return [x]


def _softmax(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    classes, form = _size(rng, 2, 100), str(rng.choice(["FIXED8_4", "FIXED8_6"]))
    x = net.activation("x", form, 1, classes)
    table = net.constant("table", "UFIXED16_15", 256, data=exponentials(QFormat.parse(form)))
    net.operator(OperatorKind.SOFTMAX, [x, table], net.activation("y", "UFIXED8_8", 1, classes))
    return [x]


def _argmax(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    rows, classes = _size(rng, 1, 256), _size(rng, 2, 250)
    x = net.activation("x", _input(rng, wide=0.3), 1, rows, classes)
    net.operator(OperatorKind.ARGMAX, [x], net.activation("y", "UFIXED8_0", 1, rows))
    return [x]


def _gather(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    """Rows copied, most often, else requantized."""
    numbers, rows, width = _size(rng, 1, 128), _size(rng, 2, 500), _size(rng, 1, 64)
    x = net.activation("x", "UFIXED8_0" if rows <= 256 else "UFIXED16_0", 1, numbers)
    stored, form = (("FIXED8_5", "FIXED8_5"), ("FIXED4_3", "FIXED8_3"), ("FIXED16_9", "FIXED16_9"))[
        rng.choice(3, p=(0.5, 0.3, 0.2))
    ]
    table = net.constant("table", stored, rows, width)
    net.operator(OperatorKind.GATHER, [x, table], net.activation("y", form, 1, numbers, width), **_clamp(rng, form))
    return [x]


def _normalize(rng: np.random.Generator, net: ModelBuilder) -> list[int]:
    """Over the channels, most often, else over a map: all of it, in groups, or of each channel."""
    pixels, channels = _size(rng, 1, 128), int(rng.choice(_CHANNELS[2:]))
    over_map = rng.random() < 0.5
    groups = int(rng.choice([size for size in (1, 2, 4, channels) if channels % size == 0])) if over_map else 1
    x = net.activation("x", _input(rng, wide=0.3), 1, pixels, channels)
    epsilon = net.constant("epsilon", "FIXED16_24", 1, data=np.array([16777]))
    form = str(rng.choice(["FIXED8_5", "FIXED16_11"], p=[0.7, 0.3]))
    attributes = {"window": (1, pixels if over_map else 1), "groups": groups, "centered": int(rng.random() < 0.8)}
    net.operator(OperatorKind.NORMALIZE, [x, epsilon], net.activation("y", form, 1, pixels, channels), **attributes)
    return [x]
