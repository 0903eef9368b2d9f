"""Branches that are multiplied or set side by side, maps made larger, axes that change places, and every activation.

Each network is converted for observing (FLOAT32, which must be what Keras computes) and in 8 and 16 bits.
"""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq_convert import ConversionError, float_model


def chain(*layers, shape=(8, 8, 4)):
    keras.utils.set_random_seed(3)
    return randomized(keras.Sequential([keras.Input(shape, name="x"), *layers]))


def network(function, shape=(8, 8, 4)):
    keras.utils.set_random_seed(3)
    x = keras.Input(shape, name="x")
    return randomized(keras.Model(x, function(x)))


def conv(filters, size=1, **options):
    return L.Conv2D(filters, size, padding="same", **options)


def squeeze_and_excite(x):
    x = conv(8, 3)(x)
    gate = conv(4, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(x))
    return L.Multiply()([x, conv(8, activation="sigmoid")(gate)])


def inverted_residual(x):
    """As in MobileNetV3: hard-swish, depthwise, squeeze and excite, no activation at the end."""
    h = L.Activation("hard_silu")(L.BatchNormalization()(conv(8, use_bias=False)(x)))
    h = L.DepthwiseConv2D(3, padding="same", use_bias=False)(h)
    h = squeeze_and_excite(L.Activation("hard_silu")(L.BatchNormalization()(h)))
    return L.Add()([x, L.BatchNormalization()(conv(4, use_bias=False)(h))])


def unet(x):
    a = conv(6, 3, activation="relu")(x)
    b = conv(8, 3, activation="relu")(L.MaxPooling2D()(a))
    up = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(b)
    return conv(3)(L.Concatenate()([a, up]))


def inception(x):
    pool = conv(3)(L.MaxPooling2D(3, strides=1, padding="same")(x))
    return L.Concatenate()([conv(4)(x), conv(3, 3)(conv(2)(x)), conv(3, 5)(conv(2)(x)), pool])


def channel_shuffle(x):
    x = L.Reshape((8, 8, 2, 2))(conv(4)(x))
    return L.Reshape((8, 8, 4))(L.Permute((1, 2, 4, 3))(x))


