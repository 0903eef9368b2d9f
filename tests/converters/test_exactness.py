"""What is trained is what is shipped: the integers of the interpreter are those of the Keras layers.

Where every tensor is quantized in the network and every sum fits the 24 bits of float32, equality is proven
(NUMERICS.md section 4) and must hold to the bit; with BatchNorm, whose scale the device holds in 16 bits, each tensor computed
from the same integers may differ by one unit in the last place.
"""

import itertools
import os

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized
from kerasq import format as kq
from kerasq.datasets import cifar10

SHAPE = (12, 12, 3)
PIXELS = {"image": "UFIXED8_0"}


def quantize(name, bits=8, frac_bits=4, signed=True):
    return kerasq.FixedPointQuantize(bits, frac_bits, signed=signed, name=name)


def exact_network():
    """Kernels and biases on grids, signs without alpha, no normalization: every float32 sum is exact."""
    inputs = keras.Input(SHAPE, name="image")
    x = quantize("pixels", frac_bits=0, signed=False)(inputs)
    x = kerasq.FixedPointQuantizedConv2D(8, 3, padding="same", bits=8, frac_bits=8, bias_frac_bits=7, name="conv1")(x)
    x = quantize("q1", frac_bits=0)(L.ReLU()(x))
    h = kerasq.BinaryConnectConv2D(8, 3, padding="same", use_bias=False, name="conv2")(x)
    h = quantize("q2", frac_bits=-3)(h)
    x = quantize("sum", bits=16, frac_bits=2)(L.Add(name="add")([h, x]))
    x = L.MaxPooling2D(2, name="pool")(x)
    x = kerasq.BinaryConnectConv2D(6, 3, strides=2, groups=2, use_bias=False, name="conv3")(x)
    x = quantize("q3", bits=8, frac_bits=-5)(L.ReLU()(x))
    x = quantize("mean", frac_bits=-2)(L.AveragePooling2D(2, name="average")(x))
    x = kerasq.FixedPointQuantizedDense(10, bits=4, frac_bits=3, bias_frac_bits=0, name="dense")(L.Flatten()(x))
    x = quantize("logits", bits=16, frac_bits=1)(x)
    return randomized(keras.Model(inputs, x), seed=3)


def normalized_network():
    """As one trains: binary weights with alpha, BatchNorm, and quantized activations."""
    inputs = keras.Input(SHAPE, name="image")
    x = quantize("pixels", frac_bits=0, signed=False)(inputs)
    for index, (filters, stride) in enumerate([(8, 1), (12, 2), (6, 1)]):
        x = kerasq.BinaryWeightConv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = L.BatchNormalization(name=f"bn{index}")(x)
        x = quantize(f"q{index}", frac_bits=(-2, -1, 0)[index], signed=False)(L.ReLU()(x))
    x = kerasq.BinaryWeightDense(10, name="dense")(L.Flatten()(L.AveragePooling2D(2, name="average")(x)))
    return randomized(keras.Model(inputs, quantize("logits", bits=16, frac_bits=4)(x)), seed=4)


def quantizers(model):
    return [layer for layer in model.layers if isinstance(layer, kerasq.FixedPointQuantize)]


def convert(model, buffers):
    content = kerasq.convert(model, settings={"buffers": buffers})
    return kq.loads(content), kerasq.Interpreter(model_content=content, engine="reference")


def images(seed, count=16):
    rng = np.random.default_rng(seed)
    # Beyond the pixels' range and extreme, so that saturation is exercised.
    return np.concatenate([rng.integers(0, 256, (count, *SHAPE)), rng.choice([0, 255], (count, *SHAPE))]).astype(np.float32)


def photographs(count=64):
    """The middle of CIFAR-10 test images, where they are at hand."""
    if not os.environ.get(cifar10.ENVIRONMENT_VARIABLE):
        pytest.skip(f"{cifar10.ENVIRONMENT_VARIABLE} names no folder of CIFAR-10")
    _, (x, _) = cifar10.load_data()
    return x[:count, 10:22, 10:22].astype(np.float32)


DATA = [
    *(pytest.param(lambda seed=seed: images(seed), id=f"random{seed}") for seed in range(3)),
    pytest.param(photographs, id="real"),
]


@pytest.mark.parametrize("data", DATA)
def test_proven_networks_agree_to_the_bit(data):
    model = exact_network()
    loaded, interpreter = convert(model, PIXELS)
    x = data()
    found = interpreter.tensors(x)
    layers = quantizers(model)
    expected = keras.Model(model.inputs, [layer.output for layer in layers]).predict_on_batch(x)
    compared = 0
    for layer, values in zip(layers, expected, strict=True):
        name = f"{layer.name}/output"
        if name in found:
            format_ = loaded.tensor(name).format
            np.testing.assert_array_equal(format_.dequantize(found[name]), values, err_msg=name)
            compared += 1
    assert compared >= len(layers) - 1


@pytest.mark.parametrize("data", DATA)
def test_normalized_networks_agree_to_one_unit_at_each_tensor(data):
    model = normalized_network()
    loaded, interpreter = convert(model, PIXELS | {"average/output": "FIXED16_6"})
    x = data()
    found = interpreter.tensors(x)
    layers = quantizers(model)
    values = {name: loaded.tensor(name).format.dequantize(stored) for name, stored in found.items()}
    compared = 0
    for previous, layer in itertools.pairwise(layers):
        before, name = values.get(f"{previous.name}/output", x), f"{layer.name}/output"
        expected = keras.Model(previous.output, layer.output).predict_on_batch(before)
        units = np.abs(values[name] - expected) / loaded.tensor(name).format.step
        # The average before the Dense is itself rounded, to 1/64: its error reaches the logits through 54 signs.
        assert units.max() <= (1 if layer.name != "logits" else 4), name
        assert np.mean(units > 0) < 0.05
        compared += 1
    assert compared == 4


def test_quantizers_decide_the_formats():
    loaded, _ = convert(exact_network(), PIXELS)
    formats = {tensor.name: str(tensor.format) for tensor in loaded.tensors}
    assert formats["conv1/kernel"].startswith("FIXED8_")
    assert formats["conv2/kernel"] == formats["conv3/kernel"] == "SIGN"
    assert formats["dense/kernel"].startswith("FIXED4_") or formats["dense/kernel"].startswith("FIXED8_")
    assert formats["q2/output"] == "FIXED8_-3"
    assert formats["sum/output"] == "FIXED16_2"
    assert "conv2/multiplier" not in formats


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", range(2, 17))
def test_quantizers_of_every_width(bits, signed):
    inputs = keras.Input((4, 4, 2), name="x")
    model = keras.Model(
        inputs, quantize("q", bits=bits, frac_bits=2, signed=signed)(L.ReLU(6.0)(quantize("p", bits, 1, signed)(inputs)))
    )
    loaded, interpreter = convert(model, {})
    x = np.random.default_rng(bits).normal(0, 2.0 ** (bits - 2), (8, 4, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(interpreter.predict(x), model.predict_on_batch(x))
    assert loaded.tensor("q/output").format.bits == (8 if bits <= 8 else 16)
