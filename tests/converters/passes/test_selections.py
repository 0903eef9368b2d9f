"""Slices, reversals, splits and gathers: what Keras computes, and for nothing where a kernel beside them can do it."""

import keras
import numpy as np
import pytest

import kerasq
from converters.same_results import conv, converted, network
from converters.zoo import L
from kerasq_convert import ConversionError

ops = keras.ops


def gated(x):
    """A gated linear unit: one half of the channels opens the other."""
    value, gate = ops.split(conv(8)(x), 2, axis=-1)
    return value * ops.sigmoid(gate)


def cross_stage(x):
    """Half of the channels pass a block by, as in CSPNet; the split comes after BatchNormalization and ReLU."""
    whole = L.ReLU()(L.BatchNormalization()(conv(8)(x)))
    kept, changed = ops.split(whole, 2, axis=-1)
    return L.Concatenate()([kept, conv(3)(changed)])


def overlapping(x):
    y = conv(6)(x)
    return [conv(2)(y[..., :5]), conv(2)(y[..., 3:])]


# Network, and the kinds of the operators that it takes.
CHANNELS = {
    "first": (lambda: network(lambda x: L.Conv2D(3, 1)(x[..., :2])), ["CONV_2D"]),
    "reversed": (lambda: network(lambda x: conv(3)(x[..., ::-1])), ["CONV_2D"]),
    "every second": (lambda: network(lambda x: conv(3)(x[..., 1::2])), ["CONV_2D"]),
    "gathered": (lambda: network(lambda x: conv(3)(ops.take(x, [3, 0, 0, -2], axis=-1))), ["CONV_2D"]),
    "reversed and centred": (
        lambda: network(lambda x: L.Conv2D(5, 3)(x[..., ::-1] - np.array([1, 2, 3, 4], np.float32))),
        ["CONV_2D"],
    ),
    "three of four, scaled": (lambda: network(lambda x: L.Conv2D(5, 3)(L.Rescaling(0.5, -1)(x[..., :3]))), ["CONV_2D"]),
    "reversed twice": (
        lambda: network(lambda x: conv(3)(L.MaxPooling2D(2)(x[..., ::-1])[..., ::-1])),
        ["MAX_POOL_2D", "CONV_2D"],
    ),
    "reversed before depthwise": (lambda: network(lambda x: conv(3)(L.DepthwiseConv2D(3)(x[..., ::-1]))), ["CONV_2D"] * 2),
    "of a pooled, padded kernel": (
        lambda: network(lambda x: L.MaxPooling2D(2)(L.ZeroPadding2D(1)(conv(6, activation="relu")(x)))[..., 1:4]),
        ["CONV_2D", "CONV_2D", "MAX_POOL_2D"],
    ),
    "gated": (lambda: network(gated), ["CONV_2D", "CONV_2D", "LOOKUP", "MUL"]),
    "cross stage": (lambda: network(cross_stage), ["CONV_2D"] * 3 + ["CONCAT"]),
    "parts shown": (lambda: network(lambda x: ops.split(conv(6)(x), [1, 3], axis=-1)), ["CONV_2D"] * 3),
    "of an input": (lambda: network(lambda x: [conv(2)(part) for part in ops.split(x, 2, axis=-1)]), ["CONV_2D"] * 2),
    "overlapping": (
        lambda: network(lambda x: (lambda y: [conv(2)(y[..., :5]), conv(2)(y[..., 3:])])(conv(6)(x))),
        ["CONV_2D"] * 3,
    ),
    "flattened": (lambda: network(lambda x: L.Dense(3)(L.Flatten()(x[..., ::-1]))), ["DENSE"]),
    "of features": (lambda: network(lambda x: L.Dense(3)(x[:, 2:7]), (12,)), ["DENSE"]),
    "of hidden features": (
        lambda: network(lambda x: L.Dense(3)(L.Dense(8, activation="tanh")(x)[:, ::2]), (12,)),
        ["DENSE", "LOOKUP", "DENSE"],
    ),
    "of a sequence": (lambda: network(lambda x: L.Conv1D(3, 3)(L.Conv1D(6, 3)(x)[..., ::2]), (12, 4)), ["CONV_2D"] * 2),
    "signs reversed": (lambda: network(lambda x: kerasq.layers.BinaryConnectConv2D(4, 3)(x[..., ::-1])), ["CONV_2D"]),
}
ALONE = {
    "rotated": lambda: network(lambda x: ops.roll(x, 1, axis=-1)),
    "rotated, many": lambda: network(lambda x: ops.roll(x, 5, axis=-1), (3, 3, 64)),
    "halves of many": lambda: network(lambda x: [conv(2)(part) for part in ops.split(ops.relu(x), 2, axis=-1)], (4, 4, 128)),
    "one channel": lambda: network(lambda x: ops.take(x, 2, axis=-1)),
    "scaled before padding": lambda: network(lambda x: conv(8)(L.Rescaling(0.5, -1)(x[..., 1:]))),
    "signs of a part": lambda: network(lambda x: kerasq.layers.BinaryConnectConv2D(4, 3)(x[..., :3])),
    "rows and columns": lambda: network(lambda x: x[:, ::2, 1::3]),
    "everything": lambda: network(lambda x: x[:, 1:7:2, ::-1, 1:3]),
    "one row": lambda: network(lambda x: ops.unstack(x, axis=1)[3]),
    "flipped": lambda: network(lambda x: conv(2)(ops.flip(x, axis=(1, 2)))),
    "rotated rows": lambda: network(lambda x: ops.roll(x, (1, 3), axis=(1, 2))),
    "backwards in time": lambda: network(lambda x: L.Conv1D(3, 3)(x[:, ::-1]), (12, 4)),
    "slower": lambda: network(lambda x: x[:, 2::3], (12, 4)),
    "stacked": lambda: network(lambda x: ops.stack([x, ops.relu(x)], axis=-1), (6, 5)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_kernel_takes_in_selected_channels(name):
    make, operators = CHANNELS[name]
    model = make()
    file = converted(model)
    assert [operator.kind for operator in file.operators if operator.kind != "RESHAPE"] == operators


@pytest.mark.parametrize("name", ALONE)
def test_what_no_kernel_takes_in(name):
    converted(ALONE[name]())


def test_parts_of_a_kernel_weigh_what_the_kernel_weighs():
    def bytes_of(function):
        return sum(tensor.nbytes for tensor in converted(network(function)).constants() if tensor.name.endswith("kernel"))

    assert bytes_of(lambda x: ops.split(conv(8)(x), 2, axis=-1)) == bytes_of(lambda x: conv(8)(x)) == 8 * 9 * 4


def test_halves_of_many_channels_take_no_square_kernels():
    """A 1x1 convolution for each half would have 128 x 64 weights."""
    file = converted(ALONE["halves of many"]())
    assert sum(tensor.nbytes for tensor in file.constants()) < 2 * 2 * 9 * 64 + 1000


def test_signs_stay_signs():
    for name in ("signs of a part", "signs reversed"):
        file = converted((ALONE[name] if name in ALONE else CHANNELS[name][0])())
        assert "SIGN" in {str(tensor.format) for tensor in file.constants()}


def test_what_is_selected_keeps_its_format():
    """A value that only changes its place is not rounded again."""
    file = converted(network(lambda x: [x[:, ::2], ops.roll(x, 1, axis=-1), x[..., :3]]))
    assert len({str(tensor.format) for tensor in file.activations()}) == 1


def test_places_that_depend_on_the_input_are_refused():
    with pytest.raises(ConversionError, match="not supported"):
        kerasq.convert(network(lambda x: ops.take(x, ops.cast(x[0], "int32"), axis=1), (5,)))
