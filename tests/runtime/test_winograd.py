"""Convolution by windows of 3x3 with fewer multiplications: maps, channels and borders around its tiles and vectors, values at
the ends of their ranges, in every tier the integers of the reference."""

from __future__ import annotations

import numpy as np
import pytest

import kerasq
from kerasq.format import dumps
from kerasq.format.model import ABSENT, Model
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.qformat import QFormat
from kerasq.runtime import Network
from networks import NetworkBuilder, random_stored

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = tuple(tier for tier in kerasq.runtime.tiers() if tier != "portable") if kerasq.runtime.available() else ()
KERNEL = "kq_conv_2d_3x3_avx2"
X = ("FIXED8_4", "UFIXED8_4")
# Rows, columns, padding (top, bottom, left, right), input and output channels. Maps of odd sizes, a group of tiles and one more,
# tiles that no neighbour follows, margins of none to two; channels around vectors of 16, and odd ones.
SHAPES = [
    (8, 8, (1, 1, 1, 1), 16, 16),
    (7, 9, (1, 1, 1, 1), 8, 9),
    (5, 11, (0, 1, 2, 0), 9, 17),
    (10, 10, (0, 0, 0, 0), 32, 48),
    (3, 35, (1, 1, 0, 1), 17, 70),
    (33, 3, (2, 2, 2, 2), 31, 33),
    (9, 5, (1, 1, 1, 1), 70, 15),
]


def convolution(x: str, shape, *, multiplier: bool, addend: bool, weight: int | None = None, y: str = "FIXED8_2") -> Model:
    rows, columns, padding, inputs, outputs = shape
    rng, net, form = np.random.default_rng(rows * columns * inputs), NetworkBuilder(), QFormat.parse("FIXED8_6")
    weights = random_stored(rng, form, (outputs, 3, 3, inputs))
    if weight is not None:
        weights[::2] = weight
    source = net.activation("x", (1, rows, columns, inputs), x)
    scale = (
        net.constant("multiplier", random_stored(rng, QFormat.parse("FIXED8_7"), (outputs,)), "FIXED8_7")
        if multiplier
        else ABSENT
    )
    operands = [source, net.constant("kernel", weights, form), scale, ABSENT]
    out = (1, rows + padding[0] + padding[1] - 2, columns + padding[2] + padding[3] - 2, outputs)
    if addend:
        operands.append(net.activation("addend", out, "FIXED8_2"))
    return net.build([source, *operands[4:]], (net.apply("CONV_2D", operands, y, "y", padding=padding),))


def values(model: Model) -> list[np.ndarray]:
    """For all inputs: random, the largest and the smallest."""
    arrays = []
    for index in model.inputs:
        tensor, rng = model.tensors[index], np.random.default_rng(index)
        ends = [np.full(tensor.shape, end, tensor.format.dtype) for end in (tensor.format.max_int, tensor.format.min_int)]
        arrays.append(np.concatenate([random_stored(rng, tensor.format, tensor.shape), *ends]))
    return arrays


def assert_equal(model: Model, tier: str) -> None:
    x = values(model)
    (expected,) = ReferenceEngine(model).run(x)
    computed = kerasq.Interpreter(model_content=model, isa=tier, num_threads=1).predict(x if len(x) > 1 else x[0], raw=True)
    np.testing.assert_array_equal(computed, expected)
    kernels = [operator.kernel for operator in Network(dumps(model), tier).operators()]
    assert kernels == [KERNEL] or tier != "avx2"


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("addend", [False, True])
@pytest.mark.parametrize("multiplier", [False, True])
@pytest.mark.parametrize("x", X)
def test_maps_and_channels(x, multiplier, addend, tier):
    for shape in SHAPES:
        assert_equal(convolution(x, shape, multiplier=multiplier, addend=addend), tier)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("x", X)
def test_the_largest_sums(x, weight, tier):
    """Of all the channels that fit 32 bits, outputs of 16 bits."""
    assert_equal(
        convolution(x, (4, 14, (1, 1, 1, 1), 1024, 16), multiplier=False, addend=False, weight=weight, y="FIXED16_-10"), tier
    )


@pytest.mark.skipif("avx2" not in TIERS, reason="kernels for AVX2")
def test_who_has_them():
    """More channels or weights, or too few tiles or channels to gain, are computed as a product of matrices."""

    def kernel(*shape) -> str:
        model = convolution("UFIXED8_4", shape, multiplier=False, addend=False)
        return Network(dumps(model), "avx2").operators()[0].kernel

    padding = (1, 1, 1, 1)
    assert kernel(4, 8, padding, 8, 9) == KERNEL
    assert kernel(4, 6, padding, 8, 9) == kernel(4, 8, padding, 7, 9) == kernel(4, 8, padding, 8, 8) == "kq_conv_2d_avx2"
    assert kernel(4, 8, padding, 1025, 16) == kernel(4, 8, padding, 1024, 456) == "kq_conv_2d_avx2"


@pytest.mark.skipif("avx2" not in TIERS, reason="kernels for AVX2")
def test_state_for_each_weight():
    """A byte: they are transformed with every run."""
    model = convolution("UFIXED8_4", (8, 8, (1, 1, 1, 1), 256, 256), multiplier=True, addend=False)
    assert Network(dumps(model), "avx2").state_bytes <= 1.1 * 9 * 256 * 256
