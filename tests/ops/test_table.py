"""The table itself: every kind has a row; bounds, shapes and work are what NUMERICS.md says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import kerasq
import kerasq_convert
from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind
from kerasq.ops.softmax import exponentials
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_resnet23, random_stored
from random_operators import random_model


def test_every_kind_has_a_row():
    assert list(ops.TABLE) == list(OperatorKind)
    assert all(spec.kind is kind for kind, spec in ops.TABLE.items())


def bounds_of(model: Model) -> tuple[int, int | None]:
    proven = ops.bounds(model, model.operators[-1])
    assert proven is not None
    return proven.accumulator, proven.total


@pytest.mark.parametrize("kind", ["convolution", "dense"])
def test_weighted_bounds(kind):
    """A = (sum of |w|) * max|x| and T = A * |m| + |b| * 2**(n_t - n_b) + 2**(s-1), in Python's integers, channel by channel."""
    for seed in range(200):
        model = random_model(kind, seed)
        x, kernel, multiplier, bias = model.operands(model.operators[0])
        output = model.output(model.operators[0])
        total_bits = sum(tensor.format.frac_bits for tensor in (x, kernel, multiplier) if tensor is not None)
        accumulators, totals = [], []
        for channel, weights in enumerate(kernel.data.reshape(len(kernel.data), -1).tolist()):
            accumulator = sum(map(abs, weights)) * max(abs(x.format.min_int), x.format.max_int)
            total = accumulator * (1 if multiplier is None else abs(int(multiplier.data[channel])))
            if bias is not None:
                total += abs(int(bias.data[channel])) * 2 ** (total_bits - bias.format.frac_bits)
            if output.format.is_fixed and total_bits > output.format.frac_bits:
                total += 2 ** (total_bits - output.format.frac_bits - 1)
            accumulators.append(accumulator)
            totals.append(total)
        assert bounds_of(model) == (max(accumulators), max(totals))


def test_bounds_are_reached():
    """FIXED8 inputs of -128 against negative and positive weights: no smaller bound would do."""
    net = NetworkBuilder()
    x = net.activation("x", (1, 3), "FIXED8_0")
    y = net.apply("DENSE", (x, net.constant("kernel", np.array([[-5, -6, -7]]), "FIXED8_0"), ABSENT, ABSENT), "FIXED16_0")
    model = net.build((x,), (y,))
    assert bounds_of(model) == (18 * 128, 18 * 128)
    assert ops.prepare(model, model.operators[0])(np.full((1, 3), -128, np.int8)).item() == 18 * 128


def bounds_of_one(kind: str, sources: list[str], output: str, shape=(1, 6, 5, 2), **attributes) -> tuple[int, int | None]:
    net = NetworkBuilder()
    inputs = tuple(net.activation(f"x{i}", shape, source) for i, source in enumerate(sources))
    if kind == "SOFTMAX":
        inputs = (*inputs, net.constant("table", exponentials(QFormat.parse(sources[0])), "UFIXED16_15"))
    y = net.apply(kind, inputs, output, **attributes)
    return bounds_of(net.build(inputs[:1], (y,)))


@pytest.mark.parametrize(
    ("kind", "sources", "output", "attributes", "accumulator"),
    [
        ("ADD", ["FIXED8_4", "UFIXED8_2"], "FIXED8_4", {}, 128 + 255 * 4),
        ("ADD", ["FIXED8_4", "UFIXED8_2"], "FIXED8_1", {}, 128 + 255 * 4 + 4),
        ("ADD", ["FIXED16_4", "FIXED16_4"], "FIXED8_9", {}, 65536),
        ("ADD", ["FIXED16_4", "FIXED16_4"], "FLOAT32", {}, 65536),
        ("QUANTIZE", ["FIXED8_4"], "FIXED8_4", {}, 128),
        ("QUANTIZE", ["UFIXED16_4"], "FIXED8_-4", {}, 65535 + 128),
        ("RESHAPE", ["FIXED8_4"], "FIXED8_4", {}, 128),
        ("MAX_POOL_2D", ["UFIXED8_4"], "UFIXED8_4", {"window": (2, 2)}, 255),
        ("AVERAGE_POOL_2D", ["FIXED8_4"], "FIXED8_4", {"window": (3, 4)}, 2 * 12 * (128 + 1)),
        ("AVERAGE_POOL_2D", ["FIXED8_4"], "FIXED8_1", {"window": (3, 4)}, 2 * 12 * (128 + 8)),
        ("AVERAGE_POOL_2D", ["FIXED8_4"], "FIXED8_6", {"window": (3, 4)}, 2 * 12 * (128 * 4 + 1)),
        ("AVERAGE_POOL_2D", ["FIXED8_4"], "FLOAT32", {"window": (3, 4)}, 12 * 128),
        ("AVERAGE_POOL_2D", ["FIXED8_4"], "FLOAT32", {"window": (8, 4), "padding": (2, 2, 0, 0)}, 24 * 128),
        ("SOFTMAX", ["FIXED8_4"], "UFIXED8_8", {}, (1 << 24) + 2 * 2 * (1 << 15)),
    ],
)
def test_bounds_without_weights(kind, sources, output, attributes, accumulator):
    assert bounds_of_one(kind, sources, output, **attributes) == (accumulator, None)


