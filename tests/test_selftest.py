"""Test vectors: checksums of what the reference engine computes, and which tensors are left out."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from kerasq import format as file_format
from kerasq.format.packing import pack
from kerasq.interpreter import Interpreter
from kerasq.selftest import NOT_CHECKED, random_example, with_selftest
from networks import NetworkBuilder, random_resnet23


def test_a_checksum_for_every_tensor():
    model = random_resnet23("SIGN", maps=8, size=16)
    image = np.random.default_rng(3).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    vector = with_selftest(model, [image]).test
    assert vector.input == image[0].tobytes()
    stored = Interpreter(model_content=model, engine="reference").tensors(image[:1])
    names = [model.output(operator).name for operator in model.operators]
    assert list(vector.checksums) == [zlib.crc32(pack(stored[name], model.tensor(name).format)) for name in names]


def test_values_are_quantized_and_a_vector_is_replaced():
    model = random_resnet23(maps=8, size=8)
    image = np.random.default_rng(3).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    first = with_selftest(model, random_example(model))
    second = with_selftest(first, [image.astype(np.float32)])
    assert second.test == with_selftest(model, [image]).test != first.test


def test_survives_the_file():
    model = with_selftest(random_resnet23(maps=8, size=8), [np.zeros((1, 8, 8, 3), np.uint8)])
    assert file_format.loads(file_format.dumps(model)).test == model.test


def mixed_network():
    """A float input, exactly quantized and summed, and a float CONV_2D, whose rounding depends on the engine."""
    net = NetworkBuilder()
    rng = np.random.default_rng(5)
    x = net.activation("x", (1, 4, 4, 2), "FLOAT32")
    quantized = net.apply("QUANTIZE", (x,), "FIXED8_4", "exact")
    kernel = net.constant("conv/kernel", rng.standard_normal((2, 1, 1, 2)).astype(np.float32), "FLOAT32")
    summed = net.apply("ADD", (x, x), "FIXED8_3", "exact_sum")
    convolved = net.apply("CONV_2D", (x, kernel, -1, -1), "FIXED8_4", "inexact")
    total = net.apply("ADD", (quantized, convolved), "FIXED8_3", "inexact_too")
    value = net.apply("QUANTIZE", (quantized,), "FLOAT32", "float")
    return net.build((x,), (total, summed, value))


def test_floats_and_what_was_computed_from_inexact_floats_are_not_checked():
    model = mixed_network()
    vector = with_selftest(model, random_example(model)).test
    names = [model.output(operator).name for operator in model.operators]
    checked = [name for name, checksum in zip(names, vector.checksums, strict=True) if checksum != NOT_CHECKED]
    assert checked == ["exact", "exact_sum"]


def test_noise_fits_every_input():
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 500), "UFIXED8_0"), net.activation("b", (1, 500), "FIXED16_2")
    total = net.apply("ADD", (a, b), "FIXED16_1", "total")
    model = net.build((a, b), (total,))
    first, second = random_example(model)
    assert (first.dtype, second.dtype) == (np.uint8, np.int16)
    assert first.max() > 250
    assert second.min() < -30000
    assert len(with_selftest(model, [first, second]).test.input) == 500 + 1000
    (values,) = random_example(mixed_network())
    assert values.dtype == np.float32
    assert np.abs(values).max() <= 8  # the range of FIXED8_4, into which the network quantizes it
    np.testing.assert_array_equal(values, random_example(mixed_network())[0])


@pytest.mark.parametrize(
    ("example", "error", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), ValueError, "0 examples"),
        (np.zeros((1, 8, 8, 2), np.uint8), ValueError, "shape"),
        (np.full((1, 8, 8, 3), "x"), TypeError, "'image' must be an array of real numbers"),
    ],
)
def test_examples_that_do_not_fit(example, error, message):
    with pytest.raises(error, match=message):
        with_selftest(random_resnet23(maps=8, size=8), [example])
