"""A small sound model, and one for each semantic rule of the format that breaks it."""

import dataclasses

import numpy as np

from kerasq.conformance.samples import ModelBuilder
from kerasq.format import OperatorKind, SelfTest
from kerasq.qformat import QFormat


def base():
    """x (bytes 0..48) -> conv y (48..112) -> reshape z, in place -> dense out (0..3)."""
    net = ModelBuilder(seed=5)
    x = net.activation("x", "FIXED8_4", 1, 4, 4, 3)
    conv_inputs = [x, net.constant("conv/kernel", "SIGN", 4, 3, 3, 3), -1, net.constant("conv/bias", "FIXED8_4", 4)]
    y = net.operator(OperatorKind.CONV_2D, conv_inputs, net.activation("y", "FIXED8_1", 1, 4, 4, 4), padding=(1, 1, 1, 1))
    z = net.operator(OperatorKind.RESHAPE, [y], net.activation("z", "FIXED8_1", 1, 64))
    dense_inputs = [z, net.constant("dense/kernel", "FIXED4_3", 3, 64), -1, -1]
    net.operator(OperatorKind.DENSE, dense_inputs, net.activation("out", "FIXED8_0", 1, 3), clamp=(-5, 100))
    return net.model([x], metadata={"producer": "a test"})


X, KERNEL, BIAS, Y, Z, DENSE_KERNEL, OUT = range(7)


def tensor(index, **changes):
    def change(model):
        tensors = list(model.tensors)
        tensors[index] = dataclasses.replace(tensors[index], **changes)
        return dataclasses.replace(model, tensors=tuple(tensors))

    return change


def operator(position, **changes):
    def change(model):
        operators = list(model.operators)
        operators[position] = operators[position].replace(**changes)
        return dataclasses.replace(model, operators=tuple(operators))

    return change


def model(**changes):
    return lambda model: dataclasses.replace(model, **changes)


def data(index, value):
    def change(model):
        values = model.tensors[index].data.copy()
        values.flat[1] = value
        return tensor(index, data=values)(model)

    return change


def extra(name, *shape, **fields):
    def change(model):
        added = dataclasses.replace(model.tensors[X], name=name, shape=shape, **fields)
        return dataclasses.replace(model, tensors=(*model.tensors, added))

    return change


