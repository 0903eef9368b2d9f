"""Additions that became part of a convolution: the same network, rounded once less, in a smaller arena."""

import dataclasses

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq.format.model import ABSENT

SHAPE = (8, 8, 6)


def images(count=16, shape=SHAPE, seed=3):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def kinds(content):
    return [operator.kind for operator in kq.loads(content).operators]


def addends(content):
    model = kq.loads(content)
    return [model.tensors[operator.inputs[4]].name for operator in model.operators if len(operator.inputs) == 5]


def run(content, x, **options):
    return kerasq.Interpreter(model_content=content, **options).predict(x)


def unit(x, name, filters=6, project=False, activation=True):
    """A residual unit; with `project` the shortcut is a convolution too."""
    h = L.Conv2D(filters, 3, padding="same", name=f"{name}_conv1", activation="relu")(x)
    h = L.BatchNormalization(name=f"{name}_bn")(L.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(h))
    x = L.Conv2D(filters, 1, name=f"{name}_shortcut")(x) if project else x
    x = L.Add(name=f"{name}_add")([h, x])
    return L.ReLU(name=f"{name}_relu")(x) if activation else x


def network(*units):
    keras.utils.set_random_seed(2)
    x = inputs = keras.Input(SHAPE, name="image")
    for number, options in enumerate(units):
        x = unit(x, f"unit{number}", **options)
    return randomized(keras.Model(inputs, x))


