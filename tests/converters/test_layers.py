"""Each kind of layer converts: in float to what Keras computes, in 16 bits to within their noise."""

import keras
import numpy as np
import pytest

import kerasq
from converters.layer_zoo import LAYERS, SEQUENCE, examples, image, make, sequence
from converters.zoo import FLOAT, L, signal_to_noise_db
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq_convert import ConversionError


@pytest.fixture(scope="module", params=list(LAYERS))
def network(request):
    return make(request.param)


def outputs(result):
    return [np.asarray(array) for array in (result if isinstance(result, list | tuple) else [result])]


def of_keras(model, x):
    return outputs(model(x if len(x) > 1 else x[0], training=False))


def of_kerasq(content, x):
    return outputs(kerasq.Interpreter(model_content=content).predict(x if len(x) > 1 else x[0]))


def kinds(content):
    return [operator.kind for operator in kq.loads(content).operators]


def test_in_float(network):
    x = examples(network, 3, seed=1)
    for expected, found in zip(of_keras(network, x), of_kerasq(kerasq.convert(network, settings=FLOAT), x), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


def test_in_sixteen_bits(network):
    settings = {"buffers": {"*": "FIXED16"}, "parameters": {"*": "FIXED16"} if network.weights else {}}
    data = examples(network, 64, seed=2)
    content = kerasq.convert(network, settings=settings, representative_dataset=lambda: [data])
    for expected, found in zip(of_keras(network, data), of_kerasq(content, data), strict=True):
        assert signal_to_noise_db(expected, found) > 55


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("conv1d", 1),
        ("conv1d_causal_dilated", 1),
        ("depthwise1d", 1),
        ("separable2d", 2),
        ("dense_of_image", 2),
        ("normalization_after_pooling", 2),
        ("normalization_before_flatten", 2),
        ("normalization_after_reshape", 2),
        ("zero_padding", 1),
        ("input_normalization", 1),
        ("input_normalization_of_features", 1),
        ("residual_of_sequences", 5),
    ],
)
def test_what_folds_costs_nothing(name, operators):
    computed = [kind for kind in kinds(kerasq.convert(make(name), settings=FLOAT)) if kind is not OperatorKind.RESHAPE]
    assert len(computed) == operators, computed


def test_between_one_dimensional_layers_no_reshape_is_left():
    assert kinds(kerasq.convert(make("residual_of_sequences"), settings=FLOAT)).count(OperatorKind.RESHAPE) == 1


REFUSED = {
    "attention": (lambda: L.Lambda(lambda x: keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1))), name="it"), "convolutions"),
    "log_softmax": (lambda: L.Activation("log_softmax", name="it"), "logarithm"),
    "running_sums": (lambda: L.Lambda(lambda x: keras.ops.cumsum(x, axis=1), name="it"), "convolution"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_in_one_line_with_a_remedy(name):
    make_layer, remedy = REFUSED[name]
    with pytest.raises(ConversionError) as error:
        kerasq.convert(sequence(make_layer()))
    assert len(error.value.problems) == 1, error.value
    assert error.value.problems[0].startswith("layer 'it' (")
    assert remedy in error.value.problems[0]


def test_every_refused_layer_is_listed_once_in_the_order_of_the_network():
    model = image(
        L.Activation("log_softmax", name="first"), L.Conv2D(3, 3, name="good"), L.Activation("log_softmax", name="second")
    )
    with pytest.raises(ConversionError) as error:
        kerasq.convert(model)
    assert [problem.split(" (")[0] for problem in error.value.problems] == ["layer 'first'", "layer 'second'"]


def test_names_of_one_dimensional_layers():
    model = keras.Sequential(
        [keras.Input(SEQUENCE, name="signal"), L.Conv1D(2, 3, name="conv"), L.BatchNormalization(name="bn"), L.ReLU(name="relu")]
    )
    names = {tensor.name for tensor in kq.loads(kerasq.convert(model)).tensors}
    assert {"signal", "conv/kernel", "relu/output"} <= names


def test_a_scaling_with_an_offset_before_padding_is_told_with_its_cost_and_a_remedy():
    def notes(*layers):
        converter = kerasq.Converter(image(*layers))
        converter.convert()
        return [note for note in converter.report.notes if "rescaling" in note]

    rescaling, conv = L.Rescaling(1 / 127.5, -1, name="rescaling"), L.Conv2D(2, 3, padding="same", name="conv")
    (note,) = notes(rescaling, conv)
    assert "padding of 'conv'" in note
    assert "270 multiply-accumulates" in note
    assert "18 bytes" in note
    assert "ZeroPadding2D" in note
    assert not notes(L.ZeroPadding2D(1), rescaling, L.Conv2D(2, 3))
    assert not notes(L.Rescaling(1 / 127.5, name="rescaling"), conv)


def test_padding_before_a_scaling_that_is_folded_is_folded_too():
    model = image(L.ZeroPadding2D(1), L.Rescaling(1 / 127.5, -1), L.Conv2D(2, 3))
    content = kerasq.convert(model, settings=FLOAT)
    assert kinds(content) == [OperatorKind.CONV_2D]
    x = examples(model, 3, seed=1)
    np.testing.assert_allclose(of_kerasq(content, x)[0], of_keras(model, x)[0], rtol=1e-5, atol=1e-5)
