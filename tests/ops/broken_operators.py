"""Models of one sound operator of each kind, changes that break each rule once, and operators of random nonsense."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.qformat import fixed
from networks import NetworkBuilder
from operator_cases.cases import CASES
from operator_cases.rules import q
from random_operators import OPERATORS, random_model


def valid(kind: str, buffers: str = "FIXED8_4", **attributes) -> Model:
    """A model of one operator without problems, with every optional input."""
    net = NetworkBuilder()
    output = CASES[OperatorKind(kind)].valid(net, buffers, **attributes)
    (operator,) = net.operators
    return net.build(tuple(index for index in operator.inputs if not net.tensors[index].is_constant), (output,))


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


ALL = tuple(OperatorKind)
NARROW = tuple(kind for kind in ALL if kind != "NORMALIZE")  # sound with 32 bits


def users(attribute: str) -> tuple[OperatorKind, ...]:
    return tuple(kind for kind in ALL if attribute in ops.TABLE[kind].attributes)


# Attributes in a Window: values that are not their default, and the kinds that use them.
WINDOW_ATTRIBUTES = {
    "window": (((1, 0), (0, 1), (65535, 65535)), users("window")),
    "strides": (((2, 1), (1, 2), (0, 1)), users("strides")),
    "dilations": (((2, 1), (1, 2), (1, 0)), users("dilations")),
    "padding": (((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 65535)), users("padding")),
    "groups": ((2, 0), users("groups")),
    "centered": ((1,), users("centered")),
    "zero": ((1, 65535), users("zero")),
}

ATTRIBUTES = [
    (ALL, {"clamp": (3, 2)}, "minimum must not exceed"),
    (ALL, {"clamp": (float("nan"), 2)}, "minimum must not exceed"),
    (ALL, {"clamp": (-129, 127)}, r"must lie in \[(-128, 127|0, 255)\]"),
    (ALL, {"clamp": (0, 256)}, r"must lie in \[(-128, 127|0, 255)\]"),
    (ALL, {"clamp": (0.5, 100)}, "two integers"),
    (NARROW, {"accumulator_bits": 0}, "accumulator_bits must be 32 or 64"),
    (NARROW, {"accumulator_bits": 16}, "accumulator_bits must be 32 or 64"),
    (tuple(set(ALL) - set(users("total_bits"))), {"total_bits": 32}, "total_bits must be 0: this kind of operator"),
    *(
        (tuple(set(ALL) - set(using)), {name: value}, f"{name} must be .*this kind of operator does not use it")
        for name, (values, using) in WINDOW_ATTRIBUTES.items()
        for value in values
    ),
    (tuple(set(ALL) - set(users("function"))), {"function": np.tanh}, "function must be None"),
    (ALL, {"outputs": ()}, "must write exactly one"),
    (ALL, {"outputs": (0, 0)}, "must write exactly one"),
    (ALL, {"inputs": ()}, r"must have \d ((or|to) \d )?inputs"),
    (ALL, {"inputs": (0,) * 6}, r"must have \d ((or|to) \d )?inputs"),
    *((((kind,), *broken)) for kind, case in CASES.items() for broken in getattr(case, "BROKEN_ATTRIBUTES", ())),
]

TENSORS = [(str(kind), *broken) for kind, case in CASES.items() for broken in case.BROKEN]

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
            {"centered": pair[1]},
            {"zero": pair[1]},
            {"clamp": (float(pair[0]), float("nan"))},
            {"accumulator_bits": pair[0], "total_bits": 64},
        ][rng.integers(12)]
        operator = operator.replace(**change)
    return Model(tuple(tensors), (operator,), (), ())
