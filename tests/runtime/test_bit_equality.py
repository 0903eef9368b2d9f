"""The runtime against the reference, tensor by tensor, for every set of kernels that this processor has.

Each operator of the reference gets the very integers that the runtime computed before it: so every operator is compared alone,
and exactly, whatever came before it. Fixed tensors are equal; one that an operator computes in float may be one unit away, and
FLOAT32 tensors may differ by the row's `float_tolerance` of their largest magnitude (before a clamp: it hides how large the sums
were).

KERASQ_RANDOM_GRAPHS is how many random networks of several operators there are (300 unless set; .ci/run takes 200).
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator
from networks import random_inputs, random_resnet23
from random_graphs import random_graph
from random_operators import OPERATORS, random_model

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = (*kerasq.runtime.tiers(), kerasq.runtime.DSP) if kerasq.runtime.available() else ()
GRAPHS = int(os.environ.get("KERASQ_RANDOM_GRAPHS", "300"))
PIECES = 20
EXAMPLES = 2


def reference(model: Model, operator: Operator, inputs: list[np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return ops.prepare(model, operator)(*inputs)


def assert_equal(model: Model, operator: Operator, received: np.ndarray, inputs: list[np.ndarray], label: str) -> None:
    expected = reference(model, operator, inputs)
    assert received.dtype == expected.dtype
    assert received.shape == expected.shape
    tolerance = ops.TABLE[operator.kind].float_tolerance
    if tolerance == 0 or ops.is_integer(model, operator):
        np.testing.assert_array_equal(received, expected, err_msg=label)
    elif model.output(operator).format.is_float:
        unlimited = reference(model, operator.replace(clamp=None), inputs)
        largest = np.abs(unlimited[np.isfinite(unlimited)]).max(initial=0)
        np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance * largest, err_msg=label)
    else:
        assert np.abs(received.astype(np.int64) - expected).max() <= 1, label


def compare(model: Model, tier: str, inputs: list[np.ndarray], label: str) -> None:
    """All tensors of all operators, and the outputs of a whole run."""
    interpreter = kerasq.Interpreter(model_content=model, engine="native", isa=tier, num_threads=1)
    x = inputs if len(inputs) > 1 else inputs[0]
    found = interpreter.tensors(x)
    for position, operator in enumerate(model.operators):
        tensors = [model.tensors[index] for index in operator.inputs if index != ABSENT]
        given = [found[tensor.name] for tensor in tensors if not tensor.is_constant]
        where = f"{label}, {tier}, operator {position}: {operator}, {[(*tensor.shape, str(tensor.format)) for tensor in tensors]}"
        assert_equal(model, operator, found[model.output(operator).name], given, where)
    outputs = interpreter.predict(x, raw=True)
    for index, output in zip(model.outputs, outputs if isinstance(outputs, list) else [outputs], strict=True):
        np.testing.assert_array_equal(output, found[model.tensors[index].name], err_msg=f"{label}, {tier}: a whole run")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("piece", range(PIECES))
def test_random_graphs(tier, piece):
    for seed in range(piece, GRAPHS, PIECES):
        model = random_graph(seed)
        compare(model, tier, random_inputs(model, seed, EXAMPLES), f"random_graph({seed})")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", OPERATORS)
def test_random_operators(tier, kind):
    for seed in range(100):
        model = random_model(kind, seed)
        compare(model, tier, random_inputs(model, seed, 3), f"random_model({kind!r}, {seed})")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("buffers", ["FIXED8", "FIXED16", "FLOAT32"])
@pytest.mark.parametrize("kernels", ["FIXED8", "SIGN"])
def test_resnet23(tier, buffers, kernels):
    model = random_resnet23(kernels, buffers, maps=32, size=16)
    compare(model, tier, random_inputs(model, 0, EXAMPLES), f"ResNet23 {kernels} {buffers}")


@pytest.mark.parametrize("tier", TIERS)
def test_the_reference_computes_the_same_network_from_end_to_end(tier):
    model = random_resnet23("SIGN", maps=16, size=16)
    inputs = random_inputs(model, 1, 20)
    expected = kerasq.Interpreter(model_content=model, engine="reference").tensors(inputs[0])
    found = kerasq.Interpreter(model_content=model, engine="native", isa=tier).tensors(inputs[0])
    assert list(found) == list(expected)
    for name, stored in expected.items():
        np.testing.assert_array_equal(found[name], stored, err_msg=name)


@pytest.mark.parametrize("tier", TIERS)
def test_the_bytes_of_a_model_are_only_read(tier):
    content = file_format.dumps(random_resnet23("SIGN", maps=8, size=16))
    kept = bytes(bytearray(content))
    interpreter = kerasq.Interpreter(model_content=content, isa=tier)
    x = random_inputs(interpreter.model, 2, EXAMPLES)[0]
    runs = [interpreter.predict(x, raw=True) for _ in range(3)]
    assert content == kept
    for run in runs[1:]:
        np.testing.assert_array_equal(run, runs[0])
