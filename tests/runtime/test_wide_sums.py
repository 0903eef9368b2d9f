"""Sums of 64 bits: every vector kernel that has them, at the limits of its chunks and shifts, bit for bit the reference."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.qformat import QFormat
from kerasq.runtime import Network
from networks import NetworkBuilder, random_stored
from random_graphs import random_graph

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
VECTOR_TIERS = [tier for tier in TIERS if tier != "portable"]
DENSE, CONV, DEPTHWISE = "DENSE", "CONV_2D", "DEPTHWISE"


def network(
    kind: str,
    x: str = "FIXED16_4",
    kernel: str = "FIXED16_15",
    y: str = "FIXED16_2",
    *,
    channels: int = 40,
    outputs: int = 37,
    multiplier: str | None = None,
    bias: str | None = None,
    addend: str | None = None,
    extreme: bool = False,
    seed: int = 0,
) -> Model:
    """A network of one operator with 64-bit sums. `extreme`: all weights are the smallest that the format has."""
    rng, net = np.random.default_rng(seed), NetworkBuilder()
    depthwise = kind == DEPTHWISE
    outputs = channels if depthwise else outputs
    shape = (1, channels * 30) if kind == DENSE else (1, 5, 6, channels)
    kernel_shape = (outputs, shape[1]) if kind == DENSE else (outputs, 3, 3, 1 if depthwise else channels)
    source = net.activation("x", shape, QFormat.parse(x))
    inputs, form = [source], QFormat.parse(kernel)
    weights = np.full(kernel_shape, form.min_int, form.dtype) if extreme else random_stored(rng, form, kernel_shape)
    constants = [net.constant("kernel", weights, form)]
    for name, given in (("multiplier", multiplier), ("bias", bias)):
        vector = None if given is None else QFormat.parse(given)
        constants.append(ABSENT if vector is None else net.constant(name, random_stored(rng, vector, (outputs,)), vector))
    result = (1, outputs) if kind == DENSE else (1, 5, 6, outputs)
    added = []
    if addend is not None:
        added.append(net.activation("addend", result, QFormat.parse(addend)))
        inputs += added
    output = net.activation("y", result, QFormat.parse(y))
    operator = Operator(
        OperatorKind.DENSE if kind == DENSE else OperatorKind.CONV_2D,
        (source, *constants, *added),
        (output,),
        padding=(0, 0, 0, 0) if kind == DENSE else (1, 1, 1, 1),
        groups=channels if depthwise else 1,
    )
    offset, tensors = 0, list(net.tensors)
    for index in (*inputs, output):
        tensors[index] = dataclasses.replace(tensors[index], offset=offset)
        offset += -(-tensors[index].nbytes // 64) * 64
    model = Model(tuple(tensors), (), tuple(inputs), (output,), offset, 64)
    operator = ops.with_widths(model, operator).replace(accumulator_bits=64)
    model = dataclasses.replace(model, operators=(operator,))
    file_format.verify(model)
    return model


def assert_equal(model: Model, tier: str, extreme: bool = False, kernel: str | None = None) -> None:
    rng = np.random.default_rng(1)
    given = []
    for tensor in (model.tensors[index] for index in model.inputs):
        stored = random_stored(rng, tensor.format, (3, *tensor.shape[1:]))
        given.append(np.full_like(stored, tensor.format.min_int) if extreme else stored)
    (expected,) = ReferenceEngine(model).run(given)
    interpreter = kerasq.Interpreter(model_content=model, engine="native", isa=tier, num_threads=1)
    np.testing.assert_array_equal(interpreter.predict(given if len(given) > 1 else given[0], raw=True), expected)
    if kernel is not None:
        assert interpreter._engine.network.operators()[0].kernel == kernel


def vector_kernel(kind: str, tier: str) -> str:
    if kind == DEPTHWISE:
        return "kq_depthwise_conv_2d_avx2"
    return f"kq_{kind.lower()}_{'avx2' if tier == 'avx2' else 'avx512'}"


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("kind", [DENSE, CONV, DEPTHWISE])
@pytest.mark.parametrize("x", ["FIXED16_4", "UFIXED16_4", "FIXED8_4", "UFIXED8_4"])
def test_types(kind, x, tier):
    for kernel in ("FIXED16_15", "FIXED8_7", "FIXED4_3", "FIXED2_1", "SIGN"):
        for y in ("FIXED16_2", "UFIXED16_0", "FIXED8_-2", "UFIXED8_-3"):
            assert_equal(network(kind, x, kernel, y), tier, kernel=vector_kernel(kind, tier))


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("kind", [DENSE, CONV, DEPTHWISE])
def test_what_follows_the_sum(kind, tier):
    addends = (None,) if kind == DENSE else (None, "FIXED16_7", "UFIXED8_0")
    for seed, (multiplier, bias) in enumerate([("FIXED16_12", None), (None, "FIXED32_15"), ("FIXED8_5", "FIXED32_9")]):
        for addend in addends:
            model = network(kind, multiplier=multiplier, bias=bias, addend=addend, seed=seed)
            assert_equal(model, tier, kernel=vector_kernel(kind, tier))


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("frac_bits", [-32, -31, -30, -14, -13, -12, -2, 0, 15, 18, 19, 20, 25])
def test_shifts(frac_bits, tier):
    """From 51 places to the right to 6 to the left, of sums of 19 fractional bits; and what becomes FLOAT32."""
    for kind in (DENSE, CONV, DEPTHWISE):
        for family in ("FIXED16", "UFIXED8"):
            model = network(kind, y=f"{family}_{frac_bits}", bias="FIXED32_19", channels=17)
            assert_equal(model, tier, kernel=vector_kernel(kind, tier))
        assert_equal(network(kind, y="FLOAT32", bias="FIXED32_19", channels=17), tier, kernel=vector_kernel(kind, tier))


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("kind", [DENSE, CONV, DEPTHWISE])
def test_the_largest_values_of_all_in_every_place(kind, tier):
    """-2^15 times -2^15, where a pair of products is 2^31, over several chunks."""
    for x in ("FIXED16_0", "UFIXED16_0"):
        for kernel in ("FIXED16_0", "FIXED8_0"):
            for channels in (16, 17, 130, 600):
                model = network(kind, x, kernel, "FIXED16_-26", channels=channels, outputs=18, extreme=True)
                assert_equal(model, tier, extreme=True)
                assert_equal(model, tier, kernel=vector_kernel(kind, tier))


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_groups(tier):
    model = network(CONV, channels=40, outputs=20)
    kernel = random_stored(np.random.default_rng(2), QFormat.parse("FIXED16_15"), (20, 3, 3, 10))
    tensors = [
        dataclasses.replace(tensor, shape=kernel.shape, data=kernel) if tensor.name == "kernel" else tensor
        for tensor in model.tensors
    ]
    grouped = dataclasses.replace(model, tensors=tuple(tensors), operators=(model.operators[0].replace(groups=4),))
    assert_equal(grouped, tier, kernel=vector_kernel(CONV, tier))


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_random_graphs_reach_these_kernels(tier):
    """Those of test_bit_equality: the kernels of operators with 64-bit sums among them."""
    found: Counter[str] = Counter()
    for seed in range(120):
        model = random_graph(seed)
        computed = Network(file_format.dumps(model), tier).operators()
        for operator, info in zip(model.operators, computed, strict=True):
            if operator.accumulator_bits == 64 and operator.kind in (OperatorKind.CONV_2D, OperatorKind.DENSE):
                found[info.kernel] += 1
    for kind in (DENSE, CONV, DEPTHWISE):
        assert found[vector_kernel(kind, tier)] > 0, found
