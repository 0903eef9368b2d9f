"""What kernels make of constants: shared by the operators of a constant, and in proportion to the constants of the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq import ops
from kerasq.format import ModelError, writer
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.qformat import QFormat
from kerasq.runtime import Network
from kerasq.verification import verifier
from networks import NetworkBuilder, random_inputs, random_resnet23, random_stored

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")

TIERS = kerasq.runtime.tiers() if kerasq.runtime.available() else ()
VECTOR_TIERS = [tier for tier in TIERS if tier != "portable"]
MODELS = Path(__file__).parents[2] / "examples" / "cifar10" / "models"
SHIPPED = sorted(path for path in MODELS.glob("*.kq") if "parameters" not in path.stem)
EACH, FREE = 16, 1 << 16  # kq_packing.h


def packed_bytes(content: bytes, tier: str) -> int:
    return Network(content, tier).state_bytes - Network(content, "portable").state_bytes


def constant_bytes(model: Model) -> int:
    return sum(tensor.nbytes for tensor in model.constants())


class Fan:
    """Operators that read the same input, and share constants. Every output is one of the network's."""

    def __init__(self, x: tuple[int, ...], form: str = "FIXED8_4") -> None:
        self.net, self.rng, self.outputs = NetworkBuilder(), np.random.default_rng(0), []
        self.x = [self.net.activation("x", x, QFormat.parse(form))]

    def constant(self, shape: tuple[int, ...], form: str) -> int:
        parsed = QFormat.parse(form)
        return self.net.constant(f"c{len(self.net.tensors)}", random_stored(self.rng, parsed, shape), parsed)

    def another_input(self, x: tuple[int, ...], form: str = "FIXED8_4") -> int:
        self.x.append(self.net.activation(f"x{len(self.x)}", x, QFormat.parse(form)))
        return self.x[-1]

    def apply(self, kind: str, inputs: tuple[int, ...], form: str = "FIXED8_0", **attributes) -> None:
        self.outputs.append(self.net.apply(kind, inputs, QFormat.parse(form), f"y{len(self.outputs)}", **attributes))

    def model(self) -> Model:
        return self.net.build(tuple(self.x), tuple(self.outputs))


