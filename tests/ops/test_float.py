"""Operators that compute in float: every mixture of float and fixed tensors against float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kerasq import ops
from kerasq.format.model import ABSENT, Model
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_stored

INPUTS = ("FLOAT32", "FIXED8_5", "UFIXED16_12")
KERNELS = ("FLOAT32", "SIGN", "FIXED4_3", "FIXED2_1", "FIXED8_9", "FIXED16_14")
VECTORS = (None, "FLOAT32", "FIXED8_4", "FIXED32_20")
OUTPUTS = ("FLOAT32", "FIXED8_3", "UFIXED16_8")


def constant(net: NetworkBuilder, rng: np.random.Generator, name: str, form: str | None, shape: tuple[int, ...]) -> int:
    return ABSENT if form is None else net.constant(name, random_stored(rng, QFormat.parse(form), shape), form)


def real(model: Model, index: int, default: float) -> np.ndarray:
    return np.array(default) if index == ABSENT else model.tensors[index].values


def assert_close(
    received: np.ndarray,
    expected: np.ndarray,
    form: QFormat,
    clamp: tuple[float, float] | None = None,
    magnitude: np.ndarray | None = None,
) -> None:
    """Equal up to float32's rounding of a few terms whose magnitudes sum up to `magnitude`; in fixed outputs, up to the one step
    that this may move."""
    if form.is_float:
        assert received.dtype == np.float32
        error = np.abs(received - (expected if clamp is None else np.clip(expected, *clamp)))
        assert (error <= 16 * 2.0**-24 * (np.abs(expected) if magnitude is None else magnitude)).all()
        return
    stored = form.quantize(expected).astype(int)
    stored = stored if clamp is None else np.clip(stored, *clamp)
    assert np.abs(received.astype(int) - stored).max() <= 1
    assert (received == stored).mean() > 0.97
    assert received.dtype == form.dtype


COMBINATIONS = [
    case for case in itertools.product(INPUTS, KERNELS, VECTORS, VECTORS, OUTPUTS) if any(form == "FLOAT32" for form in case[:4])
]


@pytest.mark.parametrize("seed", range(0, len(COMBINATIONS), 16))
def test_weighted_operators(seed):
    rng = np.random.default_rng(seed)
    for source, kernel_form, multiplier_form, bias_form, output in COMBINATIONS[seed : seed + 16]:
        form, result = QFormat.parse(source), QFormat.parse(output)
        clamp = (0.0, 6.0) if result.is_float else (2, 100)
        net = NetworkBuilder()
        x = net.activation("x", (1, 3, 2, 2), form)
        kernel = constant(net, rng, "kernel", kernel_form, (4, 12))
        filters = constant(net, rng, "filters", kernel_form, (4, 2, 2, 1))
        multiplier = constant(net, rng, "multiplier", multiplier_form, (4,))
        bias = constant(net, rng, "bias", bias_form, (4,))
        dense = net.apply("DENSE", (x, kernel, multiplier, bias), result)
        conv = net.apply("CONV_2D", (x, filters, multiplier, bias), result, groups=2, padding=(1, 0, 0, 1), clamp=clamp)
        model = net.build((x,), (dense, conv))
        for operator in model.operators:
            assert list(ops.problems(model, operator)) == []
            assert not ops.is_integer(model, operator)
        values = random_stored(rng, form, (3, 3, 2, 2))
        reals = form.dequantize(values, np.float64)
        factor, offset = real(model, multiplier, 1.0), real(model, bias, 0.0)
        expected = reals.reshape(3, 12) @ real(model, kernel, 0).T * factor + offset
        magnitude = np.abs(reals.reshape(3, 12)) @ np.abs(real(model, kernel, 0).T) * np.abs(factor) + np.abs(offset)
        assert_close(ops.prepare(model, model.operators[0])(values), expected, result, None, magnitude)
        padded = np.pad(reals, ((0, 0), (1, 0), (0, 1), (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(1, 2)).repeat(2, axis=3)
        expected, magnitude = (
            np.einsum("nyxohw,ohw->nyxo", size(patches), size(real(model, filters, 0)[..., 0])) * size(factor) + size(offset)
            for size in (np.positive, np.abs)
        )
        assert_close(ops.prepare(model, model.operators[1])(values), expected, result, clamp, magnitude)


@pytest.mark.parametrize(("first", "second"), [("FLOAT32", "FLOAT32"), ("FLOAT32", "FIXED8_4"), ("UFIXED16_9", "FLOAT32")])
@pytest.mark.parametrize("output", OUTPUTS)
def test_add(first, second, output):
    rng = np.random.default_rng(1)
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 5), first), net.activation("b", (1, 5), second)
    y = net.apply("ADD", (a, b), output)
    model = net.build((a, b), (y,))
    assert not ops.is_integer(model, model.operators[0])
    values = [random_stored(rng, QFormat.parse(form), (4, 5)) for form in (first, second)]
    left, right = (QFormat.parse(form).dequantize(x, np.float64) for form, x in zip((first, second), values, strict=True))
    received = ops.prepare(model, model.operators[0])(*values)
    assert_close(received, left + right, QFormat.parse(output), magnitude=np.abs(left) + np.abs(right))


@pytest.mark.parametrize("output", OUTPUTS)
def test_average_pooling(output):
    rng = np.random.default_rng(2)
    net = NetworkBuilder()
    x = net.activation("x", (1, 3, 3, 2), "FLOAT32")
    y = net.apply("AVERAGE_POOL_2D", (x,), output, window=(2, 3), strides=(2, 2), padding=(1, 0, 0, 1))
    model = net.build((x,), (y,))
    values = rng.standard_normal((2, 3, 3, 2)).astype(np.float32)
    parts = [[values[:, :1, :3], values[:, :1, 2:]], [values[:, 1:3, :3], values[:, 1:3, 2:]]]
    expected = np.stack([np.stack([part.mean(axis=(1, 2), dtype=float) for part in row], axis=1) for row in parts], axis=1)
    expected = expected[:, :, : model.tensors[y].shape[2]]
    assert_close(ops.prepare(model, model.operators[0])(values), expected, QFormat.parse(output), magnitude=np.array(4.0))


def test_max_pooling_and_reshape_move_floats_unchanged():
    values = np.random.default_rng(3).standard_normal((2, 4, 4, 3)).astype(np.float32)
    net = NetworkBuilder()
    x = net.activation("x", (1, 4, 4, 3), "FLOAT32")
    pool = net.apply("MAX_POOL_2D", (x,), "FLOAT32", window=(2, 2), strides=(2, 2))
    flat = net.apply("RESHAPE", (pool,), "FLOAT32", clamp=(0.0, float("inf")))
    model = net.build((x,), (flat,))
    assert [problem for operator in model.operators for problem in ops.problems(model, operator)] == []
    pooled = ops.prepare(model, model.operators[0])(values)
    expected = values.reshape(2, 2, 2, 2, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(pooled, expected)
    np.testing.assert_array_equal(ops.prepare(model, model.operators[1])(pooled), np.maximum(expected, 0).reshape(2, 12))