@pytest.mark.parametrize(("bound", "bits"), [(0, 32), (2**31 - 1, 32), (2**31, 64), (2**63 - 1, 64), (2**63, None)])
def test_width(bound, bits):
    assert ops.width(bound) == bits


def test_flattening_is_the_default_shape_of_a_reshape():
    operator = random_model("reshape", 0).operators[0]
    assert ops.output_shape(operator, [(1, 2, 3, 4)]) == (1, 24)


def test_float_inputs_make_a_float_operator():
    net = NetworkBuilder()
    x, z = net.activation("x", (1, 3), "FIXED8_0"), net.activation("z", (1, 3), "FLOAT32")
    kernels = [net.constant(f"kernel{form}", np.ones((2, 3)), form) for form in ("SIGN", "FIXED4_1", "FLOAT32")]
    bias = net.constant("bias", np.ones(2), "FLOAT32")
    cases = [
        (x, kernels[0], ABSENT),
        (x, kernels[1], ABSENT),
        (x, kernels[2], ABSENT),
        (z, kernels[0], ABSENT),
        (x, kernels[0], bias),
    ]
    for source, kernel, offset in cases:
        net.apply("DENSE", (source, kernel, ABSENT, offset), "FLOAT32")
    model = net.build((x, z), ())
    assert [ops.is_integer(model, operator) for operator in model.operators] == [True, True, False, False, False]
    assert [ops.bounds(model, operator) is None for operator in model.operators] == [False, False, True, True, True]


def test_macs_of_resnet23():
    model = random_resnet23()
    assert sum(ops.macs(model, operator) for operator in model.operators) == 37_765_760


def test_macs_of_a_depthwise_convolution():
    net = NetworkBuilder()
    x = net.activation("x", (1, 8, 8, 16), "FIXED8_0")
    kernel = net.constant("kernel", random_stored(np.random.default_rng(0), QFormat.parse("SIGN"), (16, 3, 3, 1)), "SIGN")
    y = net.apply("CONV_2D", (x, kernel, ABSENT, ABSENT), "FIXED16_0", groups=16, padding=(1, 1, 1, 1), strides=(2, 2))
    model = net.build((x,), (y,))
    assert ops.macs(model, model.operators[0]) == 4 * 4 * 16 * 9


def test_operands_go_by_name():
    """No part of the product finds an operand by its place: that is what rows are for."""
    folders = [Path(package.__file__).parent for package in (kerasq, kerasq_convert)]
    places = re.compile(r"\boperator\.inputs\[|len\(operator\.inputs\)")
    sources = {path: path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")}
    assert len(sources) > 200
    found = {
        path.name: text[match.start() :].splitlines()[0] for path, text in sources.items() for match in places.finditer(text)
    }
    assert set(found) == {"spec.py", "checks.py"}, found  # the row itself, and whether there are as many as it has


def test_rows_have_the_names_of_version_0_1_0_too():
    operator = Operator(OperatorKind.DENSE, (0, 1, ABSENT, 2), (3,))
    row = ops.TABLE[OperatorKind.DENSE]
    assert row.slots == row.operands
    assert [(slot.name, index) for slot, index in row.given(operator)] == [
        ("input", 0),
        ("kernel", 1),
        ("multiplier", ABSENT),
        ("bias", 2),
    ]
    assert ops.Slot("fifth input", ("FIXED8",), False, False, True) == ops.Operand("fifth input", ("FIXED8",), trailing=True)
