"""NORMALIZE against the real normalization: how far it is from a correctly rounded one, in integers and in float."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import kerasq
from kerasq import ops
from kerasq.format.model import Model
from kerasq.ops.normalize import epsilon_format
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_stored

SOURCES = ["FIXED8_4", "UFIXED8_6", "FIXED16_10", "UFIXED16_12", "FIXED8_-3", "FIXED16_25"]
OUTPUTS = ["FIXED8_4", "UFIXED8_5", "FIXED16_12", "UFIXED16_13", "FIXED16_16"]


def normalize_model(source: str, output: str, shape: tuple[int, ...], epsilon: float = 1e-3, **attributes) -> Model:
    net = NetworkBuilder()
    x = net.activation("x", shape, source)
    form = QFormat.parse("FLOAT32") if "FLOAT32" in (source, output) else epsilon_format(epsilon)
    constant = net.constant("epsilon", form.quantize(np.array([epsilon])), form)
    y = net.apply("NORMALIZE", (x, constant), output, **{"window": (1, 1), **attributes})
    return net.build((x,), (y,))


def real_values(run: list[int], added: int, centered: bool, frac_bits: int) -> list[Fraction]:
    """The run normalized, in units of an output of so many fractional bits, to 2**-40 of one: with S and Q as exact integers,
    and the root of what is divided by its square."""
    n = len(run)
    total = sum(run) if centered else 0
    divisor = n * sum(value**2 for value in run) - total**2 + added
    units = [4 ** (frac_bits + 40) * (n * value - total) ** 2 // divisor if divisor else 0 for value in run]
    return [Fraction(math.isqrt(unit) * (1 if n * v >= total else -1), 2**40) for v, unit in zip(run, units, strict=True)]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("centered", [0, 1])
def test_error_is_little_more_than_that_of_one_rounding(source, output, centered):
    """Half a unit of the output, and 2**-12 of one for root and reciprocal, whose errors are 2**-31 and 2**-29 of the value."""
    form, result = QFormat.parse(source), QFormat.parse(output)
    rng = np.random.default_rng([3, *source.encode(), centered])
    for n, size in ((2, 3), (7, 1000), (48, 60000), (200, 5), (3, 2)):
        model = normalize_model(source, output, (1, n), centered=centered)
        (operator,) = model.operators
        x = rng.integers(0, min(size, form.max_int), (4, n), endpoint=True).astype(form.dtype)
        received = ops.prepare(model, operator)(x)
        epsilon = Fraction(float(model.tensors[1].values[0])) / Fraction(form.step) ** 2 * n**2
        added = math.floor(epsilon + Fraction(1, 2))  # as the page rounds it
        for run, stored in zip(x.tolist(), received.tolist(), strict=True):
            for y, real in zip(stored, real_values(run, added, bool(centered), result.frac_bits or 0), strict=True):
                if result.min_int <= real <= result.max_int:
                    assert abs(y - real) <= Fraction(1, 2) + Fraction(1, 4096)
                else:
                    assert y in (result.min_int, result.max_int)


@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_most_values_and_the_largest(bits, centered):
    """The longest runs of the largest values that the proof allows: nothing overflows, in either language."""
    for signed in ("FIXED", "UFIXED"):
        form = QFormat.parse(f"{signed}{bits}_0")
        n = 1 << (20 if bits == 8 else 16) - (1 - centered)
        model = normalize_model(str(form), "FIXED16_8", (1, n), centered=centered, epsilon=0.0)
        assert list(ops.problems(model, model.operators[0])) == []
        for x in (np.full(n, form.min_int), np.full(n, form.max_int), np.where(np.arange(n) % 2, form.min_int, form.max_int)):
            x = x.astype(form.dtype)[None]
            values = x.astype(np.float64) - (x.mean(dtype=np.float64) if centered else 0)
            expected = np.floor(values / max(np.sqrt((values**2).mean()), 1e-9) * 256 + 0.5)
            reference = ops.prepare(model, model.operators[0])(x)
            assert np.abs(reference - expected).max() <= 1
            if kerasq.runtime.available():
                native = kerasq.Interpreter(model_content=model, isa="portable").predict(x, raw=True)
                np.testing.assert_array_equal(native, reference)
    if bits == 16:
        longer = normalize_model("FIXED16_0", "FIXED16_8", (1, 2 * n), centered=centered)
        assert f"at most {n} values" in next(ops.problems(longer, longer.operators[0]))


def test_equal_values_are_zeros_and_a_root_mean_square_is_one():
    model = normalize_model("FIXED8_4", "FIXED8_4", (1, 6), centered=1, epsilon=0.0)
    run = ops.prepare(model, model.operators[0])
    assert run(np.full((2, 6), -128, np.int8)).tolist() == [[0] * 6] * 2
    assert run(np.array([[5, 7, 5, 7, 5, 7]], np.int8)).tolist() == [[-16, 16] * 3]
    model = normalize_model("FIXED8_4", "FIXED8_4", (1, 4), centered=0, epsilon=0.0)
    run = ops.prepare(model, model.operators[0])
    assert run(np.array([[9, -9, 9, 9], [0] * 4], np.int8)).tolist() == [[16, -16, 16, 16], [0] * 4]


def test_windows_and_groups():
    """Which values are normalized together, against NumPy's axes."""
    rng = np.random.default_rng(4)
    x = rng.normal(2, 3, (2, 4, 6, 8)).astype(np.float32)
    for window, groups, shape, axes in (
        ((1, 1), 1, (2, 24, 8), (2,)),
        ((4, 6), 1, (2, 192), (1,)),
        ((4, 6), 8, (2, 24, 8), (1,)),
        ((4, 6), 2, (2, 24, 2, 4), (1, 3)),
        ((1, 6), 1, (2, 4, 48), (2,)),
        ((2, 6), 4, (2, 2, 12, 4, 2), (2, 4)),
        ((1, 1), 4, (2, 24, 4, 2), (3,)),
    ):
        model = normalize_model("FLOAT32", "FLOAT32", (1, 4, 6, 8), window=window, groups=groups, centered=1)
        runs = x.reshape(shape).astype(np.float64)
        expected = (runs - runs.mean(axes, keepdims=True)) / np.sqrt(runs.var(axes, keepdims=True) + 1e-3)
        received = ops.prepare(model, model.operators[0])(x)
        np.testing.assert_allclose(received, expected.reshape(x.shape), atol=1e-6)
        if kerasq.runtime.available():
            native = kerasq.Interpreter(model_content=model, isa="portable").predict(x)
            np.testing.assert_allclose(native, received, atol=1e-6)