def assert_in_proportion(model: Model, tier: str) -> list[str]:
    """Checks the state, and the outputs; returns the kernels."""
    content = file_format.dumps(model)
    assert packed_bytes(content, tier) <= EACH * constant_bytes(model) + FREE + 64
    x = random_inputs(model, seed=1, examples=2)
    outputs = [
        kerasq.Interpreter(model_content=content, engine=engine, isa=isa).predict(x, raw=True)
        for engine, isa in (("native", tier), ("reference", None))
    ]
    for found, expected in zip(*(y if isinstance(y, list) else [y] for y in outputs), strict=True):
        np.testing.assert_array_equal(found, expected)
    return [operator.kernel for operator in Network(content, tier).operators()]


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_equal_operators_share_everything(tier):
    sizes = []
    for count in (1, 50):
        fan = Fan((1, 6, 6, 32))
        kernel, bias = fan.constant((32, 3, 3, 32), "FIXED8_6"), fan.constant((32,), "FIXED32_8")
        for _ in range(count):
            fan.apply("CONV_2D", (0, kernel, ABSENT, bias), padding=(1, 1, 1, 1))
        model = fan.model()
        kernels = assert_in_proportion(model, tier)
        assert len(set(kernels)) == 1
        assert kernels[0].rpartition("_")[2] in ("avx2", "avx512")
        sizes.append(packed_bytes(file_format.dumps(model), tier))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_operators_that_differ_after_the_sum_share_the_kernel(tier):
    """An unrolled network: formats of inputs and outputs differ from step to step, the weights are one tensor."""
    fan = Fan((1, 512))
    kernel, bias = fan.constant((64, 512), "FIXED8_6"), fan.constant((64,), "FIXED32_8")
    for step in range(12):
        x = fan.another_input((1, 512), f"FIXED8_{step % 6 + 2}")
        fan.apply("DENSE", (x, kernel, ABSENT, bias if step % 2 else ABSENT), f"FIXED8_{step % 4}")
    fan.apply("DENSE", (0, kernel, ABSENT, ABSENT), "FLOAT32")
    model = fan.model()
    assert {kernel[:11] for kernel in assert_in_proportion(model, tier)} == {"kq_dense_av"}
    once = 64 * 512 * 2 * 17 / 16  # each step of 64 bytes may be split in two, and has a place
    assert packed_bytes(file_format.dumps(model), tier) < once + 13 * (64 * 16 + 512) + 4096


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_inputs_of_other_heights_share_the_kernel(tier):
    """The heads of a detector: one kernel over maps of several sizes; of other widths they need places of their own."""

    def size(*shapes: tuple[int, int]) -> int:
        fan = Fan((1, 4, 4, 32))
        kernel = fan.constant((32, 3, 3, 32), "FIXED8_6")
        for rows, columns in shapes:
            x = fan.another_input((1, rows, columns, 32))
            fan.apply("CONV_2D", (x, kernel, ABSENT, ABSENT), padding=(1, 1, 1, 1), strides=(2, 2))
        fan.apply("CONV_2D", (0, kernel, ABSENT, ABSENT), padding=(1, 1, 1, 1), strides=(2, 2))
        model = fan.model()
        assert_in_proportion(model, tier)
        return packed_bytes(file_format.dumps(model), tier)

    alone = size()
    assert size((8, 4), (9, 4)) < 1.3 * alone
    assert size((4, 8)) > 1.7 * alone


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_too_many_ways_to_use_a_kernel(tier):
    """Widths of the input all differ, so that each needs places of its own: those that come too late use the kernel as it is."""
    fan = Fan((1, 3, 3, 32))
    kernel = fan.constant((16, 3, 3, 32), "SIGN")
    for columns in range(3, 60):
        fan.apply("CONV_2D", (fan.another_input((1, 3, columns, 32)), kernel, ABSENT, ABSENT))
    fan.apply("CONV_2D", (0, kernel, ABSENT, ABSENT))
    kernels = assert_in_proportion(fan.model(), tier)
    assert kernels[0].startswith("kq_conv_2d_avx")
    assert kernels[-2] == "kq_conv_2d_s8_sign"  # the last finds the first one's part
    assert len(set(kernels)) == 2


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_a_kernel_that_would_grow_too_much(tier):
    """A single output of signs: 16 bytes for a bit."""
    fan = Fan((1, 40_000))
    kernel = fan.constant((1, 40_000), "SIGN")
    for _ in range(20):
        fan.apply("DENSE", (0, kernel, ABSENT, ABSENT))
    model = fan.model()
    assert set(assert_in_proportion(model, tier)) == {"kq_dense_s8_sign"}
    assert packed_bytes(file_format.dumps(model), tier) == 0


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("x", ["FIXED8_4", "UFIXED16_4", "FLOAT32"])
@pytest.mark.parametrize("kernel", ["SIGN", "FIXED2_1", "FIXED4_2", "FIXED8_4", "FIXED16_8", "FLOAT32"])
def test_no_usual_layer_is_affected(x, kernel, tier):
    if (x, kernel) == ("FLOAT32", "SIGN"):
        pytest.skip("32 bits of float for a bit")
    fan = Fan((1, 4, 4, 128), x)
    fan.another_input((1, 4096), x)
    for channels in (32, 64, 256):
        vectors = fan.constant((channels,), "FIXED16_8"), fan.constant((channels,), "FIXED32_0")
        fan.apply("CONV_2D", (0, fan.constant((channels, 3, 3, 128), kernel), *vectors), "FLOAT32")
        fan.apply("DENSE", (1, fan.constant((channels, 4096), kernel), *vectors), "FLOAT32")
    fan.apply("CONV_2D", (0, fan.constant((128, 3, 3, 1), kernel), ABSENT, ABSENT), "FLOAT32", groups=128)
    model = fan.model()
    content = file_format.dumps(model)
    assert all("_avx" in operator.kernel for operator in Network(content, tier).operators())
    assert packed_bytes(content, tier) <= EACH * constant_bytes(model) + FREE + 64


def test_constants_that_lie_over_each_other_count_once():
    """Eight tensors of the same bytes of the file."""
    fan = Fan((1, 64))
    kernels = [fan.constant((16, 64), "FIXED8_6") for _ in range(8)]
    for kernel in kernels:
        fan.apply("DENSE", (0, kernel, ABSENT, ABSENT))
    model = fan.model()
    same = [dataclasses.replace(t, data=model.tensors[kernels[0]].data) if t.is_constant else t for t in model.tensors]
    for tier in VECTOR_TIERS:
        assert_in_proportion(dataclasses.replace(model, tensors=tuple(same)), tier)


