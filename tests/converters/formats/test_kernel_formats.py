"""Kernels trained on a grid are stored on it, in the narrowest family that holds them, and only then the report says so."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import ConversionError, Converter
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
        (2, 1, "FIXED2"),
        (2, -3, "FIXED2"),
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


def ternary_and_others():
    keras.utils.set_random_seed(6)
    conv, depthwise = (
        layer(*arguments, kernel_quantizer=quantizer, use_bias=False, name=name)
        for layer, arguments, quantizer, name in (
            (kerasq.layers.QuantizedConv2D, (8, 3), "Ternary", "conv"),
            (kerasq.layers.QuantizedDepthwiseConv2D, (3,), "Ternary", "depthwise"),
        )
    )
    return sequential_of(
        conv,
        L.BatchNormalization(name="norm"),
        depthwise,
        L.ReLU(name="relu"),
        kerasq.BinaryWeightConv2D(4, 1, name="binary"),
        L.Flatten(name="flat"),
        L.Dense(5, name="dense"),
    )


def test_a_ternary_layer_is_stored_in_two_bits_beside_its_factors():
    model = randomized(ternary_and_others())
    x = np.random.default_rng(4).normal(size=(48, *SHAPE)).astype(np.float32)
    converter, stored = converted(model, x)
    reasons = {row.name: row.reason for row in converter.report.parameters}
    for name in ("conv", "depthwise"):
        kernel = stored.tensor(f"{name}/kernel")
        assert str(kernel.format) == "FIXED2_0"
        assert set(np.unique(kernel.data)) == {-1, 0, 1}
        assert kernel.nbytes == -(-kernel.data.size // 4)
        assert stored.tensor(f"{name}/multiplier").shape == kernel.shape[:1]
        assert reasons[f"{name}/kernel"] == Reason.TERNARY
    assert str(stored.tensor("binary/kernel").format) == "SIGN"
    outputs = [kerasq.Interpreter(model_content=stored, engine=engine).predict(x) for engine in ("native", "reference")]
    np.testing.assert_array_equal(*outputs)
    assert signal_to_noise_db(model.predict(x, verbose=0), outputs[0]) > 25


def test_settings_name_kernels_of_two_bits():
    model = randomized(ternary_and_others())
    converter = Converter(model)
    converter.settings = {"parameters": {"*conv/kernel": "TERNARY", "depth*/kernel": "FIXED2", "dense/kernel": "FIXED2_3"}}
    stored = kq.loads(converter.convert())
    formats = {name: str(stored.tensor(f"{name}/kernel").format) for name in ("conv", "depthwise", "dense")}
    assert formats == {"conv": "FIXED2_0", "depthwise": "FIXED2_0", "dense": "FIXED2_3"}
    assert "conv/kernel: FIXED2_0 " in converter.settings_template()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parameters": {"dense/kernel": "TERNARY"}}, "dense/kernel: its weights are not ternary .* or write FIXED2 or FIXED8"),
        ({"parameters": {"binary/kernel": "TERNARY"}}, "binary/kernel: its weights are not ternary .* or write FIXED2 or SIGN"),
        ({"parameters": {"dense/bias": "TERNARY"}}, "dense/bias: it can't be TERNARY"),
        ({"parameters": {"dense/bias": "FIXED2_1"}}, "dense/bias: it can't be FIXED2_1"),
        ({"buffers": {"relu/output": "FIXED2_1"}}, "relu/output: a buffer can't be FIXED2_1"),
        ({"buffers": {"relu/output": "TERNARY"}}, "relu/output: a buffer can't be TERNARY"),
        ({"parameters": {"dense/kernel": "TERNARI"}}, "did you mean 'TERNARY'"),
        ({"parameters": {"dense/kernel": "TERNARY_1"}}, "A format is one of"),
    ],
)
def test_what_can_have_no_two_bits_is_refused_by_name(settings, message):
    converter = Converter(
        sequential_of(kerasq.BinaryWeightConv2D(4, 1, name="binary"), L.Flatten(), L.ReLU(name="relu"), L.Dense(5, name="dense"))
    )
    converter.settings = settings
    with pytest.raises(ConversionError, match=message):
        converter.convert()


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