@pytest.mark.parametrize("source", ["FLOAT32", "FIXED8_4", "UFIXED16_9"])
@pytest.mark.parametrize("output", ["FLOAT32", "FIXED8_4"])
def test_float(source, output):
    if source != "FLOAT32" and output != "FLOAT32":
        return
    model = normalize_model(source, output, (1, 5, 12), epsilon=0.01, centered=0, clamp=(0, 100))
    x = random_stored(np.random.default_rng(5), QFormat.parse(source), (3, 5, 12))
    values = QFormat.parse(source).dequantize(x).astype(np.float64) if source != "FLOAT32" else x.astype(np.float64)
    expected = np.clip(values / np.sqrt((values**2).mean(-1, keepdims=True) + np.float32(0.01)), 0, None)
    received = ops.prepare(model, model.operators[0])(x)
    tolerance = 1e-6
    if output != "FLOAT32":
        received, tolerance = received / 16, 1 / 32 + 1e-6
    np.testing.assert_allclose(received, expected, atol=tolerance)


def test_epsilons_are_stored_to_15_bits():
    for epsilon in (1e-3, 1e-7, 1e-12, 0.25, 3.0, 0.0, 100.0):
        form = epsilon_format(epsilon)
        assert form.frac_bits == 63 or abs(form.quantize(np.array(epsilon)) * form.step - epsilon) <= epsilon * 2**-14
