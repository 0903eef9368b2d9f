"""Work that is cut into blocks and slices: the same as in one piece."""

from __future__ import annotations

import numpy as np
import pytest

import exact_oracle
from kerasq import ops
from kerasq.format.model import ABSENT
from kerasq.interpreter import Interpreter
from kerasq.ops.product import product
from kerasq.ops.windows import Window
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_resnet23, random_stored


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(
    ("rows", "depth", "columns"), [(1, 1, 1), (5, 7, 3), (1000, 288, 32), (700, 64, 96), (60, 20_000, 2), (90, 64, 37)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_product(groups, rows, depth, columns, dtype):
    rng = np.random.default_rng(0)
    tall = rng.integers(-8, 8, (groups, rows, depth)).astype(dtype)
    small = rng.integers(-8, 8, (groups, depth, columns)).astype(dtype)
    out = np.full((rows, groups, columns), 99, dtype)
    product(tall, small, out.transpose(1, 0, 2))
    np.testing.assert_array_equal(out.transpose(1, 0, 2), tall.astype(np.float64) @ small.astype(np.float64))


@pytest.mark.parametrize(("groups", "inputs", "outputs"), [(1, 16, 64), (4, 8, 8), (32, 1, 1), (16, 1, 3)])
@pytest.mark.parametrize(
    ("source", "kernel_form"), [("FIXED8_4", "FIXED8_6"), ("FIXED16_4", "SIGN"), ("UFIXED16_3", "FIXED16_8")]
)
def test_convolutions_of_many_blocks(groups, inputs, outputs, source, kernel_form):
    rng = np.random.default_rng(1)
    form, weights = QFormat.parse(source), QFormat.parse(kernel_form)
    net = NetworkBuilder()
    x = net.activation("x", (1, 40, 44, groups * inputs), form)
    kernel = net.constant("kernel", random_stored(rng, weights, (groups * outputs, 3, 3, inputs)), weights)
    result = form.with_frac_bits(form.frac_bits - 5)
    y = net.apply("CONV_2D", (x, kernel, ABSENT, ABSENT), result, groups=groups, padding=(1, 1, 0, 2))
    model = net.build((x,), (y,))
    values = random_stored(rng, form, (3, 40, 44, groups * inputs))
    patches = Window((3, 3), (1, 1), (1, 1), (1, 1, 0, 2)).patches(values, np.float64)
    patches = patches.reshape(*patches.shape[:5], groups, inputs)
    stored = model.tensors[kernel].data.reshape(groups, outputs, 3, 3, inputs).astype(np.float64)
    sums = np.einsum("nyxijgc,goijc->nyxgo", patches, stored, optimize=True).reshape(3, 40, 44, -1)
    shift = form.frac_bits + weights.frac_bits - result.frac_bits
    np.testing.assert_array_equal(ops.prepare(model, model.operators[0])(values), result.requantize(sums.astype(np.int64), shift))


@pytest.mark.parametrize(("kernels", "buffers"), [("SIGN", "FIXED8"), ("FIXED8", "FIXED16")])
def test_every_tensor_of_a_network_is_exact(kernels, buffers):
    model = random_resnet23(kernels, buffers, maps=4, size=8)
    x = np.random.default_rng(2).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    tensors = Interpreter(model_content=model).tensors(x)
    for operator in model.operators:
        operands = [tensors[tensor.name] for tensor in model.operands(operator) if tensor is not None and not tensor.is_constant]
        expected = exact_oracle.compute(model, operator, *operands)
        np.testing.assert_array_equal(tensors[model.output(operator).name], expected, err_msg=str(operator))