@pytest.mark.parametrize(
    "units",
    [({},), ({"project": True},), ({"filters": 6}, {"filters": 12, "project": True}, {"filters": 12, "activation": False})],
)
class TestAnyUnit:
    def test_no_addition_is_left_and_nothing_else_changes(self, units):
        model = network(*units)
        content = kerasq.convert(model, settings=FLOAT)
        assert OperatorKind.ADD not in kinds(content)
        assert len(addends(content)) == len(units)
        np.testing.assert_allclose(run(content, images()), model.predict(images(), verbose=0), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(("bits", "decibels"), [(8, 22), (16, 40)])
    def test_quantized(self, units, bits, decibels):
        model = network(*units)
        content = kerasq.convert(model, representative_dataset=images(64), bits=bits)
        assert OperatorKind.ADD not in kinds(content)
        assert signal_to_noise_db(model.predict(images(), verbose=0), run(content, images())) > decibels

    def test_every_engine_computes_the_same(self, units):
        content = kerasq.convert(network(*units), representative_dataset=images(64))
        expected = run(content, images(), engine="reference")
        for tier in kerasq.runtime.tiers() if kerasq.runtime.available() else ():
            np.testing.assert_array_equal(run(content, images(), engine="native", isa=tier), expected, err_msg=tier)


def test_equal_to_keras_bit_by_bit_with_one_rounding():
    """The convolution's output is not rounded before the sum, in Keras no more than on the device."""
    inputs = keras.Input(SHAPE, name="image")
    x = kerasq.FixedPointQuantize(8, 0, signed=False, name="pixels")(inputs)
    h = kerasq.BinaryConnectConv2D(6, 3, padding="same", use_bias=False, name="conv")(x)
    x = kerasq.FixedPointQuantize(8, -3, name="sum")(L.Add(name="add")([h, x]))
    model = keras.Model(inputs, x)
    content = kerasq.convert(model, settings={"buffers": {"image": "UFIXED8_0"}})
    assert addends(content) == ["image"]  # which its quantizer gives its format
    pixels = np.random.default_rng(1).integers(0, 256, (8, *SHAPE)).astype(np.uint8)
    np.testing.assert_array_equal(run(content, pixels), model.predict(pixels.astype(np.float32), verbose=0))


def test_an_addend_finer_than_the_sum_is_requantized_first():
    """Signs without a multiplier leave the sum on the grid of their input."""
    inputs = [keras.Input((4,), name="coarse"), keras.Input((2, 2, 3), name="fine")]
    h = L.Reshape((2, 2, 1), name="grid")(inputs[0])
    h = kerasq.BinaryConnectConv2D(3, 1, use_bias=False, name="conv")(h)
    model = keras.Model(inputs, L.Add(name="add")([h, inputs[1]]))
    settings = {"buffers": {"coarse": "FIXED8_1", "grid/output": "FIXED8_1", "fine": "FIXED8_5", "*": "FIXED16_5"}}
    content = kerasq.convert(model, settings=settings)
    assert kinds(content)[-2:] == [OperatorKind.QUANTIZE, OperatorKind.CONV_2D]
    assert [str(kq.loads(content).tensor(name).format) for name in addends(content)] == ["FIXED8_1"]
    given = [np.array([[1.0, -2, 3.5, 0]], np.float32), np.full((1, 2, 2, 3), 0.75, np.float32)]
    expected = model.predict([given[0], np.full((1, 2, 2, 3), 1.0)], verbose=0)  # 0.75 on a grid of halves, halves up
    np.testing.assert_array_equal(run(content, given), expected)


class TestKeptApart:
    def test_a_buffer_with_settings_of_its_own(self):
        model = network({})
        settings = {"buffers": {"unit0_bn/output": "FIXED8_4", "*": "FIXED8_3"}}
        content = kerasq.convert(model, settings=settings)
        assert OperatorKind.ADD in kinds(content)
        assert str(kq.loads(content).tensor("unit0_bn/output").format) == "FIXED8_4"

    @pytest.mark.parametrize("between", ["activation", "output", "reader", "quantizer"])
    def test_a_convolution_whose_own_output_matters(self, between):
        inputs = keras.Input(SHAPE, name="image")
        h = L.Conv2D(6, 3, padding="same", name="conv")(inputs)
        term = {"activation": L.ReLU(), "quantizer": kerasq.FixedPointQuantize(8, 3)}.get(between, lambda h: h)(h)
        total = L.Add(name="add")([term, inputs])
        outputs = {"output": [total, h], "reader": [total, L.MaxPooling2D(2)(h)]}.get(between, total)
        model = keras.Model(inputs, outputs)
        assert OperatorKind.ADD in kinds(kerasq.convert(model, representative_dataset=images()))

    def test_an_addition_without_convolutions(self):
        inputs = [keras.Input(SHAPE, name=name) for name in "ab"]
        content = kerasq.convert(keras.Model(inputs, L.Add(name="add")(inputs)), representative_dataset=[[images(), images()]])
        assert kinds(content) == [OperatorKind.ADD]


def resnet8():
    """The structure of MLPerf Tiny's image classification network."""
    x = inputs = keras.Input((32, 32, 3), name="image")
    x = L.Conv2D(16, 3, padding="same", activation="relu", name="stem")(x)
    for number, (filters, stride) in enumerate([(16, 1), (32, 2), (64, 2)]):
        h = L.Conv2D(filters, 3, strides=stride, padding="same", activation="relu", name=f"unit{number}_conv1")(x)
        h = L.Conv2D(filters, 3, padding="same", name=f"unit{number}_conv2")(h)
        x = L.Conv2D(filters, 1, strides=stride, name=f"unit{number}_shortcut")(x) if stride > 1 else x
        x = L.ReLU(name=f"unit{number}_relu")(L.Add(name=f"unit{number}_add")([h, x]))
    x = L.Flatten(name="flatten")(L.AveragePooling2D(8, name="average")(x))
    return keras.Model(inputs, L.Dense(10, activation="softmax", name="classes")(x))


@pytest.mark.parametrize(("make", "arena_bytes"), [(resnet8, 32_768), (kerasq.models.resnet23, 99_392)])
def test_arenas_to_the_byte_and_outputs_as_if_nothing_overlapped(make, arena_bytes):
    """Without overlap and fusion these took 49,152 and 196,608 bytes."""
    keras.utils.set_random_seed(5)
    x = np.random.default_rng(5).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    converter = kerasq.Converter(make())
    converter.representative_dataset = x
    content = converter.convert()
    model = kq.loads(content)
    assert model.arena_bytes == arena_bytes
    assert converter.report.arena_verdict == "optimal: no order of operators and no placement needs less"
    offset, apart = 0, []
    for tensor in model.tensors:
        apart.append(tensor if tensor.is_constant else dataclasses.replace(tensor, offset=offset))
        offset += 0 if tensor.is_constant else -(-tensor.nbytes // model.arena_alignment) * model.arena_alignment
    unplanned = kq.dumps(dataclasses.replace(model, tensors=tuple(apart), arena_bytes=offset))
    for options in [{"engine": "reference"}, *({"isa": tier} for tier in kerasq.runtime.tiers())]:
        np.testing.assert_array_equal(run(content, x, **options), run(unplanned, x, **options))


def test_slots_stay_where_they_are_without_multiplier_and_bias():
    inputs = keras.Input(SHAPE, name="image")
    conv = L.Conv2D(6, 1, use_bias=False, name="conv")(inputs)
    added = keras.Model(inputs, L.Add(name="add")([conv, inputs]))
    model = kq.loads(kerasq.convert(added, representative_dataset=images(), per_channel=False))
    (operator,) = model.operators
    assert operator.inputs[2:4] == (ABSENT, ABSENT)
    assert model.tensors[operator.inputs[4]].name == "image"
