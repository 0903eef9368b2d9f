"""DENSE as a matrix-vector product: inputs and outputs around its blocks and steps, values at the ends of their ranges, in every
tier the integers of the reference."""

from __future__ import annotations

import numpy as np
import pytest

import kerasq
from kerasq.format.model import ABSENT, Model
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.qformat import QFormat
from kerasq.runtime import Network
from networks import NetworkBuilder, random_stored

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
X = ("FIXED8_4", "UFIXED8_4", "FIXED16_8", "UFIXED16_8")
KERNELS = ("FIXED8_6", "FIXED4_2", "FIXED2_1", "SIGN", "FIXED16_12")
# Inputs: less than a step, between steps, several turns of the loops. Outputs: every number of blocks taken together, and more.
SIZES = [(1, 1), (3, 16), (4, 17), (5, 33), (31, 48), (32, 64), (66, 100), (129, 128), (257, 144), (100, 250), (640, 8), (8, 640)]


def dense(x: str, kernel: str, inputs: int, outputs: int, *, y: str = "FIXED8_2", weight: int | None = None) -> Model:
    rng, net, form = np.random.default_rng(inputs * outputs), NetworkBuilder(), QFormat.parse(kernel)
    weights = random_stored(rng, form, (outputs, inputs))
    if weight is not None:
        weights[:, : inputs // 2], weights[:, inputs // 2 :] = weight, form.min_int
    source, bias = net.activation("x", (1, inputs), x), random_stored(rng, QFormat.parse("FIXED16_4"), (outputs,))
    constants = net.constant("kernel", weights, form), ABSENT, net.constant("bias", bias, "FIXED16_4")
    return net.build((source,), (net.apply("DENSE", (source, *constants), y, "y"),))


def values(model: Model, examples: int) -> np.ndarray:
    """Random ones, the largest, the smallest, and small ones, as they are behind a ReLU."""
    tensor = model.tensors[0]
    rng, form, shape = np.random.default_rng(1), tensor.format, (examples, *tensor.shape[1:])
    small = rng.integers(0, 20, shape).astype(form.dtype)
    ends = [np.full(shape, end, form.dtype) for end in (form.max_int, form.min_int)]
    return np.concatenate([random_stored(rng, form, shape), *ends, small])


def assert_equal(model: Model, tier: str) -> None:
    x = values(model, 3)
    (expected,) = ReferenceEngine(model).run([x])
    interpreter = kerasq.Interpreter(model_content=model, isa=tier, num_threads=1)
    for batch_size in (1, 7, None):  # alone, a few and a rest, and all at once
        np.testing.assert_array_equal(interpreter.predict(x, batch_size=batch_size, raw=True), expected)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("x", X)
def test_numbers_of_inputs_and_outputs(x, kernel, tier):
    for inputs, outputs in SIZES:
        assert_equal(dense(x, kernel, inputs, outputs), tier)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("x", X)
def test_the_smallest_weights_and_the_largest_inputs(x, kernel, tier):
    """Sums of 16 bits, and of 32 where there are 64, come to their bounds: those of low halves of 16 bits for a weight of -1."""
    for inputs in (64, 1100):
        for weight in (QFormat.parse(kernel).min_int, -1):
            assert_equal(dense(x, kernel, inputs, 40, y="FIXED16_0", weight=weight), tier)


@pytest.mark.parametrize("tier", [tier for tier in TIERS if tier != "portable"])
@pytest.mark.parametrize("x", X)
@pytest.mark.parametrize("kernel", KERNELS)
def test_state_for_each_weight(x, kernel, tier):
    """A weight of 8 bits takes a byte, one of 16, or one that 16-bit inputs are multiplied by, two: whatever its values."""
    model = dense(x, kernel, 1000, 512)
    byte = QFormat.parse(x).bits == 8 and kernel != "FIXED16_12"
    state = Network(kerasq.format.dumps(model), tier).state_bytes
    assert state <= (1.1 if byte else 2.1) * 1000 * 512


@pytest.mark.parametrize("tier", TIERS)
def test_any_number_of_examples_at_once(tier):
    """Several operators, one of them no Dense layer, and inputs that outputs are written over."""
    rng, net = np.random.default_rng(2), NetworkBuilder()
    x = net.activation("x", (1, 70), "FIXED8_4")
    form = QFormat.parse("FIXED8_6")
    kernels = [net.constant(f"k{size}", random_stored(rng, form, size), form) for size in ((90, 70), (5, 90))]
    hidden = net.apply("DENSE", (x, kernels[0], ABSENT, ABSENT), "UFIXED8_2", "hidden")
    moved = net.apply("QUANTIZE", (hidden,), "FIXED8_1", "moved")
    model = net.build((x,), (net.apply("DENSE", (moved, kernels[1], ABSENT, ABSENT), "FIXED16_2", "y"), moved))
    stored = random_stored(rng, QFormat.parse("FIXED8_4"), (40, 70))
    expected = ReferenceEngine(model).run([stored])
    for memory in (None, 1 << 18):
        interpreter = kerasq.Interpreter(model_content=model, isa=tier, num_threads=2, max_bytes=memory)
        for count in (*range(1, 18), 40):
            outputs = interpreter.predict(stored[:count], batch_size=count, raw=True)
            for found, wanted in zip(outputs, expected, strict=True):
                np.testing.assert_array_equal(found, wanted[:count])
