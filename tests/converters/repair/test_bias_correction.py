"""Corrected biases: right behind clamps and tables, kept only where examples agree that had no part in them."""

import dataclasses

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq.ops import lookup
from kerasq.qformat import QFormat
from kerasq_convert import Converter
from kerasq_convert.comparison.outputs import Wanted
from kerasq_convert.repair import bias_correction
from networks import NetworkBuilder

SHAPE = (12, 12, 3)


def examples(seed, count=96):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype(np.float32)


def network(name):
    """Like CREPE, with mostly silent channels, a ReLU inside each layer and BatchNorm after it; or with tables between layers."""
    keras.utils.set_random_seed(7)
    layers = [keras.Input(SHAPE, name="image")]
    if name == "pitch":
        for _ in range(3):
            layers += [
                L.Conv2D(8, 3, padding="same", activation="relu"),
                L.BatchNormalization(),
                L.MaxPooling2D(2, padding="same"),
            ]
        layers += [L.Flatten(), L.Dense(20, activation="sigmoid")]
    elif name == "swish":
        for _ in range(2):
            layers += [L.Conv2D(8, 3), L.BatchNormalization(), L.Activation("swish")]
        layers += [L.GlobalAveragePooling2D(), L.Dense(6, activation="softmax")]
    else:
        layers += [*(L.Conv2D(8, 3, activation=name) for _ in range(3)), L.Flatten(), L.Dense(6, activation=name)]
    model = randomized(keras.Sequential(layers))
    for layer in model.layers:
        if name == "pitch" and isinstance(layer, L.Conv2D):
            layer.bias.assign(np.full(layer.bias.shape, -1.0))
    return model


def converted(model, **options):
    converter = Converter(model)
    converter.representative_dataset = examples(1)
    for name, value in options.items():
        setattr(converter, name, value)
    return converter, converter.convert()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["pitch", "tanh", "swish"])
def test_correction_is_no_loss_behind_clamps_and_tables(name, bits):
    model, unseen = network(name), examples(2, 1024)
    wanted = model.predict(unseen, verbose=0)
    options = {"bits": bits, "fill_ranges": False}
    (first, plain), (second, corrected) = (converted(model, correct_bias=each, **options) for each in (False, True))
    assert second.report.outputs[0].sqnr_db >= first.report.outputs[0].sqnr_db
    found = [signal_to_noise_db(wanted, kerasq.Interpreter(model_content=each).predict(unseen)) for each in (plain, corrected)]
    assert found[1] >= found[0] - 0.1  # other examples than those that agreed
    assert len(corrected) == len(plain)


@pytest.fixture(scope="module")
def measured():
    """A correction, and the quantized network with the bias of one layer wrong."""
    seen = []
    original = bias_correction.BiasCorrection.measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bias_correction.BiasCorrection, "measure", lambda self, model: seen.append((self, model)) or model)
        converted(network("tanh"))
    correction, model = seen[0]
    assert original is bias_correction.BiasCorrection.measure
    return correction, model


def with_wrong_bias(model):
    """A quarter more in every channel of the second convolution."""
    operator = [each for each in model.operators if each.kind is OperatorKind.CONV_2D][1]
    index = operator.inputs[3]
    bias = model.tensors[index]
    tensors = list(model.tensors)
    tensors[index] = dataclasses.replace(bias, data=bias.format.quantize(bias.values + 0.25))
    return dataclasses.replace(model, tensors=tuple(tensors)), index


def test_a_bias_that_is_wrong_is_taken_back_through_the_table(measured):
    correction, model = measured
    wrong, index = with_wrong_bias(model)
    found = correction.measure(wrong)
    right = model.tensors[index].values
    assert np.abs(wrong.tensors[index].values - right).min() > 0.2
    assert np.abs(found.tensors[index].values - right).max() < 0.04


def test_a_shift_is_kept_only_where_the_held_examples_agree(measured):
    """Held examples for which the network with the wrong bias is the right one."""
    correction, model = measured
    wrong, index = with_wrong_bias(model)
    held = correction.held
    outputs = [np.asarray(kerasq.Interpreter(model_content=wrong).predict(held.inputs[0]), np.float64)]
    other = bias_correction.BiasCorrection(
        correction._reference, correction._inputs, Wanted(held.inputs, outputs, outputs), correction._kernels
    )
    np.testing.assert_array_equal(other.measure(wrong).tensors[index].data, wrong.tensors[index].data)


