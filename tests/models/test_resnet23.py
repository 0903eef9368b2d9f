"""ResNet23 of the zoo: shape, size, families, errors."""

import keras
import numpy as np
import pytest

import kerasq
from kerasq.models import resnet23
from kerasq.models.families import layer_family


@pytest.fixture(scope="module")
def float_model():
    return resnet23()


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def test_float_network_has_the_size_of_the_tutorial(float_model):
    assert float_model.count_params() == 99_402
    assert sum(np.prod(variable.shape) for variable in float_model.trainable_variables) == 97_482
    assert sum(np.prod(layer.kernel.shape) for layer in convolutions(float_model)) == 94_912


def test_float_network_has_the_layers_of_the_tutorial(float_model):
    kinds = [type(layer).__name__ for layer in float_model.layers]
    counts = {"Conv2D": 22, "BatchNormalization": 22, "ReLU": 22, "Add": 7, "MaxPooling2D": 3, "AveragePooling2D": 1, "Dense": 1}
    assert {kind: kinds.count(kind) for kind in counts} == counts
    assert all(not layer.use_bias and layer.activation is keras.activations.linear for layer in convolutions(float_model))
    norms = [layer for layer in float_model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-5)}
    assert float_model.output_shape == (None, 10)


def test_units_compute_at_the_resolutions_of_the_tutorial(float_model):
    assert float_model.get_layer("conv1").output.shape == (None, 32, 32, 64)
    sizes = []
    for unit in range(2, 9):
        shapes = [float_model.get_layer(f"conv{unit}_conv{index}").output.shape for index in (1, 2, 3)]
        size = shapes[0][1]
        assert shapes == [(None, size, size, 32), (None, size, size, 32), (None, size, size, 64)]
        kernels = [float_model.get_layer(f"conv{unit}_conv{index}").kernel_size for index in (1, 2, 3)]
        assert kernels == [(1, 1), (3, 3), (1, 1)]
        sizes.append(size)
    assert sizes == [32, 32, 16, 16, 8, 8, 4]
    assert float_model.get_layer("average_pool").input.shape[1:3] == (4, 4)


def test_pixels_of_any_numeric_type_give_the_same_logits():
    model = resnet23(input_shape=(16, 8, 3), maps=8)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 8, 3), np.uint8)
    outputs = keras.ops.convert_to_numpy(model(pixels))
    np.testing.assert_array_equal(outputs, keras.ops.convert_to_numpy(model(pixels.astype(np.float32))))
    assert outputs.shape == (2, 10)
    assert np.all(np.isfinite(outputs))
    # Scaled inside: the same as the network without scaling on pixels in [0, 1].
    unscaled = resnet23(input_shape=(16, 8, 3), maps=8, scale=1.0)
    unscaled.set_weights(model.get_weights())
    np.testing.assert_allclose(unscaled(pixels / np.float32(255)), outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "convolution", "affine"),
    [
        ("float", keras.layers.Conv2D, keras.layers.Dense),
        ("binary_connect", kerasq.BinaryConnectConv2D, keras.layers.Dense),
        ("binary_weight", kerasq.BinaryWeightConv2D, keras.layers.Dense),
        ("fixed_point", kerasq.FixedPointQuantizedConv2D, kerasq.FixedPointQuantizedDense),
    ],
)
def test_families_differ_in_their_layers_only(family, convolution, affine):
    model = resnet23(family, input_shape=(8, 8, 1), classes=3, maps=4, name="small")
    assert len(convolutions(model)) == 22
    assert {type(layer) for layer in convolutions(model)} == {convolution}
    assert type(model.get_layer("affine")) is affine
    assert layer_family(family) == (convolution, affine)
    plain = resnet23("float", input_shape=(8, 8, 1), classes=3, maps=4)
    model.set_weights(plain.get_weights())
    outputs = keras.ops.convert_to_numpy(model(np.full((1, 8, 8, 1), 100, np.uint8)))
    assert outputs.shape == (1, 3)
    assert np.all(np.isfinite(outputs))
    assert model.name == "small"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "int8"}, "layers='int8'"),
        ({"layers": None}, "layers=None"),
        ({"maps": 63}, "maps=63"),
        ({"input_shape": (30, 32, 3)}, r"input_shape=\(30, 32, 3\)"),
        ({"input_shape": (32, 36, 3)}, r"input_shape=\(32, 36, 3\)"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        resnet23(**arguments)
