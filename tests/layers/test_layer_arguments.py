"""Arguments: every one of Keras, in its order and with its defaults, and ours; configs; errors."""

import inspect
import pydoc

import keras
import numpy as np
import pytest

import kerasq
from kerasq import layers
from layers.layer_cases import KERNEL_LAYERS, batch, input_shape, keras_layer, make, own_arguments

ALL_LAYERS = [*KERNEL_LAYERS, layers.FixedPointQuantize]


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_signature_is_that_of_keras_and_our_keywords(layer):
    theirs = list(inspect.signature(keras_layer(layer)).parameters.values())
    ours = list(inspect.signature(layer).parameters.values())
    assert ours[: len(theirs) - 1] == theirs[:-1]
    assert ours[-1].kind == theirs[-1].kind == inspect.Parameter.VAR_KEYWORD
    own = ours[len(theirs) - 1 : -1]
    assert {parameter.kind for parameter in own} == {inspect.Parameter.KEYWORD_ONLY}
    assert {parameter.name for parameter in own} == set(own_arguments(layer))


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_help_shows_and_documents_every_own_argument(layer):
    text = pydoc.plain(pydoc.render_doc(layer))
    for name in own_arguments(layer):
        assert f"{name}: " in text.split("Methods")[0]
        assert name in inspect.getdoc(layer)


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_a_user_subclass_keeps_its_own_signature(layer):
    class Mine(layer):
        def __init__(self, width, **kwargs):
            super().__init__(*((width, 3) if "Conv2D" in layer.__name__ else (width,)), **kwargs)

    assert list(inspect.signature(Mine).parameters) == ["width", "kwargs"]
    assert Mine(5)(batch(layer)).shape[-1] == 5


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_positional_arguments_go_where_keras_puts_them(layer):
    arguments = (6, (3, 3), (2, 2), "same") if "Conv2D" in layer.__name__ else (6, "relu", False)
    config, expected = layer(*arguments).get_config(), keras_layer(layer)(*arguments).get_config()
    for name, value in expected.items():
        assert name == "name" or config[name] == value


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
@pytest.mark.parametrize("own", [True, False])
def test_config_round_trip(layer, own):
    arguments = {"kernel_regularizer": "l2", "activation": "relu", "name": "named", "trainable": False}
    instance = make(layer, **arguments, **(own_arguments(layer) if own else {}))
    config = instance.get_config()
    for name, value in (own_arguments(layer) if own else {}).items():
        assert config[name] == value
    copy = layer.from_config(config)
    assert copy.get_config() == config
    assert set(dir(copy)) == set(dir(instance))
    serialized = keras.saving.serialize_keras_object(instance)
    assert serialized["registered_name"] == f"kerasq>{layer.__name__}"
    restored = keras.saving.deserialize_keras_object(serialized)
    assert restored.get_config() == config
    assert restored.kernel_quantizer == instance.kernel_quantizer
    assert restored.bias_quantizer == instance.bias_quantizer


def test_config_round_trip_of_fixed_point_quantize():
    layer = layers.FixedPointQuantize(12, -3, False, "identity", name="named")
    copy = layers.FixedPointQuantize.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy.quantizer == layer.quantizer == kerasq.quantizers.FixedPoint(12, -3, False, "identity")


def test_package_exports_the_layers():
    for layer in ALL_LAYERS:
        assert getattr(kerasq, layer.__name__) is layer
    assert {layer.__name__ for layer in ALL_LAYERS} <= set(layers.__all__)


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_own_errors_name_the_argument(layer):
    with pytest.raises(ValueError, match="straight_through='no'"):
        make(layer, straight_through="no")
    with pytest.raises(ValueError, match="no_such_argument"):
        make(layer, no_such_argument=1)


@pytest.mark.parametrize("layer", [layers.FixedPointQuantizedConv2D, layers.FixedPointQuantizedDense])
def test_errors_of_the_bias_say_so(layer):
    with pytest.raises(ValueError, match=r"`bias_`.*bits=32"):
        make(layer, bias_bits=32)


def test_errors_of_keras_stay():
    with pytest.raises(ValueError, match="filters"):
        layers.BinaryConnectConv2D(0, 3)
    with pytest.raises(ValueError, match="units"):
        layers.BinaryWeightDense(-1)
    with pytest.raises(ValueError, match="dilation_rate"):
        layers.FixedPointQuantizedConv2D(4, 3, strides=2, dilation_rate=2)


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_kernel_before_build_is_an_error(layer):
    with pytest.raises(AttributeError, match="build"):
        make(layer).quantized_kernel  # noqa: B018


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_lora_and_quantized_policies_are_refused(layer):
    with pytest.raises(ValueError, match="lora_rank=4"):
        make(layer, lora_rank=4)
    with pytest.raises(ValueError, match="dtype='int8_from_float32'"):
        make(layer, dtype="int8_from_float32")
    instance = make(layer)
    instance.build((None, *input_shape(layer)))
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