@pytest.mark.parametrize("layers_judged", [True, False])
def test_networks_too_large_to_judge_every_layer_are_judged_as_a_whole(measured, monkeypatch, layers_judged):
    correction, model = measured
    monkeypatch.setattr(bias_correction, "WORK", dict.fromkeys(("native", "reference"), 1 << 60 if layers_judged else 0))
    wrong, _ = with_wrong_bias(model)
    assert correction.held.noise(correction.measure(wrong), 1).sum() < correction.held.noise(wrong, 1).sum() / 2


def test_applied_again_without_examples_it_is_nearly_what_was_measured(measured):
    correction, model = measured
    wrong, _ = with_wrong_bias(model)
    found = correction.measure(wrong)
    for one, other in zip(correction.apply(wrong).constants(), found.constants(), strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=2 * other.format.step)
    kq.dumps(found)


def offset_networks(wrong):
    """A convolution of what is stored with an offset of 90, in float and quantized, with `wrong` more in its bias."""
    rng, reference, net = np.random.default_rng(4), NetworkBuilder(), NetworkBuilder()
    kernel, bias, padding = QFormat.parse("FIXED8_6"), rng.normal(size=3), (1, 1, 1, 1)
    stored = kernel.quantize(rng.normal(scale=0.2, size=(3, 3, 3, 2)))
    weights = kernel.dequantize(stored, np.float64)
    x = reference.activation("x", (1, 4, 4, 2), "FLOAT32")
    identity, less = np.eye(2).reshape(2, 1, 1, 2), np.full(2, -90 / 16)
    constants = [reference.constant(str(i), data, "FLOAT32") for i, data in enumerate((identity, less, weights, bias))]
    meant = reference.apply("CONV_2D", (x, constants[0], -1, constants[1]), "FLOAT32", "meant")
    y = reference.apply("CONV_2D", (meant, constants[2], -1, constants[3]), "FLOAT32", "y", padding=padding)

    q, offset = net.activation("x", (1, 4, 4, 2), "UFIXED8_4"), weights.sum(axis=(1, 2, 3)) * 90 / 16
    taken_back = QFormat.parse("FIXED32_10").quantize(bias - offset + wrong)
    parts = net.constant("kernel", stored, kernel), -1, net.constant("bias", taken_back, "FIXED32_10")
    z = net.apply("CONV_2D", (q, *parts), "FIXED16_8", "y", padding=padding, zero=90)
    return reference.build((x,), (y,)), net.build((q,), (z,)), bias - offset


def test_beside_padding_means_are_of_its_zero():
    reference, model, bias = offset_networks(0.5)
    values = (np.random.default_rng(5).integers(0, 256, (2, 64, 4, 4, 2)) / 16).astype(np.float32)
    correction = bias_correction.BiasCorrection(reference, [values[0]], Wanted.of(reference, [values[1]]), {"kernel"})
    found = correction.measure(model).tensor("bias").values
    np.testing.assert_allclose(found, bias, atol=0.01)
    np.testing.assert_allclose(correction.apply(model).tensor("bias").values, found, atol=0.01)


def swish(values):
    values = np.asarray(values, np.float64)
    return values / (1 + np.exp(-values))


def test_a_channel_that_is_nearly_nothing_keeps_no_other_from_its_correction():
    """A swish of -400 is 1e-171, the square of which is 0."""
    reference, net, bias = NetworkBuilder(), NetworkBuilder(), np.array([0.0, -400.0])
    x, q = reference.activation("x", (1, 2), "FLOAT32"), net.activation("x", (1, 2), "FIXED8_4")
    constants = reference.constant("kernel", np.eye(2), "FLOAT32"), -1, reference.constant("bias", bias, "FLOAT32")
    y = reference.apply("DENSE", (x, *constants), "FLOAT32", "sum")
    y = reference.apply("LOOKUP", {"input": y}, "FLOAT32", "swish", function=swish)

    wrong = QFormat.parse("FIXED16_4").quantize(bias + np.array([0.5, 0.0]))
    parts = net.constant("kernel", 16 * np.eye(2), "FIXED8_4"), -1, net.constant("bias", wrong, "FIXED16_4")
    z = net.apply("DENSE", (q, *parts), "FIXED16_6", "sum")
    table = lookup.make_table(swish, QFormat.parse("FIXED16_6"), QFormat.parse("FIXED8_4"))
    z = net.apply("LOOKUP", (z, net.constant("table", table, "FIXED8_4")), "FIXED8_4", "swish")
    values = np.random.default_rng(6).normal(size=(2, 64, 2)).astype(np.float32)
    model, float_model = net.build((q,), (z,)), reference.build((x,), (y,))
    correction = bias_correction.BiasCorrection(float_model, [values[0]], Wanted.of(float_model, [values[1]]), {"kernel"})
    with np.errstate(invalid="raise"):
        found = correction.measure(model).tensor("bias").values
    np.testing.assert_allclose(found, bias, atol=0.1)
