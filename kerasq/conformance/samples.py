"""Small hand-made models that use every kind of operator and every storage: seeds for fuzzing, and examples for tests.

Each is a few hundred bytes to two kilobytes, and runs in a blink.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat
from kerasq.selftest import random_example, with_selftest
from kerasq.verification.plan import aligned, overlaps


class ModelBuilder:
    """Collects tensors and operators in order and places the activations.

    Example:

    >>> net = ModelBuilder()
    >>> x = net.activation("x", "FIXED8_4", 1, 8)
    >>> net.operator(OperatorKind.QUANTIZE, [x], net.activation("y", "FIXED8_2", 1, 8))
    >>> model = net.model(inputs=[x])
    """

    def __init__(self, seed: int = 0) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.random = np.random.default_rng(seed)

    def activation(self, name: str, format: str, *shape: int) -> int:
        """Adds an activation; returns its index."""
        self.tensors.append(Tensor(name, shape, QFormat.parse(format), offset=0))
        return len(self.tensors) - 1

    def constant(self, name: str, format: str, *shape: int, data: np.ndarray | None = None) -> int:
        """Adds a constant, random over its whole range unless `data` are given; returns its index."""
        parsed = QFormat.parse(format)
        if data is None:
            if parsed.is_sign:
                data = self.random.choice([-1, 1], shape)
            elif parsed.is_float:
                data = self.random.normal(size=shape)
            else:
                data = self.random.integers(parsed.min_int, parsed.max_int, shape, endpoint=True)
        self.tensors.append(Tensor(name, shape, parsed, np.asarray(data).astype(parsed.dtype)))
        return len(self.tensors) - 1

    def operator(self, kind: OperatorKind, inputs: Sequence[int] | Mapping[str, int], output: int, **attributes: object) -> int:
        """Adds an operator, whose inputs are as it lists them or by name; returns the index of the tensor it writes."""
        listed = ops.TABLE[kind].inputs(inputs) if isinstance(inputs, Mapping) else tuple(inputs)
        self.operators.append(Operator(kind, listed, (output,)).replace(**attributes))
        return output

    def model(
        self,
        inputs: list[int],
        outputs: list[int] | None = None,
        metadata: dict[str, str] | None = None,
        alignment: int = 16,
    ) -> Model:
        """The finished model; its output is what the last operator writes, unless given."""
        model = Model(
            tensors=tuple(self.tensors),
            operators=tuple(self.operators),
            inputs=tuple(inputs),
            outputs=tuple(outputs or self.operators[-1].outputs),
            arena_alignment=alignment,
            metadata=metadata or {},
        )
        operators = tuple(ops.with_widths(model, operator) for operator in model.operators)
        return place(dataclasses.replace(model, operators=operators))


def place(model: Model) -> Model:
    """The same model with every activation at the lowest free offset when it is first written (not the best plan).

    A RESHAPE works in place where it may; nothing else overlaps.
    """
    spans = model.lifetimes()
    offsets: dict[int, int] = {}
    for index in sorted(spans, key=lambda index: spans[index][0]):
        first, last = spans[index]
        if first >= 0 and model.operators[first].kind is OperatorKind.RESHAPE and overlaps(model, first, spans):
            offsets[index] = offsets[ops.operand_index(model.operators[first], "input")]
            continue
        alive = [other for other in offsets if spans[other][0] <= last and spans[other][1] >= first]
        offset = 0
        for other in sorted(alive, key=lambda other: offsets[other]):
            if offset + model.tensors[index].nbytes <= offsets[other]:
                break
            offset = max(offset, aligned(offsets[other] + model.tensors[other].nbytes, model.arena_alignment))
        offsets[index] = offset
    tensors = tuple(
        dataclasses.replace(tensor, offset=offsets[index]) if index in offsets else tensor
        for index, tensor in enumerate(model.tensors)
    )
    arena_bytes = max(offset + model.tensors[index].nbytes for index, offset in offsets.items())
    return dataclasses.replace(model, tensors=tensors, arena_bytes=aligned(arena_bytes, model.arena_alignment))


def binary_network() -> Model:
    """A residual network with SIGN and 4-bit kernels between 8-bit activations, up to the softmax."""
    net = ModelBuilder(seed=1)
    x = net.activation("image", "UFIXED8_8", 1, 6, 5, 3)
    conv = net.operator(
        OperatorKind.CONV_2D,
        {
            "input": x,
            "kernel": net.constant("conv/kernel", "SIGN", 5, 3, 3, 3),
            "multiplier": net.constant("conv/multiplier", "FIXED8_7", 5),
            "bias": net.constant("conv/bias", "FIXED16_12", 5),
        },
        net.activation("conv/output", "UFIXED8_4", 1, 6, 5, 5),
        padding=(1, 1, 1, 1),
        clamp=(0, 96),
    )
    pool = net.operator(
        OperatorKind.MAX_POOL_2D,
        [conv],
        net.activation("pool/output", "UFIXED8_4", 1, 3, 2, 5),
        window=(2, 2),
        strides=(2, 2),
    )
    depthwise = net.operator(
        OperatorKind.CONV_2D,
        {"input": pool, "kernel": net.constant("depthwise/kernel", "FIXED4_3", 5, 3, 3, 1)},
        net.activation("depthwise/output", "FIXED8_3", 1, 3, 2, 5),
        padding=(1, 1, 1, 1),
        groups=5,
    )
    total = net.operator(OperatorKind.ADD, [pool, depthwise], net.activation("add/output", "FIXED8_2", 1, 3, 2, 5))
    mean = net.operator(
        OperatorKind.AVERAGE_POOL_2D,
        [total],
        net.activation("mean/output", "FIXED8_2", 1, 1, 1, 5),
        window=(3, 2),
    )
    flat = net.operator(OperatorKind.RESHAPE, [mean], net.activation("flatten/output", "FIXED8_2", 1, 5))
    logits = net.operator(
        OperatorKind.DENSE,
        {"input": flat, "kernel": net.constant("dense/kernel", "SIGN", 3, 5), "bias": net.constant("dense/bias", "FIXED8_2", 3)},
        net.activation("dense/output", "FIXED8_2", 1, 3),
    )
    net.operator(
        OperatorKind.SOFTMAX,
        [logits, net.constant("softmax/table", "UFIXED16_15", 256, data=exponentials(QFormat.parse("FIXED8_2")))],
        net.activation("probabilities", "UFIXED8_8", 1, 3),
    )
    return net.model([x], metadata={"producer": "kerasq samples", "network": "binär"})


def float_network() -> Model:
    """FLOAT32 activations over constants of every storage, with two inputs and two outputs."""
    net = ModelBuilder(seed=2)
    x, bypass = net.activation("x", "FLOAT32", 1, 4, 4, 2), net.activation("bypass", "FIXED16_10", 1, 6)
    conv = net.operator(
        OperatorKind.CONV_2D,
        {
            "input": x,
            "kernel": net.constant("conv/kernel", "FIXED8_12", 3, 2, 2, 2),
            "bias": net.constant("conv/bias", "FLOAT32", 3),
        },
        net.activation("conv/output", "FLOAT32", 1, 2, 2, 3),
        strides=(2, 2),
        clamp=(0.0, float("inf")),
    )
    flat = net.operator(OperatorKind.RESHAPE, [conv], net.activation("flatten/output", "FLOAT32", 1, 12))
    dense = net.operator(
        OperatorKind.DENSE,
        {
            "input": flat,
            "kernel": net.constant("dense/kernel", "SIGN", 6, 12),
            "multiplier": net.constant("dense/multiplier", "FLOAT32", 6),
        },
        net.activation("dense/output", "FIXED8_3", 1, 6),
        clamp=(-100, 100),
    )
    back = net.operator(OperatorKind.QUANTIZE, [dense], net.activation("back/output", "FLOAT32", 1, 6))
    total = net.operator(OperatorKind.ADD, [back, bypass], net.activation("add/output", "FLOAT32", 1, 6))
    net.operator(OperatorKind.SOFTMAX, {"input": total}, net.activation("probabilities", "FLOAT32", 1, 6))
    return net.model([x, bypass], outputs=[len(net.tensors) - 1, dense])


def wide_network() -> Model:
    """16-bit activations, a dilated convolution, 64-bit totals, negative fractional bits."""
    net = ModelBuilder(seed=3)
    x = net.activation("x", "FIXED16_-2", 1, 5, 5, 1)
    conv = net.operator(
        OperatorKind.CONV_2D,
        {
            "input": x,
            "kernel": net.constant("conv/kernel", "FIXED16_14", 2, 3, 3, 1),
            "multiplier": net.constant("conv/multiplier", "FIXED16_15", 2),
            "bias": net.constant("conv/bias", "FIXED32_0", 2),
        },
        net.activation("conv/output", "UFIXED16_3", 1, 3, 3, 2),
        dilations=(2, 2),
        padding=(1, 1, 1, 1),
    )
    total = net.operator(
        OperatorKind.ADD,
        [conv, net.operator(OperatorKind.QUANTIZE, [conv], net.activation("copy/output", "FIXED16_-1", 1, 3, 3, 2))],
        net.activation("add/output", "FIXED16_2", 1, 3, 3, 2),
    )
    net.operator(
        OperatorKind.AVERAGE_POOL_2D,
        [total],
        net.activation("mean/output", "FIXED8_-3", 1, 1, 1, 2),
        window=(3, 3),
    )
    return net.model([x])


def tested_network() -> Model:
    """Three operators and a test vector for them, for an arena of the smallest alignment."""
    net = ModelBuilder(seed=4)
    x = net.activation("x", "FIXED8_3", 1, 3, 3, 2)
    pool = net.operator(
        OperatorKind.MAX_POOL_2D,
        [x],
        net.activation("pool/output", "FIXED8_3", 1, 2, 2, 2),
        window=(2, 2),
        clamp=(0, 127),
    )
    flat = net.operator(OperatorKind.RESHAPE, [pool], net.activation("flatten/output", "FIXED8_3", 1, 8))
    net.operator(
        OperatorKind.DENSE,
        {"input": flat, "kernel": net.constant("dense/kernel", "SIGN", 3, 8), "bias": net.constant("dense/bias", "FIXED8_1", 3)},
        net.activation("scores", "FIXED16_2", 1, 3),
    )
    model = net.model([x], alignment=4)
    return with_selftest(model, random_example(model))


def overlapped_network() -> Model:
    """A convolution with an addend, in whose place its output lies; a pooling and a convolution that overlap their inputs."""
    net = ModelBuilder(seed=6)
    x = net.activation("x", "FIXED8_4", 1, 4, 4, 4)
    first = net.operator(
        OperatorKind.CONV_2D,
        {"input": x, "kernel": net.constant("first/kernel", "FIXED4_3", 4, 3, 3, 4)},
        net.activation("first/output", "UFIXED8_5", 1, 4, 4, 4),
        padding=(1, 1, 1, 1),
    )
    total = net.operator(
        OperatorKind.CONV_2D,
        {
            "input": first,
            "kernel": net.constant("second/kernel", "SIGN", 4, 1, 1, 4),
            "bias": net.constant("second/bias", "FIXED8_2", 4),
            "addend": x,
        },
        net.activation("second/output", "FIXED8_1", 1, 4, 4, 4),
        clamp=(0, 127),
    )
    pool = net.operator(
        OperatorKind.MAX_POOL_2D,
        [total],
        net.activation("pool/output", "FIXED8_1", 1, 2, 2, 4),
        window=(2, 2),
        strides=(2, 2),
    )
    net.operator(
        OperatorKind.CONV_2D,
        {"input": pool, "kernel": net.constant("third/kernel", "SIGN", 2, 2, 2, 4)},
        net.activation("third/output", "FIXED16_1", 1, 1, 1, 2),
    )
    # x and all that follow begin where it does, but for the last, which begins a pixel lower; the first convolution lies behind.
    offsets = {x: 4, first: 68, total: 4, pool: 4, net.operators[-1].outputs[0]: 0}
    model = net.model([x], alignment=4)
    tensors = tuple(dataclasses.replace(t, offset=offsets.get(index, t.offset)) for index, t in enumerate(model.tensors))
    return dataclasses.replace(model, tensors=tensors, arena_bytes=132)


def gated_network() -> Model:
    """A table, a product by channel, inputs side by side, depth to space: what came with version 2."""
    net = ModelBuilder(seed=7)
    x, gate = net.activation("x", "FIXED8_4", 1, 2, 3, 4), net.activation("gate", "UFIXED16_15", 1, 4)
    curved = net.operator(
        OperatorKind.LOOKUP,
        [x, net.constant("curve/table", "FIXED8_6", 256)],
        net.activation("curve/output", "FIXED8_6", 1, 2, 3, 4),
    )
    product = net.operator(
        OperatorKind.MUL, [curved, gate], net.activation("mul/output", "FIXED16_9", 1, 2, 3, 4), clamp=(0, 999)
    )
    both = net.operator(OperatorKind.CONCAT, [product, x, curved], net.activation("concat/output", "FIXED16_8", 1, 2, 3, 12))
    large = net.operator(
        OperatorKind.TRANSPOSE, [both], net.activation("large/output", "FIXED16_8", 1, 4, 6, 3), window=(3, 2), groups=6
    )
    net.operator(
        OperatorKind.LOOKUP,
        [large, net.constant("smooth/table", "UFIXED8_8", 513)],
        net.activation("smooth/output", "UFIXED8_8", 1, 4, 6, 3),
    )
    return net.model([x, gate])


def labelled_network() -> Model:
    """Rows of tables, and the class of each: what came with version 5."""
    net = ModelBuilder(seed=11)
    numbers = net.activation("numbers", "UFIXED8_0", 1, 3)
    first = net.operator(
        OperatorKind.GATHER,
        [numbers, net.constant("first/table", "FIXED8_5", 5, 4)],
        net.activation("first/output", "FIXED8_5", 1, 3, 4),
    )
    second = net.operator(
        OperatorKind.GATHER,
        [numbers, net.constant("second/table", "FIXED4_2", 7, 4)],
        net.activation("second/output", "FIXED8_3", 1, 3, 4),
        clamp=(-40, 50),
    )
    total = net.operator(OperatorKind.ADD, [first, second], net.activation("total/output", "FIXED8_3", 1, 3, 4))
    net.operator(OperatorKind.ARGMAX, [total], net.activation("classes/output", "UFIXED8_0", 1, 3))
    return net.model([numbers])


def named_network() -> Model:
    """Two inputs and two outputs that have other names than their tensors."""
    net = ModelBuilder(seed=8)
    left, right = net.activation("left", "FIXED8_4", 1, 4), net.activation("right", "FIXED8_5", 1, 4)
    total = net.operator(OperatorKind.ADD, [left, right], net.activation("total/output", "FIXED8_3", 1, 4))
    wide = net.operator(OperatorKind.QUANTIZE, [total], net.activation("wide/output", "FIXED16_8", 1, 4))
    model = net.model([left, right], outputs=[wide, total])
    return dataclasses.replace(model, input_names=("links", "rechts"), output_names=("größe", "sum"))


def narrow_network() -> Model:
    """Kernels of 2 bits, whose rows begin anywhere in a byte: what came with version 4."""
    net = ModelBuilder(seed=9)
    x = net.activation("x", "UFIXED8_4", 1, 5, 4, 3)
    conv = net.operator(
        OperatorKind.CONV_2D,
        {
            "input": x,
            "kernel": net.constant("conv/kernel", "FIXED2_0", 5, 3, 2, 3),
            "multiplier": net.constant("conv/multiplier", "FIXED16_14", 5),
        },
        net.activation("conv/output", "FIXED8_2", 1, 5, 4, 5),
        padding=(1, 1, 0, 1),
    )
    apart = net.operator(
        OperatorKind.CONV_2D,
        {"input": conv, "kernel": net.constant("depthwise/kernel", "FIXED2_1", 5, 3, 3, 1)},
        net.activation("depthwise/output", "FIXED16_3", 1, 2, 1, 5),
        strides=(2, 2),
        groups=5,
    )
    net.operator(
        OperatorKind.DENSE,
        {"input": apart, "kernel": net.constant("dense/kernel", "FIXED2_-1", 3, 10)},
        net.activation("dense/output", "FIXED16_1", 1, 3),
    )
    return net.model([x])


def normalized_network() -> Model:
    """Channels, groups of them and whole maps normalized, with and without their mean: what came with version 5."""
    net = ModelBuilder(seed=10)
    x = net.activation("x", "FIXED8_4", 1, 3, 4, 6)
    epsilon = net.constant("epsilon", "FIXED16_24", 1, data=np.array([16777]))
    by_pixel = net.operator(
        OperatorKind.NORMALIZE, [x, epsilon], net.activation("layer/output", "FIXED8_5", 1, 3, 4, 6), window=(1, 1), centered=1
    )
    by_group = net.operator(
        OperatorKind.NORMALIZE,
        [by_pixel, epsilon],
        net.activation("group/output", "UFIXED16_12", 1, 3, 4, 6),
        window=(3, 4),
        groups=2,
        centered=1,
        clamp=(0, 9999),
    )
    net.operator(
        OperatorKind.NORMALIZE, [by_group, epsilon], net.activation("square/output", "FIXED16_10", 1, 3, 4, 6), window=(1, 4)
    )
    return net.model([x])


def offset_network() -> Model:
    """Zeros that are not stored as 0, of padding and of a product: what came with version 6."""
    net = ModelBuilder(seed=11)
    x = net.activation("x", "UFIXED8_5", 1, 6, 5, 8)
    apart = net.operator(
        OperatorKind.CONV_2D,
        {"input": x, "kernel": net.constant("depthwise/kernel", "FIXED8_7", 8, 3, 3, 1)},
        net.activation("depthwise/output", "UFIXED8_4", 1, 6, 5, 8),
        padding=(1, 1, 1, 1),
        groups=8,
        zero=9,
    )
    gate = net.operator(
        OperatorKind.AVERAGE_POOL_2D, [apart], net.activation("pool/output", "UFIXED8_4", 1, 1, 1, 8), window=(6, 5)
    )
    gated = net.operator(OperatorKind.MUL, [apart, gate], net.activation("mul/output", "UFIXED16_9", 1, 6, 5, 8), zero=200)
    net.operator(
        OperatorKind.CONV_2D,
        {"input": gated, "kernel": net.constant("conv/kernel", "FIXED8_7", 3, 3, 3, 8)},
        net.activation("conv/output", "FIXED16_9", 1, 3, 2, 3),
        strides=(2, 2),
        padding=(1, 0, 0, 1),
        zero=40000,
    )
    return net.model([x])


SAMPLES = {
    "binary": binary_network,
    "float": float_network,
    "wide": wide_network,
    "tested": tested_network,
    "overlapped": overlapped_network,
    "gated": gated_network,
    "named": named_network,
    "narrow": narrow_network,
    "labelled": labelled_network,
    "normalized": normalized_network,
    "offset": offset_network,
}
