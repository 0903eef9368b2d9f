"""LOOKUP, CONCAT, MUL, TRANSPOSE, SOFTMAX, pooling and scaled channels around the sizes of their vectors: in every tier
the integers of the reference."""

from __future__ import annotations

import itertools

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

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
VECTORS = "avx2" in TIERS
RNG = np.random.default_rng(0)


def network(kind: str, inputs, form: str, constant=None, **attributes) -> Model:
    """An operator of some inputs, (shape, format) each, and maybe of a constant (values, format); without any others."""
    net = NetworkBuilder()
    x = [net.activation(f"x{position}", *entry) for position, entry in enumerate(inputs)]
    constants = [] if constant is None else [net.constant("constant", *constant)]
    absent = [ABSENT] * 2 if kind == "CONV_2D" else []
    return net.build(tuple(x), (net.apply(kind, (*x, *constants, *absent), form, "y", **attributes),))


def assert_equal(model: Model, kernel: str) -> None:
    """In every tier; the fastest computes it by the kernel of that name."""
    tensors = [model.tensors[index] for index in model.inputs]
    inputs = [random_stored(RNG, tensor.format, (5, *tensor.shape[1:])) for tensor in tensors]
    for values, tensor in zip(inputs, tensors, strict=True):
        values[3], values[4] = tensor.format.min_int, tensor.format.max_int
    (expected,) = ReferenceEngine(model).run(inputs)
    for tier in TIERS:
        found = kerasq.Interpreter(model_content=model, isa=tier, num_threads=1).predict(inputs, raw=True)
        np.testing.assert_array_equal(found, expected, err_msg=f"{tier}: {model.operators}, {tensors}")
    if VECTORS:
        assert Network(dumps(model)).operators()[0].kernel == kernel


