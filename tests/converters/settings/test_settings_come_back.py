"""What --write_settings writes, --settings takes, and the file is the same, whatever the converter made for itself."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
from converters import zoo
from converters.zoo import L

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(32, 8, 8, 3)).astype(np.float32)


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
}


@pytest.mark.parametrize("case", CASES)
def test_settings_come_back(case, tmp_path):
    make, options = CASES[case]
    model = make()
    converter = kerasq.Converter.from_keras_model(model)
    converter.representative_dataset = IMAGES
    for name, value in options.items():
        setattr(converter, name, value)
    content = converter.convert()
    (tmp_path / "settings.yaml").write_text(converter.settings_template())
    again = kerasq.Converter.from_keras_model(model)
    again.representative_dataset, again.settings = IMAGES, tmp_path / "settings.yaml"  # which decide all that the options did
    assert again.convert() == content
    assert again.settings_template().count("\n") == converter.settings_template().count("\n")


def test_what_the_converter_makes_for_itself_is_no_setting():
    converter = kerasq.Converter.from_keras_model(tables())
    converter.representative_dataset = IMAGES
    converter.convert()
    rows = [*converter.report.buffers, *converter.report.parameters]
    made = [row.name for row in rows if not row.settable]
    assert len(made) == 4  # three tables of functions and one of exponentials
    assert not any(name in converter.settings_template() for name in made)