NETWORKS = {
    "squeeze_and_excite": lambda: network(squeeze_and_excite),
    "inverted_residual": lambda: network(inverted_residual),
    "unet": lambda: network(unet),
    "inception": lambda: network(inception),
    "channel_shuffle": lambda: network(channel_shuffle),
    "multiply": lambda: network(lambda x: L.Multiply()([conv(4, 3)(x), x])),
    "concatenate_seven": lambda: network(lambda x: L.Concatenate()([conv(n)(x) for n in range(1, 8)])),
    "concatenate_rows": lambda: network(lambda x: L.Concatenate(axis=1)([conv(4, 3)(x), x])),
    "concatenate_twice_the_same": lambda: network(lambda x: conv(3)(L.Concatenate()([x, x]))),
    "concatenate_features": lambda: network(lambda x: L.Concatenate()([L.Dense(3)(x), L.Dense(4)(x)]), shape=(5,)),
    "upsampling": lambda: chain(conv(3), L.UpSampling2D(2), conv(2, 3)),
    "upsampling_unequal": lambda: chain(L.UpSampling2D((3, 2))),
    "upsampling_1d": lambda: chain(L.UpSampling1D(2), L.Conv1D(3, 3), shape=(10, 4)),
    "repeat_vector": lambda: chain(L.Dense(6), L.RepeatVector(7), L.Conv1D(3, 2), shape=(7,)),
    "permute_213": lambda: chain(L.Permute((2, 1, 3)), conv(3, 3)),
    "permute_312": lambda: chain(L.Permute((3, 1, 2))),
    "permute_321": lambda: chain(L.Permute((3, 2, 1))),
    "permute_sequence": lambda: chain(L.Permute((2, 1)), L.Conv1D(3, 3), shape=(10, 4)),
    "transposed_1d": lambda: chain(L.Conv1DTranspose(3, 4, strides=2, padding="same"), shape=(10, 4)),
    "transposed_1d_with_output_padding": lambda: chain(L.Conv1DTranspose(3, 2, strides=3, output_padding=2), shape=(10, 4)),
    "transposed_normalized": lambda: chain(
        L.Conv2DTranspose(5, 3, strides=2, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(), conv(2, 3)
    ),
    "prelu": lambda: chain(conv(4, 3), L.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.RandomUniform(0.1, 0.4))),
    "leaky_relu": lambda: chain(conv(4, 3), L.LeakyReLU(0.1), conv(2, 3)),
    "glu": lambda: chain(conv(8, 3, activation="glu")),
    "relu_of_everything": lambda: chain(conv(4, 3), L.ReLU(max_value=2.0, negative_slope=0.1)),
    "gelu_tanh": lambda: chain(conv(4, 3), L.Activation(lambda x: keras.activations.gelu(x, approximate=True))),
}
SMOOTH = [
    *("celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "mish"),
    *("relu6", "selu", "sigmoid", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus"),
    *("tanh", "tanh_shrink"),
]
TRANSPOSED = [(*sizes, padding) for sizes in ((3, 1), (2, 2), (3, 2), (5, 2), (2, 3), (4, 3)) for padding in ("same", "valid")]
# Kernel, strides, padding and output padding; in some, rows come to be that no weight reaches.
OUTPUT_PADDING = [
    *((2, 2, "valid", 1), (1, 3, "valid", (0, 2)), (3, 4, "valid", 3), ((5, 2), (3, 2), "same", (2, 1)), (3, 2, "same", 1)),
]
CASES = (
    NETWORKS
    | {name: lambda name=name: chain(conv(4, 3, activation=name)) for name in SMOOTH}
    | {
        "transposed, output padding {} {} {} {}".format(*case): lambda case=case: chain(
            L.Conv2DTranspose(3, case[0], strides=case[1], padding=case[2], output_padding=case[3]), shape=(4, 5, 2)
        )
        for case in OUTPUT_PADDING
    }
    | {
        "transposed {} {} {}".format(*case): lambda case=case: chain(
            L.Conv2DTranspose(3, case[0], strides=case[1], padding=case[2]), shape=(5, 6, 4)
        )
        for case in TRANSPOSED
    }
)


def examples(model, count=64, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_computes_what_keras_computes(name):
    model = CASES[name]()
    x = examples(model)
    expected = model.predict(x, verbose=0)
    observed = kerasq.Interpreter(model_content=float_model(model), engine="reference").predict(x)
    np.testing.assert_allclose(observed, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())
    for bits, decibels in ((8, 26), (16, 36)):
        content = kerasq.convert(model, representative_dataset=x, bits=bits)
        found = kerasq.Interpreter(model_content=content).predict(x)
        assert signal_to_noise_db(expected, found) > decibels, bits
        reference = kerasq.Interpreter(model_content=content, engine="reference").predict(x)
        np.testing.assert_array_equal(found, reference)


@pytest.mark.parametrize(("padding", "size"), [("same", 3), ("valid", 2)])
def test_a_dilated_transposed_convolution_is_one_with_zeros_between_its_weights(padding, size):
    """TensorFlow computes none on a CPU, but of the kernel written out."""
    model = chain(L.Conv2DTranspose(3, size, dilation_rate=(2, 3), padding=padding, bias_initializer="normal"), shape=(5, 6, 4))
    kernel, bias = model.get_weights()
    spread = np.zeros((2 * size - 1, 3 * size - 2, *kernel.shape[2:]), np.float32)
    spread[::2, ::3] = kernel
    written_out = chain(L.Conv2DTranspose(3, spread.shape[:2], padding=padding), shape=(5, 6, 4))
    written_out.set_weights([spread, bias])
    x = examples(model)
    file = float_model(model)
    found = kerasq.Interpreter(model_content=file, engine="reference").predict(x)
    np.testing.assert_allclose(found, written_out.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    assert max(np.prod(tensor.shape) for tensor in file.constants()) == size * size * 12  # the zeros are not stored


def kinds(model, **options):
    content = kerasq.convert(model, representative_dataset=examples(model), **options)
    return [operator.kind for operator in kq.loads(content).operators]


def test_an_activation_is_one_table():
    for name in ("silu", "gelu", "mish", "hard_silu"):
        assert kinds(chain(conv(4, 3, activation=name))) == [OperatorKind.CONV_2D, OperatorKind.LOOKUP]


def test_a_transposed_convolution_takes_in_what_follows_it():
    model = NETWORKS["transposed_normalized"]()
    assert kinds(model) == [OperatorKind.CONV_2D, OperatorKind.TRANSPOSE, OperatorKind.CONV_2D]


def test_results_of_look_ups_may_be_float():
    model = chain(conv(4, 3, activation="tanh", name="act"))
    x = examples(model)
    content = kerasq.convert(model, representative_dataset=x, settings={"buffers": {"act/output": "FLOAT32"}})
    assert str(kq.loads(content).tensor("act/output").format) == "FLOAT32"
    assert signal_to_noise_db(model.predict(x, verbose=0), kerasq.Interpreter(model_content=content).predict(x)) > 28


def test_tables_of_float_inputs_are_refused_with_a_remedy():
    with pytest.raises(ConversionError, match=r"as FLOAT32, but a file's tables are for fixed inputs: give it FIXED8 or FIXED16"):
        kerasq.convert(chain(conv(4, 3, activation="tanh")), settings=FLOAT)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: keras.ops.divide(conv(4)(x), x), ["keras.ops.divide", "use Add, Multiply or Concatenate"]),
        (lambda x: L.UpSampling2D(2, interpolation="bicubic", name="smooth")(x), ["layer 'smooth'", "nearest"]),
    ],
)
def test_what_is_refused_has_a_remedy(function, words):
    with pytest.raises(ConversionError) as error:
        kerasq.convert(network(function))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("name", ["upsampling", "inverted_residual", "prelu"])
def test_every_layer_is_analyzed(name):
    """Layers that read a value twice, tables and addends among them."""
    model = NETWORKS[name]()
    converter = kerasq.Converter(model)
    converter.representative_dataset, converter.analyze = examples(model), True
    activations = [tensor.name for tensor in kq.loads(converter.convert()).activations()]
    assert {layer.name for layer in converter.report.analysis.layers} | set(converter.report.analysis.unmatched) == set(
        activations
    )
    assert converter.report.analysis.layers[-1].accumulated.sqnr_db > 26