def clamps(form: str):
    """None, and limits within the format."""
    parsed = QFormat.parse(form)
    return None, (parsed.min_int // 2 + 3, parsed.max_int // 3)


@pytest.mark.parametrize("size", [1, 31, 33, 255, 256, 299, 1000])
@pytest.mark.parametrize("bits", [8, 16])
def test_lookup(bits, size):
    for x, y in itertools.product((f"FIXED{bits}_4", f"UFIXED{bits}_4"), ("FIXED8_2", "UFIXED8_2", "FIXED16_6", "UFIXED16_6")):
        table = random_stored(RNG, QFormat.parse(y), (256 if bits == 8 else 513,))
        kernel = "kq_lookup_words_avx2" if bits == 16 else "kq_lookup_bytes_avx2"
        for clamp in clamps(y):
            assert_equal(network("LOOKUP", [((1, size), x)], y, (table, y), clamp=clamp), kernel)


@pytest.mark.parametrize("channels", [(1, 2), (15, 16), (17, 3, 40)])
@pytest.mark.parametrize("y", ["FIXED8_3", "UFIXED8_3", "FIXED16_3", "UFIXED16_3"])
def test_concat(y, channels):
    for x, clamp in itertools.product((y, "FIXED8_5", "UFIXED16_4"), clamps(y)):
        inputs = [((1, 3, 5, count), x if position else y) for position, count in enumerate(channels)]
        assert_equal(network("CONCAT", inputs, y, clamp=clamp), "kq_concat_avx2")


@pytest.mark.parametrize("channels", [1, 7, 16, 33])
@pytest.mark.parametrize("second", ["full", "channels"])
def test_mul(second, channels):
    shape = (1, 3, 5, channels)
    forms = ("FIXED8_4", "UFIXED8_6", "FIXED16_4")
    for a, b, y in itertools.product(forms, forms, ("FIXED8_2", "UFIXED8_5", "UFIXED16_3")):
        other = shape if second == "full" else (1, 1, 1, channels)
        wide = a.startswith("FIXED16") and b.startswith("FIXED16")
        for clamp in clamps(y):
            model = network("MUL", [(shape, a), (other, b)], y, clamp=clamp)
            assert_equal(model, "kq_mul_avx2" if model.operators[0].accumulator_bits == 32 else "kq_mul")
            assert wide or model.operators[0].accumulator_bits == 32


@pytest.mark.parametrize("form", ["FIXED8_3", "UFIXED16_3"])
@pytest.mark.parametrize("run", [1, 2, 3, 4, 8, 16, 32, 64])
def test_transpose(run, form):
    for window, clamp in itertools.product(((1, 1), (5, 3), (12, 6)), clamps(form)):
        shape = (1, window[0], 2, window[1] * run)
        size = run * QFormat.parse(form).bits // 8
        fast = clamp is None and size <= 64 and size & (size - 1) == 0
        model = network("TRANSPOSE", [(shape, form)], form, shape=(1, *shape[1:]), window=window, groups=run, clamp=clamp)
        assert_equal(model, "kq_transpose_avx2" if fast else "kq_transpose")


@pytest.mark.parametrize("classes", [1, 2, 10, 100, 1024, 1025])
@pytest.mark.parametrize("x", ["FIXED8_4", "UFIXED8_4", "FIXED16_12", "UFIXED16_12"])
def test_softmax(x, classes):
    step = QFormat.parse(x).step
    distances = [np.arange(256)] if "8_4" in x else [256 * np.arange(256), np.arange(256)]
    table = np.round(np.exp(-step * np.concatenate(distances)) * 32768).astype(np.uint16)
    for y in ("UFIXED8_8", "FIXED8_7", "UFIXED16_16"):
        model = network("SOFTMAX", [((1, 2, classes), x)], y, (table, "UFIXED16_15"))
        assert_equal(model, "kq_softmax_avx2" if classes <= 1024 else "kq_softmax")


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128])
@pytest.mark.parametrize("form", ["FIXED8_4", "UFIXED8_4", "FIXED16_4", "UFIXED16_4"])
def test_max(form, channels):
    size = channels * QFormat.parse(form).bits // 8
    kernel = "_avx512" if size > 32 and "avx512vnni" in TIERS else "_avx2" if size >= 4 else ""
    for clamp in clamps(form):
        window = {"window": (3, 2), "strides": (2, 1), "padding": (1, 1, 0, 1)}
        model = network("MAX_POOL_2D", [((1, 7, 5, channels), form)], form, clamp=clamp, **window)
        assert_equal(model, f"kq_max_pool_2d{kernel}")


@pytest.mark.parametrize("form", ["FIXED8", "UFIXED8", "FIXED16", "UFIXED16"])
def test_average(form):
    """Over as many taps as are summed in 16 bits, one more, and twice as many; finer and coarser outputs."""
    for rows, columns in ((8, 16), (3, 43), (16, 17)):
        for places in (-1, 0, 2):
            x, y = f"{form}_4", f"{form}_{4 + places}"
            for clamp in clamps(y):
                window = {"window": (rows, columns), "strides": (rows, columns)}
                model = network("AVERAGE_POOL_2D", [((1, rows, columns, 48), x)], y, clamp=clamp, **window)
                assert_equal(model, "kq_average_pool_2d_avx2")


@pytest.mark.parametrize("channels", [2, 3, 16, 17, 40])
def test_channels_that_are_scaled(channels):
    """A depthwise convolution of one tap; rows and columns that several pixels do not fill, and many of them."""
    weights = random_stored(RNG, QFormat.parse("FIXED8_6"), (channels, 1, 1, 1))
    weights[:2] = [[[[-128]]], [[[127]]]]
    for rows, columns in ((1, 1), (5, 7), (3, 300)):
        for x, y in itertools.product(("FIXED8_4", "UFIXED8_4"), ("FIXED8_2", "UFIXED8_2", "FIXED8_12")):
            shape, constant = (1, rows, columns, channels), (weights, "FIXED8_6")
            model = network("CONV_2D", [(shape, x)], y, constant, groups=channels)
            assert_equal(model, f"kq_depthwise_bytes_{'avx512' if 'avx512vnni' in TIERS else 'avx2'}")