def shared(count: int, channels: int, *, vectors: bool) -> Model:
    """Convolutions over one pixel, with the same kernel of `channels` outputs."""
    form, wide = QFormat.parse("FIXED8_0"), QFormat.parse("FIXED16_0")
    tensors = [
        Tensor("x", (1, 1, 1, channels), form, offset=0),
        Tensor("kernel", (channels, 1, 1, channels), form, np.ones((channels, 1, 1, channels), np.int8)),
        Tensor("vector", (channels,), wide, np.ones(channels, np.int16)),
    ]
    row, operators = -(-channels // 16) * 16, []
    vector = 2 if vectors else ABSENT
    for number in range(count):
        tensors.append(Tensor(f"y{number}", (1, 1, 1, channels), form, offset=row * (1 + number)))
        inputs = (0, 1, vector, vector)
        operators.append(Operator(OperatorKind.CONV_2D, inputs, (len(tensors) - 1,), accumulator_bits=32, total_bits=64))
    return Model(tuple(tensors), tuple(operators), (0,), tuple(range(3, 3 + count)), row * (count + 1), 16)


@pytest.mark.parametrize("vectors", [False, True])
def test_a_kernel_is_summed_once(vectors, monkeypatch):
    """Read by each of the operators, it would be 10^9 weights: minutes for either engine."""
    model = shared(1000, 1000, vectors=vectors)
    content, calls = writer.unverified(model, 2), []
    read = Tensor.magnitudes.func
    monkeypatch.setattr(Tensor.magnitudes, "func", lambda tensor: calls.append(tensor.name) or read(tensor))
    assert verifier.problems(model) == []
    assert calls == ["kernel"]
    assert len(Network(content).operators()) == 1000


def test_what_a_file_may_make_a_verifier_read():
    """The limit is the same in both: multipliers and biases, counted for each operator."""
    for count, refused in ((32768, False), (32769, True)):
        model = shared(count, 1024, vectors=True)
        assert 2 * 1024 * count > verifier.MAX_VECTOR_READS or not refused
        problems = list(verifier._reads(model))
        assert (len(problems) == 1) is refused
        if refused:
            assert "67108864" in problems[0]
            assert problems[0] in verifier.problems(model)
            with pytest.raises(ModelError, match="too many"):
                Network(writer.unverified(model, 2))


def test_the_reference_shares_kernels():
    model = shared(50, 64, vectors=True)
    operands = [ops.weighted.Operands.of(ops.TABLE[operator.kind], model, operator) for operator in model.operators]
    stages = [ops.weighted.stages(*pair) for pair in zip(operands, model.operators, strict=True)]
    first = stages[0].arranged("rows", np.array)
    assert all(stage.arranged("rows", np.array) is first for stage in stages)


def state_for_each_weight(model: Model, tier: str) -> float:
    """Bytes of state beyond 64 KB for each value of a kernel, however many operators use it."""
    kernels = {ops.operand_index(operator, "kernel") for operator in model.operators} - {ABSENT}
    weights = sum(int(np.prod(model.tensors[index].shape)) for index in kernels)
    return (Network(file_format.dumps(model), tier).state_bytes - FREE) / weights


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("kernels", ["FIXED8", "SIGN", "FIXED16"])
@pytest.mark.parametrize(("buffers", "most"), [("FIXED8", 1.2), ("FIXED16", 2.3)])
def test_state_in_proportion_to_the_weights(buffers, most, kernels, tier):
    """1.5 million weights, beside which 64 KB hide nothing; a small network; and Dense layers of many sizes."""
    assert state_for_each_weight(random_resnet23(kernels, buffers, maps=256), tier) <= most
    assert state_for_each_weight(random_resnet23(kernels, buffers, maps=32), tier) <= most
    fan = Fan((1, 640), f"{buffers}_4")
    for outputs in (8, 100, 128, 640):
        fan.apply("DENSE", (0, fan.constant((outputs, 640), "FIXED8_6"), ABSENT, ABSENT))
    assert state_for_each_weight(fan.model(), tier) <= most


@pytest.mark.parametrize("tier", VECTOR_TIERS)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_state_of_the_networks_that_are_shipped(path, tier):
    assert state_for_each_weight(file_format.load(path), tier) <= 1.2


def mobilenet() -> Model:
    """The convolutions of a MobileNet 0.25 for 96x96 pixels, whose weights hardly exceed what is known of channels."""
    net, rng = NetworkBuilder(), np.random.default_rng(0)

    def constant(shape: tuple[int, ...], form: str) -> int:
        parsed = QFormat.parse(form)
        return net.constant(f"c{len(net.tensors)}", random_stored(rng, parsed, shape), parsed)

    def convolved(x: int, channels: int, size: int, stride: int, *, depthwise: bool) -> int:
        inputs = net.tensors[x].shape[3]
        shape = (channels, size, size, 1 if depthwise else inputs)
        operands = (x, constant(shape, "FIXED8_7"), constant((channels,), "FIXED8_6"), constant((channels,), "FIXED16_10"))
        padding, groups = (size // 2,) * 4, inputs if depthwise else 1
        return net.apply("CONV_2D", operands, QFormat.parse("UFIXED8_4"), strides=(stride,) * 2, padding=padding, groups=groups)

    image = net.activation("image", (1, 96, 96, 3), QFormat.parse("UFIXED8_8"))
    x = convolved(image, 8, 3, 2, depthwise=False)
    for channels in (16, 32, 32, 64, 64, *[128] * 6, 256, 256):
        stride = 2 if channels > net.tensors[x].shape[3] > 8 else 1
        x = convolved(convolved(x, net.tensors[x].shape[3], 3, stride, depthwise=True), channels, 1, 1, depthwise=False)
    return net.build((image,), (x,))


@pytest.mark.parametrize("tier", VECTOR_TIERS)
def test_state_of_a_network_of_small_kernels(tier):
    assert state_for_each_weight(mobilenet(), tier) <= 1.2
