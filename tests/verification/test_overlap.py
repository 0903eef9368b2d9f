"""The overlap rule against kernels that are followed byte by byte, and its limits by hand."""

import itertools
import math

import pytest

from kerasq import ops
from kerasq.conformance.samples import ModelBuilder
from kerasq.format import OperatorKind
from kerasq.ops.windows import Window
from kerasq.verification import overlap
from overlapped import distances
from random_operators import OVERLAPPING, random_model


def reads(model, operator, x, row, column, channel):
    """Bytes of the input that a value of the output needs: the first of the window's, which are all that matter."""
    value, channels = x.format.bits // 8, x.shape[3]
    spec = ops.TABLE[operator.kind]
    size, groups = spec.window(model, operator), operator.groups if "groups" in spec.attributes else channels
    window, outputs = Window.of(operator, size), model.output(operator).shape[3]
    of_group = channels // groups
    first = channel // (outputs // groups) * of_group
    for tap in itertools.product(range(size[0]), range(size[1])):
        y, z = (
            place * stride + step * dilation - before
            for place, stride, step, dilation, before in zip(
                (row, column), window.strides, tap, window.dilations, window.padding[::2], strict=True
            )
        )
        if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
            yield ((y * x.shape[2] + z) * channels + first) * value


def smallest_distance(model, index):
    """By how much the output must begin below the input for a kernel that goes value by value."""
    (operator,) = model.operators
    return max(smallest_for_slot(model, operator, slot) for slot, other in enumerate(operator.inputs) if other == index)


def smallest_for_slot(model, operator, slot):
    x, y = model.tensors[operator.inputs[slot]], model.output(operator)
    value = y.format.bits // 8
    if "strides" in ops.TABLE[operator.kind].attributes and slot == ops.TABLE[operator.kind].position("input"):
        places = list(itertools.product(*map(range, y.shape[1:])))
        needed = [min(reads(model, operator, x, *place), default=math.inf) for place in places]
    else:
        needed = [i * (x.format.bits // 8) for i in range(math.prod(y.shape))]
    smallest, later = 0, math.inf
    for i in reversed(range(len(needed))):  # after value i is written, the values behind it are still to be computed
        smallest = max(smallest, (i + 1) * value - later) if later < math.inf else smallest
        later = min(later, needed[i])
    return smallest


@pytest.mark.parametrize("kind", OVERLAPPING)
def test_nothing_is_overwritten_that_is_still_to_be_read(kind):
    slack, followed = [], 0
    for seed in range(150):
        model = random_model(kind, seed)
        for index, distance in distances(model).items():
            if math.prod(model.output(model.operators[0]).shape) > 3000:
                continue
            followed += 1
            smallest = smallest_distance(model, index)
            assert distance >= smallest, (kind, seed, index)
            slack.append(distance - smallest)
    print(f"{kind}: {followed} followed, largest slack {max(slack)} bytes")
    assert followed > 50
    assert slack.count(0) > 0


def convolution(size, channels, outputs, window, **attributes):
    net = ModelBuilder()
    x = net.activation("x", "FIXED8_4", 1, *size, channels)
    groups = attributes.get("groups", 1)
    kernel = net.constant("kernel", "SIGN", outputs, window, window, channels // groups)
    pad = window // 2
    attributes = {"padding": (pad, pad, pad, pad)} | attributes
    rows, columns = Window((window, window), attributes.get("strides", (1, 1)), (1, 1), attributes["padding"]).output_size(*size)
    net.operator(
        OperatorKind.CONV_2D, [x, kernel, -1, -1], net.activation("y", "FIXED8_1", 1, rows, columns, outputs), **attributes
    )
    return net.model([x])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (convolution((8, 8), 4, 4, 1), 4),  # a pixel
        (convolution((8, 8), 4, 4, 3), (8 + 2) * 4),  # a row and two pixels
        (convolution((8, 8), 4, 4, 3, groups=4), (8 + 1) * 4),  # depthwise: its own pixel is free
        (convolution((8, 8), 4, 8, 1), 63 * 4 + 8),  # twice as many channels: it runs ahead, up to the last pixel
        (convolution((8, 8), 8, 4, 1), 4),  # half as many: it falls behind
        (convolution((8, 8), 4, 8, 3, strides=(2, 2)), 12),  # (8 - 4) that two columns of output run ahead, and a pixel
    ],
)
def test_distances_by_hand(model, expected):
    assert overlap.distance(model, model.operators[0], 0) == expected


def test_an_input_that_is_read_twice_keeps_the_larger_distance():
    net = ModelBuilder()
    x = net.activation("x", "FIXED8_4", 1, 8)
    net.operator(OperatorKind.ADD, [x, x], net.activation("y", "FIXED16_4", 1, 8))
    model = net.model([x])
    assert overlap.distance(model, model.operators[0], x) == 7  # 16-bit sums run ahead of 8-bit terms


def test_a_dense_layer_reads_everything():
    net = ModelBuilder()
    x = net.activation("x", "FIXED8_4", 1, 8)
    net.operator(OperatorKind.DENSE, [x, net.constant("kernel", "SIGN", 3, 8), -1, -1], net.activation("y", "FIXED8_1", 1, 3))
    model = net.model([x])
    assert overlap.distance(model, model.operators[0], x) is None
    assert set(ops.TABLE) >= {operator.kind for operator in model.operators}


@pytest.mark.parametrize("kind", ["dense", "concat", "transpose"])
def test_what_writes_in_another_order_than_it_reads_lies_elsewhere(kind):
    for seed in range(40):
        assert distances(random_model(kind, seed)) == {}
