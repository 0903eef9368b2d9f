"""Models of one sound operator of each kind, changes that break each rule once, and operators of random nonsense."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat, fixed
from networks import NetworkBuilder
from random_operators import OPERATORS, random_model


def valid(kind: str, buffers: str = "FIXED8_4", **attributes) -> Model:
    """A model of one operator without problems, with every optional input."""
    net = NetworkBuilder()
    inputs: tuple[int, ...]
    shape: tuple[int, ...] | None = None
    if kind == "CONV_2D":
        kernel = net.constant("kernel", np.ones((4, 3, 2, 1)), "FIXED8_3")
        vectors = net.constant("multiplier", np.ones(4), "FIXED16_2"), net.constant("bias", np.ones(4), "FIXED32_7")
        addend = net.activation("addend", (1, 7, 5, 4), "FIXED8_5")
        inputs = (net.activation("x", (1, 6, 5, 2), buffers), kernel, *vectors, addend)
        attributes = {"groups": 2, "padding": (1, 2, 1, 0), **attributes}
    elif kind == "DENSE":
        kernel = net.constant("kernel", np.ones((4, 60)), "SIGN")
        vectors = net.constant("multiplier", np.ones(4), "FIXED16_2"), net.constant("bias", np.ones(4), "FIXED32_4")
        inputs = (net.activation("x", (1, 6, 5, 2), buffers), kernel, *vectors)
    elif kind == "ADD":
        inputs = (net.activation("x", (1, 6, 5, 2), buffers), net.activation("y", (1, 6, 5, 2), buffers))
    elif kind == "SOFTMAX":
        inputs = (
            net.activation("x", (1, 10), buffers),
            net.constant("table", exponentials(QFormat.parse(buffers)), "UFIXED16_15"),
        )
    elif kind == "MUL":
        inputs = (net.activation("x", (1, 6, 5, 2), buffers), net.activation("y", (1, 1, 1, 2), buffers))
    elif kind == "CONCAT":
        inputs = tuple(net.activation(name, (1, 6, 5, 2), buffers) for name in ("x", "y", "z"))
    elif kind == "LOOKUP":
        table = net.constant("table", np.arange(256 if "8_" in buffers else 513) % 100, buffers)
        inputs = (net.activation("x", (1, 6, 5, 2), buffers), table)
    else:
        inputs = (net.activation("x", (1, 6, 5, 2), buffers),)
        if "POOL" in kind:
            attributes = {"window": (3, 2), "strides": (2, 1), "padding": (1, 2, 1, 0), **attributes}
        if kind == "TRANSPOSE":
            attributes = {"window": (5, 3), "groups": 2, **attributes}
        shape = (1, 60) if kind in ("RESHAPE", "TRANSPOSE") else None
    output = net.apply(kind, inputs, buffers, "layer/output", shape, **attributes)
    return net.build(tuple(index for index in inputs if index >= 0 and not net.tensors[index].is_constant), (output,))


def changed(model: Model, **changes) -> Model:
    """The model with other attributes of its operator."""
    return dataclasses.replace(model, operators=(model.operators[0].replace(**changes),))


def with_tensor(model: Model, name: str, **changes) -> Model:
    """The model with another tensor called `name`; another shape or format brings fitting data of ones."""
    (index,) = (i for i, tensor in enumerate(model.tensors) if tensor.name == name)
    tensor = dataclasses.replace(model.tensors[index], **changes)
    if tensor.is_constant and "data" not in changes:
        tensor = dataclasses.replace(tensor, data=np.ones(tensor.shape, tensor.format.dtype))
    return dataclasses.replace(model, tensors=(*model.tensors[:index], tensor, *model.tensors[index + 1 :]))


def q(text: str) -> QFormat:
    return QFormat.parse(text)


WINDOWED = ("CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")
ALL = tuple(OperatorKind)

# Attributes in a Window: values that are not their default, and the kinds that use them.
WINDOW_ATTRIBUTES = {
    "window": (((1, 0), (0, 1), (65535, 65535)), ("MAX_POOL_2D", "AVERAGE_POOL_2D", "TRANSPOSE")),
    "strides": (((2, 1), (1, 2), (0, 1)), WINDOWED),
    "dilations": (((2, 1), (1, 2), (1, 0)), ("CONV_2D",)),
    "padding": (((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 65535)), WINDOWED),
    "groups": ((2, 0), ("CONV_2D", "TRANSPOSE")),
}

ATTRIBUTES = [
    (ALL, {"clamp": (3, 2)}, "minimum must not exceed"),
    (ALL, {"clamp": (float("nan"), 2)}, "minimum must not exceed"),
    (ALL, {"clamp": (-129, 127)}, r"must lie in \[-128, 127\]"),
    (ALL, {"clamp": (0, 128)}, r"must lie in \[-128, 127\]"),
    (ALL, {"clamp": (0.5, 100)}, "two integers"),
    (ALL, {"accumulator_bits": 0}, "accumulator_bits must be 32 or 64"),
    (ALL, {"accumulator_bits": 16}, "accumulator_bits must be 32 or 64"),
    (("CONV_2D", "DENSE"), {"total_bits": 0}, "total_bits must be 32 or 64"),
    (tuple(set(ALL) - {"CONV_2D", "DENSE"}), {"total_bits": 32}, "total_bits must be 0: this kind of operator"),
    (WINDOWED, {"strides": (0, 1)}, "strides must be at least 1"),
    (WINDOWED, {"strides": (1, -1)}, "strides must be at least 1"),
    (("CONV_2D",), {"dilations": (1, 0)}, "dilations must be at least 1"),
    (("MAX_POOL_2D", "AVERAGE_POOL_2D"), {"window": (0, 2)}, "size must be at least 1"),
    (WINDOWED, {"padding": (3, 0, 0, 0)}, "padding must be smaller"),
    (WINDOWED, {"padding": (0, 3, 0, 0)}, "padding must be smaller"),
    (WINDOWED, {"padding": (0, 0, 2, 0)}, "padding must be smaller"),
    (WINDOWED, {"padding": (0, 0, 0, 2)}, "padding must be smaller"),
    (WINDOWED, {"padding": (-1, 0, 0, 0)}, "padding must be smaller"),
    (WINDOWED, {"padding": (1, 1, 1, 0)}, "output must have shape"),
    (WINDOWED, {"strides": (1, 2)}, "output must have shape"),
    (("CONV_2D",), {"dilations": (4, 1)}, "output must have shape"),
    (("CONV_2D",), {"dilations": (8, 1)}, "larger than the padded input"),
    (("MAX_POOL_2D", "AVERAGE_POOL_2D"), {"window": (10, 2)}, "larger than the padded input"),
    (("AVERAGE_POOL_2D",), {"window": (65535, 65535)}, "at most 16777216 taps"),
    (("MAX_POOL_2D", "AVERAGE_POOL_2D"), {"window": (3, 65536)}, "at most 65535 high and wide"),
    (("CONV_2D",), {"groups": 0}, "groups must divide"),
    (("CONV_2D",), {"groups": 3}, "groups must divide"),
    (("CONV_2D",), {"groups": 1}, "kernel must have 2 input channels"),
    (("TRANSPOSE",), {"window": (0, 3)}, "must be at least 1"),
    (("TRANSPOSE",), {"groups": 0}, "must be at least 1"),
    (("TRANSPOSE",), {"groups": 7}, "divide the 60 elements"),
    (("TRANSPOSE",), {"window": (2**16, 2**16)}, "divide the 60 elements"),
    *(
        (tuple(set(ALL) - set(users)), {name: value}, f"{name} must be .*this kind of operator does not use it")
        for name, (values, users) in WINDOW_ATTRIBUTES.items()
        for value in values
    ),
    (tuple(set(ALL) - {"LOOKUP"}), {"function": np.tanh}, "function must be None"),
    (ALL, {"outputs": ()}, "must write exactly one"),
    (ALL, {"outputs": (0, 0)}, "must write exactly one"),
    (ALL, {"inputs": ()}, r"must have \d ((or|to) \d )?inputs"),
    (ALL, {"inputs": (0,) * 6}, r"must have \d ((or|to) \d )?inputs"),
]

TENSORS = [
    ("CONV_2D", "x", {"shape": (1, 60)}, "must have 4 axes"),
    ("CONV_2D", "kernel", {"shape": (4, 6)}, "must have 4 axes"),
    ("CONV_2D", "kernel", {"shape": (4, 3, 2, 2)}, "kernel must have 1 input channels"),
    ("CONV_2D", "kernel", {"shape": (3, 3, 2, 1)}, "groups must divide"),
    ("CONV_2D", "kernel", {"shape": (4, 65536, 1, 1)}, "at most 65535 high and wide"),
    ("CONV_2D", "multiplier", {"shape": (3,)}, "multiplier must have one value per output channel"),
    ("CONV_2D", "bias", {"shape": (1, 4)}, "bias must have one value per output channel"),
    ("CONV_2D", "bias", {"format": q("FIXED32_10")}, "bias must have at most as many fractional bits"),
    ("CONV_2D", "addend", {"shape": (1, 5, 7, 4)}, r"addend must have the output's shape, \(1, 7, 5, 4\)"),
    ("CONV_2D", "addend", {"format": q("FIXED8_14")}, "addend must have at most as many fractional bits"),
    ("CONV_2D", "addend", {"format": q("FIXED16_-32")}, "total_bits must be 64"),
    ("CONV_2D", "addend", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
    ("CONV_2D", "kernel", {"format": q("UFIXED8_3")}, "kernel must be one of"),
    ("CONV_2D", "kernel", {"format": q("FIXED32_3")}, "kernel must be one of"),
    ("CONV_2D", "multiplier", {"format": q("SIGN")}, "multiplier must be one of"),
    ("CONV_2D", "bias", {"format": q("UFIXED16_3")}, "bias must be one of"),
    ("CONV_2D", "bias", {"data": None}, "bias must be a constant"),
    ("CONV_2D", "kernel", {"data": None}, "kernel must be a constant"),
    ("CONV_2D", "x", {"data": np.ones((1, 6, 5, 2), np.int8)}, "input must be an activation"),
    ("CONV_2D", "layer/output", {"data": np.ones((1, 7, 5, 4), np.int8)}, "output is a constant"),
    ("CONV_2D", "x", {"format": q("FIXED4_1")}, "input must be one of"),
    ("CONV_2D", "x", {"format": q("SIGN")}, "input must be one of"),
    ("CONV_2D", "x", {"format": q("FIXED8")}, "fractional bits is missing"),
    ("CONV_2D", "layer/output", {"format": q("FIXED32_4")}, "output must be one of"),
    ("CONV_2D", "layer/output", {"shape": (2, 7, 5, 4)}, "batch axis"),
    ("CONV_2D", "layer/output", {"shape": (1, 7, 5, 3)}, "must have .*shape"),
    ("CONV_2D", "layer/output", {"shape": (1, 7, 0, 4)}, "at least 1"),
    ("CONV_2D", "x", {"shape": ()}, "at least 1"),
    ("CONV_2D", "x", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
    ("DENSE", "kernel", {"shape": (60,)}, "kernel must have 2 axes"),
    ("DENSE", "kernel", {"shape": (4, 59)}, "kernel must have 60 inputs"),
    ("DENSE", "bias", {"format": q("FIXED32_7")}, "bias must have at most as many fractional bits"),
    ("DENSE", "layer/output", {"shape": (1, 1, 4)}, "output must have shape"),
    ("ADD", "y", {"shape": (1, 6, 5, 1)}, "must have the same shape"),
    ("ADD", "y", {"format": q("FIXED8_37")}, "differ by at most 32"),
    ("ADD", "layer/output", {"shape": (1, 60)}, "output must have shape"),
    ("MAX_POOL_2D", "layer/output", {"format": q("FIXED8_3")}, "input's format"),
    ("MAX_POOL_2D", "x", {"shape": (1, 30, 2)}, "must have 4 axes"),
    ("AVERAGE_POOL_2D", "layer/output", {"format": q("FIXED8_29")}, "differ by at most 24"),
    ("AVERAGE_POOL_2D", "layer/output", {"format": q("FIXED8_-21")}, "differ by at most 24"),
    ("MUL", "y", {"shape": (1, 6, 5, 1)}, "one value for each channel"),
    ("MUL", "y", {"shape": (1, 1, 2, 2)}, "one value for each channel"),
    ("MUL", "layer/output", {"shape": (1, 60)}, "output must have shape"),
    ("MUL", "x", {"format": q("FLOAT32")}, "records accumulator_bits=0"),
    ("CONCAT", "y", {"shape": (1, 6, 4, 2)}, "differ in the last axis only"),
    ("CONCAT", "y", {"shape": (1, 30, 2)}, "differ in the last axis only"),
    ("CONCAT", "z", {"shape": (1, 6, 5, 3)}, "output must have shape"),
    ("CONCAT", "z", {"format": q("FIXED16_63")}, "accumulator_bits must be 64"),
    ("TRANSPOSE", "layer/output", {"format": q("UFIXED8_4")}, "input's format"),
    ("TRANSPOSE", "layer/output", {"shape": (1, 59)}, "must have 60 elements"),
    ("TRANSPOSE", "x", {"shape": (1, 6, 5, 1)}, "must have 30 elements"),
    ("TRANSPOSE", "x", {"shape": (1, 6, 5, 3)}, "must have 90 elements"),
    ("TRANSPOSE", "x", {"shape": (1, 6, 7, 2)}, "divide the 84 elements"),
    ("LOOKUP", "x", {"format": q("FLOAT32")}, "input must be fixed"),
    ("LOOKUP", "x", {"format": q("FIXED16_4")}, r"must have shape \(513,\)"),
    ("LOOKUP", "table", {"shape": (255,)}, r"must have shape \(256,\)"),
    ("LOOKUP", "table", {"format": q("FIXED8_3")}, "table must have the output's format"),
    ("LOOKUP", "table", {"format": q("SIGN")}, "table must be one of"),
    ("LOOKUP", "layer/output", {"format": q("FLOAT32")}, "table must have the output's format"),
    ("LOOKUP", "layer/output", {"shape": (1, 60)}, "output must have shape"),
    ("RESHAPE", "layer/output", {"format": q("UFIXED8_4")}, "input's format"),
    ("RESHAPE", "layer/output", {"shape": (1, 59)}, "must have 60 elements"),
    ("QUANTIZE", "layer/output", {"shape": (1, 6, 10)}, "output must have shape"),
    ("QUANTIZE", "x", {"format": q("FIXED8_63")}, None),
    ("SOFTMAX", "x", {"shape": (1,)}, "axis after the batch axis"),
    ("SOFTMAX", "x", {"format": q("FLOAT32")}, "input and output must be fixed"),
    ("SOFTMAX", "layer/output", {"format": q("FLOAT32")}, "input and output must be fixed"),
    ("SOFTMAX", "layer/output", {"format": q("FIXED16_17")}, "0 to 16 fractional bits"),
    ("SOFTMAX", "layer/output", {"format": q("FIXED8_-1")}, "0 to 16 fractional bits"),
    ("SOFTMAX", "x", {"format": q("FIXED16_8")}, r"must have shape \(512,\)"),
    ("SOFTMAX", "table", {"shape": (255,)}, r"must have shape \(256,\)"),
    ("SOFTMAX", "table", {"format": q("UFIXED16_14")}, "table must be UFIXED16_15"),
    ("SOFTMAX", "table", {"data": np.zeros(256, np.uint16)}, "must begin with it"),
    ("SOFTMAX", "table", {"data": np.full(256, 32769, np.uint16)}, "must not exceed 32768"),
    ("SOFTMAX", "x", {"shape": (1, 65537)}, "at most 65536 classes"),
]

FORMATS = [
    *(fixed(bits, n, signed) for bits in (4, 8, 16) for n in (-32, 0, 7, 63, None) for signed in (False, True)),
    *(fixed(32, n) for n in (-32, 5, 63)),
    q("SIGN"),
    q("FLOAT32"),
]
SIZES = [1, 1, 1, 2, 3, 5, 8, 0, 100_000, 2**31]


def nonsense(rng: np.random.Generator) -> Model:
    """Any operator with any attributes over any tensors, half of the time a sound one with a few changes."""
    if rng.random() < 0.7:
        model = random_model(str(rng.choice(list(OPERATORS))), int(rng.integers(1000)))
        tensors, operator = list(model.tensors), model.operators[0]
    else:
        tensors, operator = [Tensor("y", (1, 2), q("FLOAT32"), offset=0)], Operator(OperatorKind.ADD, (0, 0), (0,))
    for _ in range(rng.integers(1, 4)):
        shape = tuple(int(size) for size in rng.choice(SIZES, rng.integers(0, 6)))
        form = FORMATS[rng.integers(len(FORMATS))]
        data = None
        if rng.random() < 0.5 and math.prod(max(size, 1) for size in shape) < 1000:
            data = rng.integers(min(form.min_int, 0), max(form.max_int, 1), shape, endpoint=True).astype(form.dtype)
        tensor = Tensor("z", shape, form, data, None if data is not None else 0)
        if rng.random() < 0.5:
            tensors.append(tensor)
        else:
            tensors[rng.integers(len(tensors))] = tensor
    for _ in range(rng.integers(0, 3)):
        pair, four = rng.integers(-2, 6, 2).tolist(), rng.integers(-2, 4, 4).tolist()
        huge = rng.choice([65535, 2**31, 2**70], 2).tolist()
        change = [
            {"kind": OperatorKind(rng.choice(list(OperatorKind)))},
            {"inputs": tuple(rng.integers(-1, len(tensors), rng.integers(0, 6)).tolist())},
            {"outputs": tuple(rng.integers(0, len(tensors), rng.integers(0, 3)).tolist())},
            {"strides": tuple(pair)},
            {"dilations": tuple(rng.permutation(huge).tolist())},
            {"padding": tuple(four)},
            {"window": tuple(huge)},
            {"groups": pair[0]},
            {"clamp": (float(pair[0]), float("nan"))},
            {"accumulator_bits": pair[0], "total_bits": 64},
        ][rng.integers(10)]
        operator = operator.replace(**change)
    return Model(tuple(tensors), (operator,), (), ())
