"""Every operator in LiteRT: from our stored inputs to our stored outputs, or one unit beside them."""

from __future__ import annotations

import collections
import dataclasses
import importlib

import numpy as np
import pytest

import kerasq
from kerasq.conformance.samples import SAMPLES
from kerasq.format.model import Model, OperatorKind
from kerasq_convert.tflite import TfliteError, to_tflite
from networks import NetworkBuilder, random_inputs
from practical_operators import KINDS, practical_model
from random_operators import OPERATORS, random_model

LiteRT = pytest.importorskip("ai_edge_litert.interpreter").Interpreter

COUNT = 24
# Units in the last place. Before an addend that is coarser than the sum, products are, too; those in 16 bits have factors of 15.
MOST, MOST_WITH_ADDEND, MOST_IN_16_BITS = 1, 3, 5
# Of the values that may differ at all: halves, mostly.
SHARE, SHARE_WITH_ADDEND = 0.03, 0.25


def without_lowest(model: Model) -> Model:
    """The same with -127 for weights of -128, which TFLite has not."""
    tensors = (
        dataclasses.replace(tensor, data=np.maximum(tensor.data, -127)) if tensor.name == "kernel" else tensor
        for tensor in model.tensors
    )
    return dataclasses.replace(model, tensors=tuple(tensors))


