"""Networks made by hand for tests and measurements: a small builder of models, and ResNet23 with random weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.qformat import QFormat


class NetworkBuilder:
    """Collects tensors and operators; every method returns the index of a tensor.

    Output shapes and accumulator widths are computed by `kerasq.ops`; activations are placed one behind the other.
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self._arena_bytes = 0

    def activation(self, name: str, shape: tuple[int, ...], form: str | QFormat) -> int:
        parsed = form if isinstance(form, QFormat) else QFormat.parse(form)
        tensor = Tensor(name, shape, parsed, offset=self._arena_bytes)
        self._arena_bytes += -(-tensor.nbytes // 16) * 16
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, name: str, stored: np.ndarray | None, form: str | QFormat | None) -> int:
        if stored is None or form is None:
            return ABSENT
        parsed = form if isinstance(form, QFormat) else QFormat.parse(form)
        self.tensors.append(Tensor(name, stored.shape, parsed, data=np.ascontiguousarray(stored, parsed.dtype)))
        return len(self.tensors) - 1

    def apply(
        self,
        kind: str,
        operands: tuple[int, ...] | Mapping[str, int],
        form: str | QFormat,
        name: str = "",
        shape: tuple[int, ...] | None = None,
        **attributes,
    ) -> int:
        """Appends an operator, its operands by name or as it lists them; returns its output, of a computed shape unless given."""
        inputs = ops.TABLE[OperatorKind(kind)].inputs(operands) if isinstance(operands, Mapping) else operands
        operator = Operator(OperatorKind(kind), inputs, (-1,), **attributes)
        shapes = [() if index == ABSENT else self.tensors[index].shape for index in inputs]
        output = self.activation(
            name or f"{kind.lower()}_{len(self.operators)}", shape or ops.output_shape(operator, shapes), form
        )
        operator = operator.replace(outputs=(output,))
        self.operators.append(ops.with_widths(self._model((), ()), operator))
        return output

    def _model(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Model:
        return Model(tuple(self.tensors), tuple(self.operators), inputs, outputs, self._arena_bytes)

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Model:
        """The finished model."""
        return self._model(inputs, outputs)


def random_stored(rng: np.random.Generator, form: QFormat, shape: tuple[int, ...], extremes: float = 0.2) -> np.ndarray:
    """Random stored values over the whole range of a format, a share of them at its ends."""
    if form.is_float:
        return rng.standard_normal(shape).astype(np.float32)
    if form.is_sign:
        return rng.choice(np.array([-1, 1], np.int8), shape)
    values = rng.integers(form.min_int, form.max_int, shape, endpoint=True)
    ends = rng.choice([form.min_int, form.max_int], shape)
    return np.where(rng.random(shape) < extremes, ends, values).astype(form.dtype)


def random_inputs(model: Model, seed: int, examples: int) -> list[np.ndarray]:
    """Random stored values for every input of a network, (examples, ...) each."""
    rng, tensors = np.random.default_rng(seed), map(model.tensors.__getitem__, model.inputs)
    return [random_stored(rng, tensor.format, (examples, *tensor.shape[1:])) for tensor in tensors]


def random_resnet23(kernels: str = "FIXED8", buffers: str = "FIXED8", seed: int = 0, maps: int = 64, size: int = 32) -> Model:
    """ResNet23 (`kerasq.models.resnet23`) with random weights, in formats that keep its activations alive.

    Args:
        kernels: `"FIXED8"`, or `"SIGN"` with a FIXED16 multiplier per channel.
        buffers: `"FIXED8"`, `"FIXED16"` or `"FLOAT32"`.
        seed: Of the weights.
        maps: Feature maps of the stem.
        size: Height and width of the images, a multiple of 8.
    """
    rng = np.random.default_rng(seed)
    net = NetworkBuilder()
    signed = {"FIXED8": "FIXED8_4", "FIXED16": "FIXED16_12", "FLOAT32": "FLOAT32"}[buffers]
    unsigned = {"FIXED8": "UFIXED8_5", "FIXED16": "UFIXED16_13", "FLOAT32": "FLOAT32"}[buffers]
    relu = {"FIXED8": (0, 255), "FIXED16": (0, 65535), "FLOAT32": (0.0, np.inf)}[buffers]

    def convolution(x: int, filters: int, window: int, name: str, activation: bool = True) -> int:
        inputs = net.tensors[x].shape[3]
        # He's standard deviation keeps the variance of the activations; pixels count 1 / 256 of their value.
        deviation = (2 / (window * window * inputs)) ** 0.5 / (256 if name == "conv1" else 1)
        shape = (filters, window, window, inputs)
        multiplier = ABSENT
        if kernels == "SIGN":
            kernel = net.constant(f"{name}/kernel", rng.choice([-1, 1], shape), "SIGN")
            scale = QFormat.parse("FIXED16_22" if name == "conv1" else "FIXED16_16")
            alpha = deviation * rng.uniform(0.8, 1.2, filters)
            multiplier = net.constant(f"{name}/multiplier", scale.quantize(alpha), scale)
        else:
            form = QFormat.parse("FIXED8_15" if name == "conv1" else "FIXED8_8")
            kernel = net.constant(f"{name}/kernel", form.quantize(rng.normal(0, deviation, shape)), form)
        bias_form = QFormat.parse("FIXED32_9")
        bias = net.constant(f"{name}/bias", bias_form.quantize(rng.normal(0, 0.1, filters)), bias_form)
        pad = window // 2
        return net.apply(
            "CONV_2D",
            (x, kernel, multiplier, bias),
            unsigned if activation else signed,
            f"{name}/output",
            padding=(pad, pad, pad, pad),
            clamp=relu if activation else None,
        )

    image = net.activation("image", (1, size, size, 3), "UFIXED8_0")
    x = convolution(image, maps, 3, "conv1")
    for index in range(2, 9):
        name = f"conv{index}"
        h = convolution(x, maps // 2, 1, f"{name}/conv1")
        h = convolution(h, maps // 2, 3, f"{name}/conv2")
        h = convolution(h, maps, 1, f"{name}/conv3", activation=False)
        x = net.apply("ADD", (h, x), unsigned, f"{name}/add", clamp=relu)
        if index in (3, 5, 7):
            x = net.apply("MAX_POOL_2D", (x,), unsigned, f"{name}/pool", window=(2, 2), strides=(2, 2))
    x = net.apply("AVERAGE_POOL_2D", (x,), unsigned, "average_pool", window=(size // 8, size // 8))
    x = net.apply("RESHAPE", (x,), unsigned, "flatten")
    form = QFormat.parse("FIXED8_8")
    kernel = net.constant("affine/kernel", form.quantize(rng.normal(0, maps**-0.5, (10, maps))), form)
    logits = net.apply("DENSE", (x, kernel, ABSENT, ABSENT), signed, "affine/output")
    return net.build((image,), (logits,))
