"""Kernels trained on a grid are stored on it, in the narrowest family that holds them, and only then the report says so."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import Converter
from kerasq_convert.formats.choice import Reason

SHAPE = (6, 6, 3)


def spread(model, bits, frac_bits):
    """The model with kernels over the whole width of its quantizers."""
    rng = np.random.default_rng(bits)
    for layer in model.layers:
        if "Quantized" in type(layer).__name__:
            layer.kernel.assign(rng.uniform(-1, 1, layer.kernel.shape) * 2.0 ** (bits - 1 - frac_bits))
    return model


def converted(model, examples):
    converter = Converter(model)
    converter.representative_dataset = examples
    return converter, kq.loads(converter.convert())


@pytest.mark.parametrize(
    ("bits", "frac_bits", "family"),
    [
        (2, 1, "FIXED4"),
        (3, 2, "FIXED4"),
        (4, 3, "FIXED4"),
        (4, 9, "FIXED4"),
        (5, 4, "FIXED8"),
        (8, 7, "FIXED8"),
        (9, 6, "FIXED16"),
        (16, 12, "FIXED16"),
    ],
)
def test_the_narrowest_family_holds_a_layer_of_few_bits(bits, frac_bits, family):
    keras.utils.set_random_seed(3)
    model = sequential_of(
        kerasq.FixedPointQuantizedConv2D(8, 3, bits=bits, frac_bits=frac_bits, use_bias=False, name="conv"),
        L.BatchNormalization(name="norm"),
        L.ReLU(name="relu"),
        L.Flatten(name="flat"),
        kerasq.FixedPointQuantizedDense(5, bits=bits, frac_bits=frac_bits, name="dense"),
    )
    model = spread(randomized(model), bits, frac_bits)
    x = np.random.default_rng(4).normal(size=(48, *SHAPE)).astype(np.float32)
    converter, found = converted(model, x)
    for name in ("conv/kernel", "dense/kernel"):
        kernel = found.tensor(name)
        assert kernel.format.family == family
        assert kernel.nbytes == -(-kernel.data.size * kernel.format.bits // 8)
    reasons = {row.name: row.reason for row in converter.report.parameters}
    assert reasons["conv/kernel"] == reasons["dense/kernel"] == Reason.GRID
    outputs = [kerasq.Interpreter(model_content=found, engine=engine).predict(x) for engine in ("native", "reference")]
    np.testing.assert_array_equal(*outputs)
    assert signal_to_noise_db(model.predict(x, verbose=0), outputs[0]) > 25


def sequential_of(*layers):
    return keras.Sequential([keras.Input(SHAPE, name="image"), *layers])


def test_float_kernels_are_on_no_grid_whatever_the_converter_made_of_them():
    """Channels of very different sizes get multipliers: that rounds the kernel, which the training did not."""
    keras.utils.set_random_seed(5)
    model = sequential_of(L.Conv2D(6, 3, use_bias=False, name="conv"), L.BatchNormalization(name="norm"), L.ReLU(name="relu"))
    model.get_layer("norm").gamma.assign(4.0 ** -np.arange(6))
    converter, found = converted(model, np.random.default_rng(4).normal(size=(32, *SHAPE)).astype(np.float32))
    (reason,) = (row.reason for row in converter.report.parameters if row.name == "conv/kernel")
    assert found.tensor("conv/multiplier").shape == (6,)
    assert reason == Reason.CHANNELS
    assert "grid" not in converter.report.to_text()


@pytest.mark.parametrize(
    ("layers", "fused"),
    [
        ((L.Conv2DTranspose(3, 3, strides=2, name="up"), L.ReLU(name="relu")), []),  # a convolution, a transposition and a crop
        ((L.Conv2D(4, 3, name="conv"), L.Activation("tanh", name="tanh")), []),
        ((L.Conv2D(4, 3, name="conv"), L.ReLU(name="relu")), [["conv", "relu"]]),
        (
            (L.Conv2D(4, 3, name="conv"), L.MaxPooling2D(name="pool"), L.BatchNormalization(name="norm"), L.ReLU(name="relu")),
            [["conv", "norm"], ["pool", "relu"]],
        ),
    ],
)
def test_layers_of_one_operator_are_those_that_no_other_computes(layers, fused):
    converter, found = converted(sequential_of(*layers), np.random.default_rng(4).normal(size=(8, *SHAPE)).astype(np.float32))
    assert converter.report.fused == fused
    assert len(found.operators) >= len(fused)
