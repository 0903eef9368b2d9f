"""data_format channels_first: what the same network with the channels last computes, at the price of a transposition at each end.

Keras computes no convolution of this kind on a CPU, so that its own result is that of the network with the channels last.
"""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import ConversionError, float_model


class Layers:
    """Layers of one data format."""

    def __init__(self, data_format):
        self.format, self.axis = {"data_format": data_format}, 1 if data_format == "channels_first" else -1
        self.shared = [2, 3] if self.axis == 1 else [1, 2]

    def conv(self, filters, size=3, **options):
        return L.Conv2D(filters, size, padding="same", **options, **self.format)

    def norm(self, x):
        return L.BatchNormalization(axis=self.axis)(x)


def residual(x, of):
    x = L.ReLU()(of.norm(of.conv(6)(x)))
    x = L.Activation("silu")(L.Add()([x, of.conv(6)(of.conv(6, activation="relu")(x))]))
    x = L.DepthwiseConv2D(3, **of.format)(L.ZeroPadding2D(1, **of.format)(L.MaxPooling2D(2, **of.format)(x)))
    return L.Dense(3)(L.GlobalAveragePooling2D(**of.format)(x))


def squeeze_and_excite(x, of):
    x = of.conv(4)(x)
    gate = of.conv(4, 1, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True, **of.format)(x))
    return L.Multiply()([x, gate])


# Network, and how many transpositions are left.
NETWORKS = {
    "residual": (residual, 1),
    "squeeze and excite": (squeeze_and_excite, 2),
    "flattened": (lambda x, of: L.Dense(3)(L.Flatten(**of.format)(of.conv(4)(x))), 1),
    "joined": (lambda x, of: of.conv(4)(L.Concatenate(axis=of.axis)([of.conv(2)(x), x])), None),
    "transposed convolution": (lambda x, of: L.Conv2DTranspose(3, 3, strides=2, **of.format)(x), None),
    "prelu": (lambda x, of: L.PReLU("normal", shared_axes=of.shared)(of.conv(4)(x)), None),
    "normalized": (lambda x, of: of.conv(3)(L.Normalization(axis=of.axis, mean=[1, 2, 3], variance=[1, 2, 4])(x)), 2),
    "cropped, made larger": (lambda x, of: of.conv(4)(L.UpSampling2D(2, **of.format)(L.Cropping2D(1, **of.format)(x))), None),
    "separable, maximum": (lambda x, of: L.GlobalMaxPooling2D(**of.format)(L.SeparableConv2D(4, 3, **of.format)(x)), 1),
    "mean": (lambda x, of: L.GlobalAveragePooling2D(**of.format)(x), 1),
}
SEQUENCES = {
    "conv1d": (lambda x, of: L.MaxPooling1D(2, **of.format)(L.Conv1D(4, 3, activation="relu", **of.format)(x)), 2),
    "mean of steps": (lambda x, of: L.GlobalAveragePooling1D(**of.format)(x), 0),
}


def model(function, shape, data_format):
    keras.utils.set_random_seed(3)
    x = keras.Input(shape, name="x")
    return randomized(keras.Model(x, function(x, Layers(data_format))))


@pytest.mark.parametrize(
    ("case", "shape"),
    [*((case, (3, 8, 10)) for case in NETWORKS.values()), *((case, (3, 9)) for case in SEQUENCES.values())],
    ids=[*NETWORKS, *SEQUENCES],
)
def test_computes_what_it_computes_with_the_channels_last(case, shape):
    function, transpositions = case
    first, last = model(function, shape, "channels_first"), model(function, (*shape[1:], shape[0]), "channels_last")
    first.set_weights([a.reshape(b.shape) for a, b in zip(last.get_weights(), first.weights, strict=True)])
    x = np.random.default_rng(0).normal(size=(32, *shape)).astype(np.float32)
    expected = last.predict(np.moveaxis(x, 1, -1), verbose=0)
    expected = np.moveaxis(expected, -1, 1) if expected.ndim > 2 else expected
    in_float = kerasq.Interpreter(model_content=float_model(first), engine="reference").predict(x)
    np.testing.assert_allclose(in_float, expected, rtol=1e-4, atol=1e-5)
    content = kerasq.convert(first, representative_dataset=x)
    assert signal_to_noise_db(expected, kerasq.Interpreter(model_content=content).predict(x)) > 28
    if transpositions is not None:
        assert [operator.kind for operator in kq.loads(content).operators].count("TRANSPOSE") == transpositions


def test_dilations_are_refused():
    with pytest.raises(ConversionError, match=r"layer 'it' .*dilations with data_format channels_first"):
        kerasq.convert(model(lambda x, of: of.conv(4, dilation_rate=2, name="it")(x), (3, 8, 10), "channels_first"))
