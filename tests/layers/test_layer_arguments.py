"""Arguments: every one of Keras, in its order and with its defaults, and ours; configs; errors."""

import inspect
import pydoc

import keras
import numpy as np
import pytest

import kerasq
from kerasq import layers
from kerasq.quantizers import BinaryWeight, Quantizer
from layers.kinds import CASES, CLASSES, KINDS, NAMED, batch, built
from quantizers.all_quantizers import Halves

NAMED_LAYERS = [case.layer for case in NAMED]


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_signature_is_that_of_keras_and_our_keywords(case):
    theirs = list(inspect.signature(case.kind.keras_layer).parameters.values())
    ours = list(inspect.signature(case.layer).parameters.values())
    assert ours[: len(theirs) - 1] == theirs[:-1]
    assert ours[-1].kind == theirs[-1].kind == inspect.Parameter.VAR_KEYWORD
    own = ours[len(theirs) - 1 : -1]
    assert {parameter.kind for parameter in own} == {inspect.Parameter.KEYWORD_ONLY}
    assert {parameter.name for parameter in own} == set(case.changed)


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_help_shows_and_documents_every_own_argument(case):
    text = pydoc.plain(pydoc.render_doc(case.layer))
    for name in case.changed:
        assert f"{name}: " in text.split("Methods")[0]
        assert name in inspect.getdoc(case.layer)


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_a_user_subclass_keeps_its_own_signature(case):
    class Mine(case.layer):
        def __init__(self, padding, **kwargs):
            super().__init__(**case.kind.arguments, **case.own, **kwargs)

    assert list(inspect.signature(Mine).parameters) == ["padding", "kwargs"]
    assert Mine(5)(batch(case.kind)).shape[-1] == 6


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_positional_arguments_go_where_keras_puts_them(case):
    parameters = list(inspect.signature(case.kind.keras_layer).parameters.values())[:-1]
    changed = {**case.kind.arguments, "strides": 2, "padding": "same", "activation": "relu", "bias_initializer": "ones"}
    arguments = [changed.get(parameter.name, parameter.default) for parameter in parameters]
    config, expected = case.layer(*arguments, **case.own).get_config(), case.kind.keras_layer(*arguments).get_config()
    for name, value in expected.items():
        assert name == "name" or config[name] == value


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("changed", [True, False])
def test_config_round_trip(case, changed):
    arguments = {"bias_regularizer": "l2", "activation": "relu", "name": "named", "trainable": False}
    own = case.changed if changed else case.own
    instance = case.make(**arguments, **own)
    config = instance.get_config()
    for name, value in own.items():
        assert config[name] == (keras.saving.serialize_keras_object(value) if isinstance(value, Quantizer) else value)
    copy = case.layer.from_config(config)
    assert copy.get_config() == config
    assert set(dir(copy)) == set(dir(instance))
    serialized = keras.saving.serialize_keras_object(instance)
    assert serialized["registered_name"] == f"kerasq>{case.layer.__name__}"
    restored = keras.saving.deserialize_keras_object(serialized)
    assert restored.get_config() == config
    assert restored.kernel_quantizer == instance.kernel_quantizer
    assert restored.bias_quantizer == instance.bias_quantizer


