"""The test vector that a .kq file may carry: one example, and a checksum of every tensor that is computed from it.

    model = kerasq.format.load("model.kq")
    kerasq.format.dump(with_selftest(model, [image]), "model.kq")        # kerasq-convert --embed_test does it

`kq_selftest` of the C runtime (`kqrun selftest`, or a firmware on its own processor) computes the example and names the first
operator whose output differs from what the reference engine computed here. A vector costs the bytes of the inputs, and 4 for
each operator.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, SelfTest
from kerasq.format.packing import pack
from kerasq.interpreter.batches import Batches
from kerasq.interpreter.reference import ReferenceEngine

NOT_CHECKED = 0


def with_selftest(model: Model, example: Sequence[np.ndarray]) -> Model:
    """`model` with a test vector in place of the one that it may have.

    Args:
        model: A network that keeps the rules of the format.
        example: An array for each input of the network, with a batch axis; the first example is taken. Floats are values and are
            quantized to the input's format, arrays of its stored dtype are stored integers.

    Raises:
        ValueError: Number or shapes of the arrays don't fit, there is no example in them, or a value is NaN or infinite.
        TypeError: An element type fits neither values nor stored integers.
    """
    for index, values in zip(model.inputs, example, strict=False):
        values = np.asarray(values)
        unusable = np.count_nonzero(~np.isfinite(values[:1])) if values.dtype.kind == "f" and values.ndim else 0
        if unusable:
            raise ValueError(
                f"A test vector must hold finite numbers only. Received for {model.tensors[index].name!r}: {unusable} values "
                "that are NaN or infinite"
            )
    batches = Batches(model, list(example) if len(model.inputs) > 1 else example[0])
    if not batches.examples:
        raise ValueError("A test vector needs an example. Received: 0 examples")
    stored = batches.stored(slice(0, 1))
    checksums = dict.fromkeys(model.inputs, NOT_CHECKED)
    exact = exact_tensors(model)

    def observe(index: int, values: np.ndarray) -> None:
        # A checksum that happens to be NOT_CHECKED, one in 2**32, is one tensor fewer to compare.
        checksums[index] = zlib.crc32(pack(values, model.tensors[index].format)) if index in exact else NOT_CHECKED

    ReferenceEngine(model).run(stored, observe)
    content = b"".join(pack(values, model.tensors[index].format) for index, values in zip(model.inputs, stored, strict=True))
    vector = SelfTest(content, tuple(checksums[operator.outputs[0]] for operator in model.operators))
    return dataclasses.replace(model, test=vector)


def random_example(model: Model, seed: int = 0) -> list[np.ndarray]:
    """An example of noise for each input: stored integers over the whole range; for a FLOAT32 input, values over the range of the
    format into which the network quantizes it, else of a standard normal distribution.

    Noise visits every operator but, unlike an example of what the network was trained for, may leave many of them saturated.
    """
    rng = np.random.default_rng(seed)
    example = []
    for index in model.inputs:
        tensor = model.tensors[index]
        if tensor.format.is_float:
            limits = _quantized_range(model, index)
            values = rng.uniform(*limits, tensor.shape) if limits else rng.standard_normal(tensor.shape)
            example.append(values.astype(np.float32))
        else:
            integers = rng.integers(tensor.format.min_int, tensor.format.max_int, tensor.shape, endpoint=True)
            example.append(integers.astype(tensor.format.dtype))
    return example


def exact_tensors(model: Model) -> set[int]:
    """Computed tensors that every engine gives to the bit: fixed ones, unless inexact floats went into them."""
    inexact: set[int] = set()
    for operator in model.operators:
        rounds_freely = ops.TABLE[operator.kind].float_tolerance > 0 and not ops.is_integer(model, operator)
        if rounds_freely or not inexact.isdisjoint(_read(operator)):
            inexact.update(operator.outputs)
    outputs = (operator.outputs[0] for operator in model.operators)
    return {index for index in outputs if index not in inexact and not model.tensors[index].format.is_float}


def _read(operator: Operator) -> list[int]:
    return [index for index in operator.inputs if index != ABSENT]


def _quantized_range(model: Model, index: int) -> tuple[float, float] | None:
    for operator in model.operators:
        output = model.output(operator).format
        if operator.kind is OperatorKind.QUANTIZE and index in operator.inputs and output.is_fixed:
            return output.min, output.max
    return None