FLOAT = QFormat.parse("FLOAT32")
RULES = {
    # the model
    "alignment 0": (model(arena_alignment=0), "arena_alignment must be a power of two, 4..256. Received: arena_alignment=0"),
    "alignment 2": (model(arena_alignment=2), "arena_alignment must be a power of two, 4..256. Received: arena_alignment=2"),
    "alignment 24": (model(arena_alignment=24), "arena_alignment=24"),
    "alignment 512": (model(arena_alignment=512), "arena_alignment=512"),
    "arena too large": (model(arena_bytes=2**31), "arena_bytes must lie in 0..2147483647. Received: arena_bytes=2147483648"),
    "no input": (model(inputs=()), "a model has inputs, each named once. Received: inputs=()"),
    "no output": (model(outputs=()), "a model has outputs, each named once"),
    "input twice": (model(inputs=(X, X)), "a model has inputs, each named once. Received: inputs=(0, 0)"),
    "output twice": (model(outputs=(OUT, OUT)), "a model has outputs, each named once"),
    "input out of range": (model(inputs=(X, 7)), "inputs are indices of activations. Received: index 7"),
    "input negative": (model(inputs=(X, -1)), "inputs are indices of activations. Received: index -1"),
    "constant as input": (model(inputs=(X, BIAS)), "inputs are indices of activations. Received: tensor 2 'conv/bias'"),
    "constant as output": (model(outputs=(OUT, BIAS)), "outputs are indices of activations. Received: tensor 2 'conv/bias'"),
    "output out of range": (model(outputs=(OUT, 99)), "outputs are indices of activations. Received: index 99"),
    "metadata too many": (model(metadata={str(i): "" for i in range(257)}), "a model has at most 256 metadata entries"),
    "metadata empty key": (model(metadata={"": "x"}), "under keys that are not empty. Received: '': 'x'"),
    "metadata with NUL": (model(metadata={"a": "x\0y"}), "metadata are texts without NUL"),
    "input names too few": (
        lambda m: dataclasses.replace(m, inputs=(X, Y), input_names=("a",)),
        "input_names are none, or one for each input, at most 256. Received: 1 names for 2 inputs",
    ),
    "output names too many": (
        model(output_names=("a", "b")),
        "output_names are none, or one for each output, at most 256. Received: 2 names for 1 outputs",
    ),
    "input name empty": (model(input_names=("",)), "each is a text without NUL of 1 to 1024 bytes. Received: ('',)"),
    "input name too long": (model(input_names=("ä" * 513,)), "input_names differ from each other, and each is a text"),
    "output name with NUL": (model(output_names=("a\0b",)), r"output_names differ from each other, and each is a text"),
    "output names equal": (
        lambda m: dataclasses.replace(m, outputs=(Y, OUT), output_names=("a", "a")),
        "output_names differ from each other, and each is a text without NUL of 1 to 1024 bytes. Received: ('a', 'a')",
    ),
    "test input too short": (
        model(test=SelfTest(bytes(47), (1, 2, 3))),
        "the test vector's input must have 48 bytes, all inputs together. Received: 47 bytes",
    ),
    "test input too long": (model(test=SelfTest(bytes(49), (1, 2, 3))), "the test vector's input must have 48 bytes"),
    "test without a checksum": (
        model(test=SelfTest(bytes(48), (1, 2))),
        "the test vector must have 3 checksums, one per operator. Received: 2 checksums",
    ),
    "test checksum of 33 bits": (
        model(test=SelfTest(bytes(48), (1, 2, 2**32))),
        "checksums of the test vector lie in 0..4294967295. Received: (1, 2, 4294967296)",
    ),
    # tensors
    "empty name": (tensor(X, name=""), "tensor 0 '': a name is a text"),
    "long name": (tensor(X, name="ä" * 513), "a name is a text without NUL of 1 to 1024 bytes"),
    "name with NUL": (tensor(X, name="a\0b"), r"tensor 0 'a\x00b': a name"),
    "name with a surrogate": (tensor(X, name="a\ud800"), r"tensor 0 'a\ud800': a name"),
    "name twice": (tensor(Y, name="x"), "2 tensors are called 'x'"),
    "family as format": (tensor(X, format=QFormat.parse("FIXED8")), "tensor 0 'x': the number of fractional bits is not chosen"),
    "SIGN activation": (tensor(Y, format=QFormat.parse("SIGN")), "tensor 3 'y': an activation is FIXED16, FIXED8, FLOAT32"),
    "4-bit activation": (tensor(Y, format=QFormat.parse("UFIXED4_0")), "tensor 3 'y': an activation is"),
    "32-bit activation": (tensor(Y, format=QFormat.parse("FIXED32_0")), "tensor 3 'y': an activation is"),
    "batch of 2": (tensor(X, shape=(2, 4, 3, 2)), "tensor 0 'x': an activation begins with the batch axis 1"),
    "rank 1 activation": (tensor(OUT, shape=(1,)), "tensor 6 'out': an activation begins with the batch axis 1"),
    "data of another type": (tensor(BIAS, data=np.zeros(4, np.int16)), "tensor 2 'conv/bias': data of FIXED8_4 must be an"),
    "data of another shape": (tensor(BIAS, data=np.zeros(5, np.int8)), "tensor 2 'conv/bias': data of FIXED8_4 must be an"),
    "zero in SIGN": (data(KERNEL, 0), "tensor 1 'conv/kernel': SIGN stores +1 and -1. Received: 1 zeros"),
    "2 in SIGN": (data(KERNEL, 2), "tensor 1 'conv/kernel': SIGN stores +1 and -1. Received: 0 zeros, values -1..2"),
    "-128 in SIGN": (data(KERNEL, -128), "tensor 1 'conv/kernel': SIGN"),
    "8 in FIXED4": (data(DENSE_KERNEL, 8), "tensor 5 'dense/kernel': FIXED4_3 stores -8..7. Received: -8..8"),
    "NaN constant": (
        tensor(BIAS, format=FLOAT, data=np.array([0, np.nan, np.inf, 0], np.float32)),
        "tensor 2 'conv/bias': constants are finite. Received: 2 values",
    ),
    "constant with an offset": (tensor(BIAS, offset=0), "tensor 2 'conv/bias': a constant has no place in the arena"),
    "no offset": (tensor(Y, offset=None), "tensor 3 'y': an activation has a place in the arena. Received: offset=None"),
    "negative offset": (tensor(Y, offset=-16), "tensor 3 'y': an activation has a place in the arena. Received: offset=-16"),
    "offset not aligned": (tensor(OUT, offset=8), "tensor 6 'out': the offset must be a multiple of 16. Received: offset=8"),
    "behind the arena": (tensor(OUT, offset=112), "tensor 6 'out': 3 bytes at offset 112 leave the arena of 112 bytes"),
    "arena too small": (model(arena_bytes=40), "tensor 0 'x': 48 bytes at offset 0 leave the arena of 40 bytes"),
    "activation unused": (extra("left over", 1, 3), "tensor 7 'left over' is an activation that nothing uses"),
    # operators
    "operand out of range": (operator(0, inputs=(X, 77, -1, BIAS)), "operator 0, CONV_2D 'y': an input is the index of a"),
    "operand below ABSENT": (operator(0, inputs=(X, KERNEL, -2, BIAS)), "operator 0, CONV_2D 'y': an input is the index"),
    "read before written": (operator(0, inputs=(Y, KERNEL, -1, BIAS)), "operator 0, CONV_2D 'y': reads tensor 3 'y' before"),
    "order reversed": (
        lambda model: dataclasses.replace(model, operators=(model.operators[0], *model.operators[:0:-1])),
        "operator 1, DENSE 'out': reads tensor 4 'z' before anything has written it",
    ),
    "constant written": (operator(0, outputs=(BIAS,)), "an output is the index of an activation. Received: tensor 2 'conv/bias'"),
    "output index out of range": (operator(2, outputs=(7,)), "operator 2, DENSE without output: an output is the index"),
    "input written": (operator(0, outputs=(X,)), "operator 0, CONV_2D 'x': writes tensor 0 'x', which is an input"),
    "written twice": (operator(1, outputs=(Y,)), "operator 1, RESHAPE 'y': writes tensor 3 'y', which is an input or written"),
    "nothing written": (operator(1, outputs=()), "operator 1, RESHAPE without output: every operator writes one tensor"),
    "two written": (operator(2, outputs=(OUT, Z)), "operator 2, DENSE 'out': every operator writes one tensor"),
    "output never written": (
        lambda model: dataclasses.replace(model, operators=model.operators[:2]),
        "output tensor 6 'out' is never written",
    ),
    "stride too large": (operator(0, strides=(65536, 1)), "operator 0, CONV_2D 'y': strides, dilations, padding, window"),
    "padding negative": (operator(0, padding=(-1, 1, 1, 1)), "operator 0, CONV_2D 'y': strides, dilations, padding, window"),
    "stride 0": (operator(0, strides=(0, 1)), "operator 0, CONV_2D 'y': "),
    "clamp reversed": (operator(2, clamp=(3, 2)), "operator 2, DENSE 'out': the clamp"),
    "clamp outside": (operator(2, clamp=(0, 128)), "operator 2, DENSE 'out': the clamp"),
    "clamp fractional": (operator(2, clamp=(0.5, 1)), "operator 2, DENSE 'out': the clamp"),
    "clamp NaN": (operator(2, clamp=(float("nan"), 1)), "operator 2, DENSE 'out': the clamp"),
    "output shape": (tensor(OUT, shape=(1, 4)), "operator 2, DENSE 'out': the output must have shape (1, 3)"),
    "accumulator width": (operator(0, accumulator_bits=16), "operator 0, CONV_2D 'y': accumulator_bits must be 32 or 64"),
    "kernel absent": (operator(0, inputs=(X, -1, -1, BIAS)), "operator 0, CONV_2D 'y': the kernel is absent"),
    "arity": (operator(1, inputs=(Y, Y)), "operator 1, RESHAPE 'z': must have 1 inputs"),
    # plan
    "overlap": (tensor(Y, offset=32), "tensor 3 'y' at bytes 32..96 of the arena overlaps tensor 0 'x' at 0..48 while both"),
    "overlap at the end": (tensor(OUT, offset=96), "tensor 6 'out' at bytes 96..99 of the arena overlaps tensor 4 'z'"),
}  # fmt: skip
