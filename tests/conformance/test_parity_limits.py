"""Python and the runtime in C agree where numbers are largest: accumulators, plans, as many tensors as a file may have."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from conformance.compared import unchecked
from format.kq_bytes import MINIMAL, build
from kerasq.conformance import parity
from kerasq.conformance.samples import ModelBuilder
from kerasq.format import Model, Operator, OperatorKind, loads

SEED = 20240607


def test_the_proof_at_its_limits(runtime):
    """Widths recorded one too narrow and just wide enough, around 2**31 and 2**63."""
    counts = Counter()
    for places in range(64):
        for weight in (1, 127, -128):
            for bits in ((32, 32), (32, 64), (64, 64)):
                counts[parity.compare(unchecked(scaled(places, weight, bits)), runtime)] += 1
    print(counts)
    assert counts["ran"] > 50
    assert counts["refused"] > 50


def scaled(places, weight, widths):
    """One product, x * weight * m + (b << places), with records of these widths."""
    net = ModelBuilder()
    x = net.activation("x", f"UFIXED16_{places}", 1, 1)
    kernel = net.constant("kernel", "FIXED8_0", 1, 1, data=np.full((1, 1), weight))
    factor = net.constant("multiplier", "FIXED32_0", 1, data=np.array([(1 << places % 32) - 1]))
    bias = net.constant("bias", "FIXED32_0", 1, data=np.array([-(2**31) if weight < 0 else 1]))
    y = net.activation("y", "FIXED16_0", 1, 1)
    net.operator(OperatorKind.DENSE, [x, kernel, factor, bias], y)
    operator = net.operators[0].replace(accumulator_bits=widths[0], total_bits=widths[1])
    tensors = tuple(
        dataclasses.replace(tensor, offset=16 * index) if tensor.data is None else tensor
        for index, tensor in enumerate(net.tensors)
    )
    return Model(tensors, (operator,), (x,), (y,), arena_bytes=80)


@pytest.mark.parametrize("kind", ["DENSE", "CONV_2D"])
def test_fractional_bits_of_a_sum_in_float(kind, runtime):
    """Up to 126 of them, where a sum in integers has less than 64: no tier shifts by their number."""
    files = []
    for places, x_format in ((63, "FLOAT32"), (-32, "FLOAT32"), (63, "FIXED8_63")):
        net = ModelBuilder()
        x = net.activation("x", x_format, *((1, 3) if kind == "DENSE" else (1, 1, 1, 3)))
        kernel = net.constant("kernel", f"FIXED16_{places}", *((5, 3) if kind == "DENSE" else (5, 1, 1, 3)))
        multiplier = net.constant("multiplier", f"FIXED32_{places}" if x_format == "FLOAT32" else "FLOAT32", 5)
        for form in ("FLOAT32", "FIXED8_-32"):
            y = net.activation(f"y{form}", form, *((1, 5) if kind == "DENSE" else (1, 1, 1, 5)))
            net.operator(OperatorKind(kind), [x, kernel, multiplier, -1], y)
        files.append(unchecked(net.model([x], [3, 4])))
    assert [parity.compare(content, runtime) for content in files] == ["ran"] * 3


def normalized(places, epsilon, form):
    """Three values of so many fractional bits; a file that the writer may refuse."""
    net = ModelBuilder()
    x = net.activation("x", f"FIXED8_{places}", 1, 3)
    constant = net.constant("epsilon", form, 1, data=np.array([epsilon]))
    y = net.activation("y", "FIXED8_6", 1, 3)
    operator = Operator(OperatorKind.NORMALIZE, (x, constant), (y,), window=(1, 1), groups=3, accumulator_bits=64)
    tensors = tuple(
        dataclasses.replace(tensor, offset=16 * index) if tensor.data is None else tensor
        for index, tensor in enumerate(net.tensors)
    )
    return unchecked(Model(tensors, (operator,), (x,), (y,), arena_bytes=48))


def test_an_epsilon_of_zero_in_any_format(runtime):
    """In units of the input squared it has up to 158 places more, or 127 less: nothing shifts by their number."""
    files = [normalized(places, 0, f"FIXED16_{finest}") for places, finest in ((63, -32), (-32, 63), (0, 0))]
    assert [parity.compare(content, runtime) for content in files] == ["ran"] * 3


def test_the_proof_of_an_epsilon_at_its_limit(runtime):
    """2**62 for the squares, and 2**60 or 2**62 for an epsilon of 1."""
    assert [parity.compare(normalized(places, 1, "FIXED16_0"), runtime) for places in (30, 31)] == ["ran", "refused"]


def test_rows_that_lose_a_bit_are_not_copied(runtime):
    """Table and output of one type, which differ by a place."""
    net = ModelBuilder()
    numbers, table = net.activation("numbers", "UFIXED8_0", 1, 5), net.constant("table", "FIXED8_5", 7, 9)
    net.operator(OperatorKind.GATHER, [numbers, table], net.activation("rows", "FIXED8_4", 1, 5, 9))
    assert parity.compare(unchecked(net.model([numbers])), runtime) == "ran"


def test_plans_of_many_tensors(runtime):
    """Random plans, most of them tight: both see the same collisions."""
    print(f"seed {SEED}")
    generator = np.random.default_rng(SEED)
    counts = Counter()
    for _ in range(300):
        counts[parity.compare(unchecked(random_plan(generator, int(generator.integers(2, 40)))), runtime)] += 1
    print(counts)
    assert counts["ran"] > 50
    assert counts["refused"] > 50


def random_plan(generator, operators):
    """A network of ADD, RESHAPE and QUANTIZE with a sound plan, in which sometimes one tensor is moved."""
    net = ModelBuilder()
    inputs = [net.activation(f"x{i}", "FIXED8_0", 1, 20) for i in range(generator.integers(1, 4))]
    known = list(inputs)
    for position in range(operators):
        recent = known[-5:]
        a, b = (recent[generator.integers(len(recent))] for _ in range(2))
        y = net.activation(f"y{position}", "FIXED8_0", 1, 20)
        kind = (OperatorKind.ADD, OperatorKind.RESHAPE, OperatorKind.QUANTIZE)[generator.integers(3)]
        known.append(net.operator(kind, [a, b] if kind is OperatorKind.ADD else [a], y))
    outputs = sorted({known[-1], *(known[i] for i in generator.integers(len(known), size=generator.integers(0, 4)))})
    model = net.model(inputs, outputs)
    if generator.random() < 0.5:
        return model
    index = int(generator.integers(len(model.tensors)))
    moved = int(generator.integers(0, max(model.arena_bytes - 16, 16), endpoint=True)) // 16 * 16
    tensors = list(model.tensors)
    tensors[index] = dataclasses.replace(tensors[index], offset=moved)
    return dataclasses.replace(model, tensors=tuple(tensors), arena_bytes=model.arena_bytes + 32)


def chain(count, *, kept=False, names=None):
    """`count` activations, each computed from the one before; `kept`: all of them are outputs, so all are alive at the end."""
    shape = [1, 1]
    tensors = [
        {
            "name": names(index) if names else f"{index:x}",
            "shape": shape,
            "type": 2,
            "offset": 16 * (count - 1 - index) if kept else 16 * (index % 2),
        }
        for index in range(count)
    ]
    return build(
        {
            "version": 1,
            "tensors": tensors,
            "operators": [
                {"kind": 7, "inputs": [index - 1], "outputs": [index], "accumulator_bits": 32} for index in range(1, count)
            ],
            "inputs": [0],
            "outputs": list(range(count)) if kept else [count - 1],
            "arena_bytes": 16 * count if kept else 32,
            "arena_alignment": 16,
        }
    )


@pytest.mark.parametrize("kept", [False, True])
def test_as_many_tensors_as_a_file_may_have(kept, runtime):
    """2**16 of them, all alive at once or two at a time: what is quadratic in them would take minutes."""
    content = chain(1 << 16, kept=kept)
    assert runtime.answer(content)[0] == "ran"
    assert len(loads(content).tensors) == 1 << 16


def test_long_names_that_differ_late(runtime):
    content = chain(4096, names=lambda index: f"{index:>1024}")
    assert parity.compare(content, runtime) == "ran"
    assert parity.compare(content.replace(f"{4095:>1024}".encode(), f"{17:>1024}".encode()), runtime) == "refused"


def test_sharing_is_limited(runtime):
    data = bytes(100_000)
    tensors = [{"name": f"w{i}", "shape": [1, 800_000], "type": 8, "data": data} for i in range(200)]
    content = build({**MINIMAL, "tensors": [*MINIMAL["tensors"][:2], *tensors]})
    assert parity.compare(content, runtime) == "refused"


def test_a_kernel_of_2_to_the_16_rows(runtime):
    def tall(rows):
        net = ModelBuilder()
        x = net.activation("x", "FIXED8_0", 1, rows, 1, 1)
        kernel = net.constant("kernel", "SIGN", 1, rows, 1, 1)
        y = net.activation("y", "FIXED16_0", 1, 1, 1, 1)
        net.operator(OperatorKind.CONV_2D, [x, kernel, -1, -1], y)
        return unchecked(net.model([x]))

    assert parity.compare(tall(65535), runtime) == "ran"
    assert parity.compare(tall(65536), runtime) == "refused"
