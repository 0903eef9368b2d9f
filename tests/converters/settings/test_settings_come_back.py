"""What --write_settings writes, --settings takes, and the file is the same, whatever the converter made for itself.

Every network is converted twice: with options, and then with the settings that those led to and without options.
"""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

import kerasq
from converters import layer_zoo, zoo
from converters.random_networks import random_network
from converters.zoo import L
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq_convert.options import Goals

IMAGES = np.random.default_rng(5).normal(size=(32, 8, 8, 3)).astype(np.float32)
OPTIONS = (  # taken in turn: neighbours get different ones
    {},
    {"bits": 16},
    {"per_channel": True},
    {"equalize": True},
    {"fill_ranges": False},
    {"per_channel": False},
    {"criterion": "minmax", "correct_bias": False},
    {"settings": {"parameters": {"*/kernel": "FIXED16", "*/bias": "FIXED8"}}},
)
# Not for random networks: they may have a table, which no float can enter, or a layer that quantizes. Such a layer does nothing
# to floats, so that the file has no tensor of it, and its settings no line.
ALL_IN_FLOAT = {"settings": {"buffers": {"*/output": "FLOAT32"}}, "allow_float": True}


def network(*layers, name=None):
    keras.utils.set_random_seed(6)
    return zoo.randomized(keras.Sequential([keras.Input((8, 8, 3), name="image"), *layers], name=name))


def tables():
    layers = [L.Conv2D(4, 3, activation=activation) for activation in ("tanh", "swish", "gelu")]
    return network(*layers, L.Flatten(), L.Dense(4, activation="softmax"))


def joins():
    image = keras.Input((8, 8, 3), name="image")
    a, b = L.Conv2D(3, 3, padding="same", name="a")(image), L.Conv2D(3, 3, padding="same", activation="sigmoid", name="b")(image)
    return keras.Model(image, L.Concatenate()([L.Add()([a, b, image]), L.Multiply()([a, b]), L.Subtract()([a, b])]))


def moved():
    layers = [
        L.MaxPooling2D(2, name="pool"),
        L.Conv2DTranspose(4, 3, strides=2),
        L.PReLU(),
        L.UpSampling2D(2),
        L.Permute((2, 1, 3)),
    ]
    return network(*layers, L.Activation("tanh", name="curve"))


def tiny_sums():
    small = keras.initializers.RandomNormal(0, 2e-3)
    return network(L.Flatten(), L.Dense(4, kernel_initializer=small, bias_initializer="ones"), L.Dense(3))


def uneven():
    scales = np.array([1.0, 0.1, 0.01, 0.001], np.float32)
    model = network(L.Conv2D(4, 3, name="uneven"), L.Conv2D(4, 3, name="even", activation="relu"))
    kernel = model.get_layer("uneven").kernel
    kernel.assign(kernel * scales)
    return model


def binary_without_scale():
    return network(kerasq.BinaryConnectConv2D(4, 3, activation="relu"), kerasq.BinaryConnectDense(2))


def of_four_bits():
    return network(kerasq.FixedPointQuantizedConv2D(4, 3, bits=4, frac_bits=3, activation="sigmoid"), L.BatchNormalization())


CASES = {
    "tables": (tables, {}),
    "tables of 16 bits": (tables, {"bits": 16}),
    "table whose result is float": (moved, {"settings": {"buffers": {"curve/output": "FLOAT32"}}}),
    "pooling with another format": (moved, {"settings": {"buffers": {"pool/output": "FIXED16_12"}}}),
    "joins": (joins, {}),
    "a fine addend": (joins, {"settings": {"buffers": {"b/output": "FIXED16_15"}}}),
    "multipliers of ones": (tiny_sums, {}),
    "multipliers": (uneven, {}),
    "multipliers everywhere": (uneven, {"per_channel": True}),
    "multipliers nowhere": (uneven, {"per_channel": False}),
    "binary weights": (lambda: network(kerasq.BinaryWeightConv2D(4, 3, activation="tanh"), L.BatchNormalization(), L.ReLU()), {}),
    "signs without a scale": (binary_without_scale, {}),
    "kernels of 4 bits": (of_four_bits, {}),
    "multipliers and biases of 4 bits": (uneven, {"settings": {"parameters": {"*/bias": "FIXED4", "*/multiplier": "FIXED4"}}}),
    "float kernels in 4 bits": (uneven, {"weight_bits": 4, "end_weight_bits": 4}),
    "float kernels in 4 bits, one format each": (uneven, {"weight_bits": 4, "end_weight_bits": 4, "per_channel": False}),
    "float kernels in 16 bits": (tables, {"weight_bits": 16}),
    "refined": (joins, {"refine": True}),
    "promoted": (tables, {"goals": Goals(min_sqnr_db=25.0)}),
    "raw pixels": (joins, {"input_type": "UFIXED8_5"}),
}
NETWORKS = {f"zoo: {name}": (lambda name=name: zoo.build(name)) for name in zoo.NETWORKS} | {
    f"layers: {name}": (lambda name=name: layer_zoo.make(name)) for name in layer_zoo.LAYERS
}
RANDOM = {f"random: {seed}": (lambda seed=seed: random_network(seed)) for seed in range(16)}


def in_turn(networks, options):
    return {name: (make, chosen) for (name, make), chosen in zip(networks.items(), itertools.cycle(options), strict=False)}


ALL = CASES | in_turn(NETWORKS, (*OPTIONS, ALL_IN_FLOAT)) | in_turn(RANDOM, OPTIONS)


def converted(model, examples, **options):
    converter = kerasq.Converter.from_keras_model(model)
    converter.representative_dataset = lambda: [examples]
    for name, value in options.items():
        setattr(converter, name, value)
    return converter, converter.convert()


@pytest.mark.parametrize("case", ALL)
def test_settings_come_back(case, tmp_path):
    make, options = ALL[case]
    model = make()
    examples = [zoo.images(16)] if case.startswith("zoo") else layer_zoo.examples(model, 16, seed=5)
    if not model.weights:  # patterns must fit something
        options = {name: value for name, value in options.items() if name != "settings" or "parameters" not in value}
    first, content = converted(model, examples, **options)
    (tmp_path / "settings.yaml").write_text(first.settings_template())
    # Settings decide all that the options did, but for what becomes of the network before and after there are formats.
    kept = {name: value for name, value in options.items() if name in ("equalize", "correct_bias", "allow_float")}
    second, again = converted(model, examples, settings=tmp_path / "settings.yaml", **kept)
    assert again == content
    assert second.settings_template().count("\n") == first.settings_template().count("\n")


def test_what_the_converter_makes_for_itself_is_no_setting():
    converter, _ = converted(tables(), [IMAGES])
    rows = [*converter.report.buffers, *converter.report.parameters]
    made = [row.name for row in rows if not row.settable]
    assert len(made) == 4  # three tables of functions and one of exponentials
    assert not any(name in converter.settings_template() for name in made)


def test_addends_that_two_sums_make_of_one_term_have_names_of_their_own():
    fine, *coarse = inputs = [keras.Input((4,), name=name) for name in ("fine", "first", "second")]
    model = keras.Model(inputs, [L.Add(name=f"sum_{term.name}")([fine, term]) for term in coarse])
    examples = [size * array for size, array in zip((1e-9, 1e3, 1e4), layer_zoo.examples(model, 8, seed=5), strict=True)]
    _, content = converted(model, examples)
    network = kq.loads(content)
    quantized = [operator for operator in network.operators if operator.kind is OperatorKind.QUANTIZE]
    assert sorted(network.output(operator).name for operator in quantized) == ["fine/addend", "fine/addend:1"]