@pytest.mark.parametrize("case", NAMED, ids=str)
def test_a_named_layer_that_draws_nothing_has_no_seed(case):
    if "seed" in case.changed:
        assert case.make(**case.own, seed=5).get_config()["seed"] == 5
    else:
        with pytest.raises(ValueError, match=r"Unrecognized keyword arguments passed to .*{'seed': 5}"):
            case.make(**case.own, seed=5)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_quantizer_comes_as_object_class_name_or_config(kind):
    serialized = keras.saving.serialize_keras_object(BinaryWeight())
    for identifier in (BinaryWeight(), BinaryWeight, "BinaryWeight", "binary_weight", "kerasq>BinaryWeight", serialized):
        layer = kind.layer(**kind.arguments, kernel_quantizer=identifier, bias_quantizer="kerasq_tests>Halves")
        assert layer.kernel_quantizer == BinaryWeight()
        assert layer.bias_quantizer == Halves()
    assert kind.layer(**kind.arguments, kernel_quantizer=None).kernel_format.is_float
    for wrong in ("binary", "kerasq>BinaryConnectConv2D", 3, {}, keras.layers.ReLU()):
        with pytest.raises(ValueError, match=r"`bias_quantizer` must be a quantizer.* Received: bias_quantizer="):
            kind.layer(**kind.arguments, kernel_quantizer=None, bias_quantizer=wrong)
    with pytest.raises(TypeError, match="kernel_quantizer"):
        kind.layer(**kind.arguments)


def test_config_round_trip_of_fixed_point_quantize():
    layer = layers.FixedPointQuantize(12, -3, False, "identity", name="named")
    copy = layers.FixedPointQuantize.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy.quantizer == layer.quantizer == kerasq.quantizers.FixedPoint(12, -3, False, "identity")


def test_all_layers_are_tested_and_the_named_ones_are_names_of_the_package():
    classes = {case.layer for case in CLASSES} | {layers.FixedPointQuantize, layers.Quantize}
    assert {layer.__name__ for layer in classes} == set(layers.__all__)
    for layer in [*NAMED_LAYERS, layers.FixedPointQuantize]:
        assert getattr(kerasq, layer.__name__) is layer


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_own_errors_name_the_argument(case):
    if case in NAMED:
        with pytest.raises(ValueError, match="straight_through='no'"):
            case.make(straight_through="no")
    with pytest.raises(ValueError, match="no_such_argument"):
        case.make(no_such_argument=1)


@pytest.mark.parametrize("layer", [layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense])
def test_errors_of_the_bias_say_so(layer):
    with pytest.raises(ValueError, match=r"`bias_`.*bits=32"):
        layer(6, 3, bias_bits=32)


def test_errors_of_keras_stay():
    with pytest.raises(ValueError, match="filters"):
        layers.BinaryConnectConv2D(0, 3)
    with pytest.raises(ValueError, match="units"):
        layers.BinaryWeightDense(-1)
    with pytest.raises(ValueError, match="dilation_rate"):
        layers.FixedPointQuantizedConv2D(4, 3, strides=2, dilation_rate=2)


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_kernel_before_build_is_an_error(case):
    with pytest.raises(AttributeError, match=r"build|kernel"):
        case.make().quantized_kernel  # noqa: B018


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_lora_and_quantized_policies_are_refused(case):
    with pytest.raises(ValueError, match=r"lora_rank=4|'lora_rank'"):  # the latter of layers for which Keras has none
        case.make(lora_rank=4)
    with pytest.raises(ValueError, match="dtype='int8_from_float32'"):
        case.make(dtype="int8_from_float32")
    instance = built(case)
    with pytest.raises(NotImplementedError, match="LoRA"):
        instance.enable_lora(2)
    with pytest.raises(NotImplementedError, match="quantized already"):
        instance.quantize("int8")


def test_fixed_point_quantize_refuses_post_training_quantization():
    layer = layers.FixedPointQuantize()
    layer.build((None, 3))
    with pytest.raises(NotImplementedError, match="quantized already"):
        layer.quantize("int8")


def test_model_quantize_skips_our_layers():
    model = keras.Sequential(
        [keras.Input((12,)), layers.FixedPointQuantize(), layers.BinaryConnectDense(8), keras.layers.Dense(4, name="keras")]
    )
    kernel = keras.ops.convert_to_numpy(model.layers[1].kernel)
    with pytest.warns(UserWarning, match="quantized already"):
        model.quantize("int8")
    assert model.get_layer("keras").quantization_mode == "int8"
    assert model.layers[1].quantization_mode is None
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.layers[1].kernel), kernel)
