"""The integer softmax against its definition, and against the real one in float64."""

from __future__ import annotations

import numpy as np
import pytest

import exact_oracle
from kerasq import ops
from kerasq.format.model import ABSENT, Model
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_stored


def softmax_model(source: str, output: str, shape: tuple[int, ...], clamp=None, table: bool = True) -> Model:
    net = NetworkBuilder()
    x = net.activation("scores", shape, source)
    entries = net.constant("table", exponentials(QFormat.parse(source)), "UFIXED16_15") if table else ABSENT
    y = net.apply("SOFTMAX", (x, entries), output, "probabilities", clamp=clamp)
    return net.build((x,), (y,))


def real_softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


SOURCES = ["FIXED8_4", "FIXED8_-1", "FIXED8_9", "UFIXED8_5", "FIXED16_12", "FIXED16_8", "UFIXED16_10", "FIXED16_20"]
OUTPUTS = ["UFIXED8_8", "FIXED8_7", "UFIXED16_16", "FIXED16_15", "FIXED8_0"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("shape", [(1, 10), (1, 1), (1, 2, 3, 5), (1, 300)])
def test_integer_definition(source, output, shape):
    model = softmax_model(source, output, shape, clamp=(0, 100) if output == "FIXED8_7" else None)
    (operator,) = model.operators
    assert list(ops.problems(model, operator)) == []
    x = random_stored(np.random.default_rng(5), QFormat.parse(source), (3, *shape[1:]))
    np.testing.assert_array_equal(ops.prepare(model, operator)(x), exact_oracle.compute(model, operator, x))


@pytest.mark.parametrize(("source", "output"), [(s, o) for s in SOURCES for o in OUTPUTS[:4]])
def test_close_to_the_real_softmax(source, output):
    form, result = QFormat.parse(source), QFormat.parse(output)
    x = np.random.default_rng(6).integers(form.min_int, form.max_int, (200, 10), endpoint=True).astype(form.dtype)
    model = softmax_model(source, output, (1, 10))
    received = ops.prepare(model, model.operators[0])(x) * result.step
    # One step of the output for its rounding; the exponentials are rounded to 2**-15 (and their product once more).
    error = np.abs(received - real_softmax(x * form.step))
    assert error.max() <= result.step + (2**-15 if form.bits == 8 else 2**-14)


def test_one_hot_and_uniform():
    model = softmax_model("FIXED8_0", "UFIXED8_8", (1, 4))
    run = ops.prepare(model, model.operators[0])
    assert run(np.array([[127, -128, -128, -128], [-128] * 4, [5, 5, -100, -100]], np.int8)).tolist() == [
        [255, 0, 0, 0],
        [64, 64, 64, 64],
        [128, 128, 0, 0],
    ]


@pytest.mark.parametrize("classes", [1 << 16])
def test_the_most_classes(classes):
    model = softmax_model("FIXED8_4", "UFIXED16_16", (1, classes))
    assert list(ops.problems(model, model.operators[0])) == []
    assert ops.prepare(model, model.operators[0])(np.zeros((1, classes), np.int8)).tolist() == [[1] * classes]


@pytest.mark.parametrize("source", ["FLOAT32", "FIXED8_4", "UFIXED16_8"])
@pytest.mark.parametrize("output", ["FLOAT32", "UFIXED8_8"])
def test_without_a_table_it_computes_in_float(source, output):
    model = softmax_model(source, output, (1, 7), table=False)
    (operator,) = model.operators
    assert not ops.is_integer(model, operator)
    assert list(ops.problems(model, operator)) == []
    form = QFormat.parse(source)
    x = random_stored(np.random.default_rng(7), form, (5, 7))
    received = ops.prepare(model, operator)(x)
    expected = real_softmax(form.dequantize(x, np.float64))
    if output == "FLOAT32":
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-7)
    else:
        assert np.abs(received / 256 - expected).max() <= 0.5001 / 256 + (expected.max() > 255 / 256) / 256
    assert received.dtype == QFormat.parse(output).dtype