def in_tflite(content: bytes, model: Model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs as we store them."""
    interpreter = LiteRT(model_content=content)
    interpreter.allocate_tensors()
    for details, stored, index in zip(interpreter.get_input_details(), inputs, model.inputs, strict=True):
        flipped = model.tensors[index].format.family == "UFIXED8"
        interpreter.set_tensor(details["index"], (stored ^ 0x80).view(np.int8) if flipped else stored)
    interpreter.invoke()
    outputs = []
    for details, index in zip(interpreter.get_output_details(), model.outputs, strict=True):
        values = interpreter.get_tensor(details["index"])
        flipped = model.tensors[index].format.family == "UFIXED8" and values.dtype == np.int8  # labels are int32
        outputs.append(values.view(np.uint8) ^ 0x80 if flipped else values)
    return outputs


# All but a normalization, which has no equivalent there (see below).
@pytest.mark.parametrize("kind", [*KINDS, *(f"random {kind}" for kind in OPERATORS if kind != "normalize")])
def test_operators(kind):
    count = collections.Counter()
    for seed in range(COUNT):
        name = kind.removeprefix("random ")
        model = without_lowest(practical_model(name, seed) if name == kind else random_model(name, seed))
        try:
            file = to_tflite(model)
        except TfliteError:
            count["refused"] += 1
            continue
        assert file.clipped == 0
        inputs = random_inputs(model, seed, 1)
        inputs = inputs if isinstance(inputs, list) else [inputs]
        expected = kerasq.Interpreter(model_content=model).predict(inputs, raw=True)
        expected = expected if isinstance(expected, list) else [expected]
        with_addend = any(len(operator.inputs) > 4 for operator in model.operators if operator.kind == OperatorKind.CONV_2D)
        most = MOST_IN_16_BITS if model.tensors[model.outputs[0]].format.bits == 16 else MOST_WITH_ADDEND if with_addend else MOST
        for found, wanted in zip(in_tflite(file.content, model, inputs), expected, strict=True):
            distance = np.abs(found.astype(np.float64) - wanted)
            assert distance.max() <= most, f"{kind} {seed}"
            group = "addend" if with_addend else "plain"
            count[group] += distance.size
            count[f"{group} differ"] += np.count_nonzero(distance) if model.tensors[model.outputs[0]].format.bits <= 8 else 0
    assert count["refused"] < COUNT
    assert count["plain differ"] <= SHARE * count["plain"]
    assert count["addend differ"] <= SHARE_WITH_ADDEND * count["addend"]


SAME, RAGGED = {"padding": (1, 1, 1, 1), "zero": 60}, {"padding": (2, 0, 0, 1), "zero": 60}
POOLS = {  # kind, format and attributes of a pooling, size and attributes of a convolution behind it
    "g": ("AVERAGE_POOL_2D", "UFIXED8_6", {"window": (6, 5)}, 1, {}),
    "s": ("AVERAGE_POOL_2D", "FIXED8_4", {"window": (6, 5)}, 1, {}),
    "x": ("MAX_POOL_2D", "UFIXED8_5", {"window": (2, 2), "padding": (1, 0, 0, 1)}, 3, SAME),
    "h": ("AVERAGE_POOL_2D", "UFIXED8_3", {"window": (1, 1)}, 3, SAME | {"zero": 200}),
    "l": ("MAX_POOL_2D", "UFIXED8_5", {"window": (2, 2)}, 3, SAME | {"zero": 7}),
}


def with_table(seed: int, readers: str, output: str = "FIXED8_3") -> Model:
    """A table whose zero is 60, and what is computed from it by operators of these kinds.

    "p": a padded convolution; "q": one whose zero is 7; "d": a padded depthwise one; "v": one without padding; "f": a Dense
    layer; "m": a product; "w": one with the table itself as its second factor, too; "a": an addition; "g": a convolution of its
    average, in steps half as large; "s": of its average in a signed format; "x": a padded one of its maxima, which have an odd
    border; "l": one of its maxima, with a zero of 7; "h": one of it in coarser steps, with a zero that it has no integer for;
    "o": an output of the network. With "c" the table is clamped.
    """
    rng, net = np.random.default_rng([seed, *readers.encode()]), NetworkBuilder()
    x = net.activation("x", (1, 6, 5, 4), "FIXED8_4")
    coarse, clamp = 4 if "h" in readers else 1, (40, 200) if "c" in readers else None
    table = net.constant("table", coarse * rng.integers(0, 256 // coarse, 256), "UFIXED8_5")
    y = net.apply("LOOKUP", (x, table), "UFIXED8_5", "table/output", clamp=clamp)
    made = []

    def weighted(name: str, kind: str, shape: tuple[int, ...], x: int = y, **attributes) -> int:
        parts = {"input": x, "kernel": net.constant(f"{name}/kernel", rng.integers(-127, 128, shape), "FIXED8_9")}
        if rng.random() < 0.7:
            parts["bias"] = net.constant(f"{name}/bias", rng.integers(-20000, 20000, shape[:1]), "FIXED16_12")
        if rng.random() < 0.5:
            multiplier = rng.choice([-9000, -12000, 0, 8000, 11000], shape[:1])
            parts["multiplier"] = net.constant(f"{name}/multiplier", multiplier, "FIXED16_13")
        return net.apply(kind, parts, output, **attributes)

    for position, reader in enumerate(readers):
        name = f"{reader}{position}"
        if reader in "pq":
            around = (SAME, RAGGED)[rng.integers(2)] | {"zero": 60 if reader == "p" else 7}
            made.append(weighted(name, "CONV_2D", (3, 3, 3, 4), **around))
        elif reader == "d":
            made.append(weighted(name, "CONV_2D", (4, 3, 3, 1), groups=4, **SAME))
        elif reader == "v":
            made.append(weighted(name, "CONV_2D", (3, 2, 2, 4), strides=(2, 2)))
        elif reader == "f":
            made.append(weighted(name, "DENSE", (3, 120)))
        elif reader in "mw":
            gate = y if reader == "w" else net.apply("MAX_POOL_2D", (x,), "FIXED8_4", window=(6, 5))
            made.append(net.apply("MUL", (y, gate), output, zero=60))
        elif reader == "o":
            made.append(y)
        elif reader in POOLS:
            kind, form, pooling, size, around = POOLS[reader]
            pooled = net.apply(kind, (y,), form, **pooling)
            made.append(weighted(name, "CONV_2D", (3, size, size, 4), x=pooled, **around))
        elif reader == "a":
            made.append(net.apply("ADD", (y, x), output))
    return net.build((x,), tuple(made))


def zero_points(content: bytes) -> list[tuple[str, list[int]]]:
    """Of each operator of a TFLite file its kind, and the zero points of what it reads and writes, in order."""
    schema = importlib.import_module("tensorflow.lite.python.schema_py_generated")
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    read = schema.ModelT.InitFromPackedBuf(content)
    (graph,) = read.subgraphs

    def of(operator) -> list[int]:
        tensors = (graph.tensors[index].quantization for index in (*operator.inputs, *operator.outputs))
        return [int(quantization.zeroPoint[0]) for quantization in tensors if quantization and quantization.scale is not None]

    return [(names[read.operatorCodes[operator.opcodeIndex].builtinCode], of(operator)) for operator in graph.operators]


@pytest.mark.parametrize("output", ["FIXED8_3", "UFIXED8_4", "FIXED16_9"])
@pytest.mark.parametrize(
    ("readers", "more", "zero"),
    [
        ("p", set(), 60), ("d", set(), 60), ("m", set(), 60), ("pdvfm", set(), 60), ("vf", set(), 0),
        ("pq", {"PADV2"}, 0), ("pa", {"PADV2"}, 0), ("ma", {"SUB"}, 0), ("w", {"SUB"}, 0), ("dvfma", {"PADV2", "SUB"}, 0),
        ("po", {"PADV2"}, 0), ("cd", {"PADV2"}, 0),
        ("x", {"PADV2"}, 60), ("l", set(), 7), ("xl", {"PADV2"}, 0), ("g", set(), 0), ("h", {"PADV2"}, 0),
        ("mg", set(), 60), ("mx", {"PADV2"}, 60), ("ms", {"SUB"}, 0), ("ml", {"PADV2", "SUB"}, 0),
    ],
)  # fmt: skip
def test_zeros_are_zero_points_or_have_an_operator(readers, more, zero, output):
    """Zero points serve where all readers can do with one; else who needs another has an operator more."""
    for seed in range(4):
        model = with_table(seed, readers, output)
        file = to_tflite(model)
        operators = zero_points(file.content)
        assert {kind for kind, _ in operators} & {"PADV2", "SUB"} == more
        assert [points for kind, points in operators if kind == "GATHER"] == [[-128 + zero] * 2]
        inputs = random_inputs(model, seed, 1)
        wanted = kerasq.Interpreter(model_content=model).predict(inputs, raw=True)
        pairs = zip(in_tflite(file.content, model, inputs), wanted if isinstance(wanted, list) else [wanted], strict=True)
        for reader, (found, values) in zip(readers.replace("c", ""), pairs, strict=True):
            distance = np.abs(found.astype(np.float64) - values)
            wide = output.startswith("FIXED16")
            assert distance.max() <= (MOST_IN_16_BITS if wide else MOST), (reader, seed)
            assert wide or np.count_nonzero(distance) <= SHARE * distance.size + 2, (reader, seed)


def test_weights_that_are_not_there_are_counted():
    net = NetworkBuilder()
    x = net.activation("x", (1, 4), "FIXED8_4")
    kernel = net.constant("kernel", np.array([[-128, 1, 2, -128], [3, 4, 5, 6]], np.int8), "FIXED8_7")
    model = net.build((x,), (net.apply("DENSE", (x, kernel, -1, -1), "FIXED8_2"),))
    assert to_tflite(model).clipped == 2


def test_a_negative_multiplier_changes_the_weights():
    net = NetworkBuilder()
    x = net.activation("x", (1, 3), "FIXED8_4")
    kernel = net.constant("kernel", np.array([[100, -50, 25], [1, 2, 3], [7, 7, 7]], np.int8), "FIXED8_6")
    multiplier = net.constant("multiplier", np.array([-64, 32, 0], np.int8), "FIXED8_6")
    model = net.build((x,), (net.apply("DENSE", (x, kernel, multiplier, -1), "FIXED8_3"),))
    stored = np.array([[16, 32, -80]], np.int8)
    (found,) = in_tflite(to_tflite(model).content, model, [stored])
    np.testing.assert_array_equal(found, kerasq.Interpreter(model_content=model).predict(stored, raw=True))


def test_everything_without_an_equivalent_is_told_at_once():
    net = NetworkBuilder()
    x = net.activation("x", (1, 4), "FIXED8_4")
    wide = net.apply("QUANTIZE", (x,), "UFIXED16_4", "wide")
    kernel = net.constant("dense/kernel", np.ones((2, 4), np.int16), "FIXED16_3")
    model = net.build((x,), (net.apply("DENSE", (wide, kernel, -1, -1), "FIXED8_4", "y"),))
    with pytest.raises(TfliteError) as caught:
        to_tflite(model)
    assert len(caught.value.problems) == 2
    for problem, name in zip(caught.value.problems, ("wide is UFIXED16_4", "dense/kernel is FIXED16_3"), strict=True):
        assert problem.startswith(name)
        assert "--settings" in problem


def test_normalizations_are_told_with_a_remedy():
    with pytest.raises(TfliteError) as caught:
        to_tflite(SAMPLES["normalized"]())
    told = [problem for problem in caught.value.problems if "is a NORMALIZE" in problem]
    assert len(told) == 3
    assert all("train with BatchNormalization in its place" in problem for problem in told)


def test_the_file_is_a_file_of_tflite():
    """Its identifier, names of the ends, and operators that its schema knows."""
    schema = importlib.import_module("tensorflow.lite.python.schema_py_generated")
    model = without_lowest(practical_model("convolution", 3))
    content = to_tflite(model).content
    assert content[4:8] == b"TFL3"
    read = schema.ModelT.InitFromPackedBuf(content)
    assert read.description.decode() == f"kerasq {kerasq.__version__}"
    (signature,) = read.signatureDefs
    assert [entry.name.decode() for entry in signature.inputs] == list(model.named_inputs())
    runner = LiteRT(model_content=content).get_signature_runner()
    assert list(runner.get_output_details()) == list(model.named_outputs())
