"""TimeDistributed, and layers that a network applies to one time step after the other: one operator for all steps."""

import keras
import pytest

import kerasq
from converters.same_results import conv, converted, network
from converters.zoo import L, randomized
from kerasq_convert import ConversionError

ops = keras.ops
VIDEO = (5, 6, 7, 3)  # read as pictures on top of one another, for a file holds four axes


def chain(*layers, shape=(30, 7, 3)):
    keras.utils.set_random_seed(3)
    return randomized(keras.Sequential([keras.Input(shape, name="x"), *layers]))


def each(*layers):
    return [L.TimeDistributed(layer) for layer in layers]


def frames(*layers):
    return chain(L.Reshape(VIDEO), *each(*layers))


def encoder():
    layers = [conv(4, activation="relu"), L.MaxPooling2D(2), conv(5), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(6)]
    return keras.Sequential([keras.Input(VIDEO[1:]), *layers])


def residual():
    x = keras.Input((4,))
    return keras.Model(x, L.Add()([x, L.Dense(4)(x)]))


def gated(shape, pooling):
    """Channels scaled by what was pooled of them."""
    x = keras.Input(shape)
    return keras.Model(x, L.Multiply()([L.Activation("tanh")(x), L.Dense(shape[-1], activation="sigmoid")(pooling(x))]))


def unstacked(x):
    dense = L.Dense(4, activation="relu")
    return ops.stack([dense(step) for step in ops.unstack(x, axis=1)], axis=1)


def as_examples(*layers):
    """Pictures that a reshape makes examples of, as TimeDistributed does in Keras 2."""

    def function(x):
        x = ops.reshape(x, (-1, *VIDEO[1:]))
        for layer in layers:
            x = layer(x)
        return ops.reshape(x, (-1, VIDEO[0], *x.shape[1:]))

    return network(function, (30, 7, 3))


NETWORKS = {
    "as examples": lambda: as_examples(conv(4, activation="relu"), L.MaxPooling2D(2), L.GlobalAveragePooling2D(), L.Dense(2)),
    "as examples, flattened": lambda: as_examples(L.Conv2D(4, 3, strides=2), L.ReLU(), L.Flatten(), L.Dense(3), L.Softmax()),
    "dense": lambda: chain(*each(L.Dense(5, activation="relu")), shape=(6, 8)),
    "dense, several": lambda: chain(L.Conv1D(4, 3), *each(L.Dense(5, activation="tanh"), L.Dense(3)), shape=(6, 8)),
    "conv1d": lambda: chain(*each(L.Conv1D(5, 3, padding="same", strides=2), L.GlobalAveragePooling1D()), shape=(5, 9, 4)),
    "normalization": lambda: chain(*each(L.BatchNormalization(), L.Activation("sigmoid")), shape=(5, 9, 4)),
    "layer normalization": lambda: frames(conv(4), L.LayerNormalization(axis=(1, 2, 3)), L.GroupNormalization(2), L.Flatten()),
    "flatten": lambda: chain(*each(L.Flatten()), L.Dense(3), shape=(5, 9, 4)),
    "of TimeDistributed": lambda: chain(*each(L.TimeDistributed(L.Dense(3, activation="relu"))), shape=(4, 5, 6)),
    "of a model": lambda: chain(*each(residual()), shape=(6, 4)),
    "conv2d": lambda: frames(conv(4, activation="relu"), L.Flatten()),
    "conv2d, even kernel, strides": lambda: frames(L.Conv2D(4, (4, 2), strides=(3, 1), padding="same"), L.Flatten()),
    "conv2d, dilated": lambda: frames(L.Conv2D(4, 2, dilation_rate=2, padding="same"), L.Flatten()),
    "pooling": lambda: frames(L.MaxPooling2D(3, strides=2), L.AveragePooling2D((2, 3)), L.Flatten()),
    "padded pooling": lambda: frames(L.MaxPooling2D(3, strides=2, padding="same"), L.AveragePooling2D(2, 1, "same"), L.Flatten()),
    "padded pooling of other windows": lambda: frames(L.AveragePooling2D((3, 2), (1, 3), "same"), L.Conv2D(2, 2), L.Flatten()),
    "padded pooling, 1D": lambda: chain(*each(L.MaxPooling1D(3, 2, "same"), L.AveragePooling1D(2, 3, "same")), shape=(5, 9, 4)),
    "as examples, padded pooling": lambda: as_examples(conv(4), L.AveragePooling2D(3, 2, "same"), L.Flatten(), L.Dense(3)),
    "squeeze and excitation": lambda: frames(gated(VIDEO[1:], L.GlobalAveragePooling2D(keepdims=True)), conv(2), L.Flatten()),
    "squeeze and excitation, 1D": lambda: chain(*each(gated((9, 4), L.GlobalMaxPooling1D(keepdims=True))), shape=(5, 9, 4)),
    "padding and cropping": lambda: frames(L.ZeroPadding2D((1, 2)), L.Conv2D(3, 3), L.Cropping2D(1), L.Flatten()),
    "transposed convolution": lambda: frames(L.Conv2DTranspose(2, 3, strides=2, padding="same"), L.Flatten()),
    "encoder of pictures": lambda: chain(L.Reshape(VIDEO), *each(encoder()), L.Conv1D(4, 3)),
    "written out": lambda: network(unstacked, (6, 8)),
    "written out, in part": lambda: network(lambda x: ops.stack([L.Dense(4)(x[:, t]) for t in (0, 2)], axis=1), (3, 8)),
    "one step": lambda: chain(*each(L.Dense(4)), shape=(1, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_keras_computes(name):
    converted(NETWORKS[name](), decibels=28)


@pytest.mark.parametrize(("steps", "weights"), [(2, 8 * 5), (40, 8 * 5)])
def test_one_kernel_for_all_steps(steps, weights):
    file = converted(chain(*each(L.Dense(5, name="it")), shape=(steps, 8)))
    kernels = [tensor for tensor in file.constants() if tensor.name.endswith("kernel")]
    assert [kernel.data.size for kernel in kernels] == [weights]
    assert [operator.kind for operator in file.operators if operator.kind != "RESHAPE"] == ["CONV_2D"]


def test_a_layer_that_is_not_supported_is_named():
    with pytest.raises(ConversionError) as error:
        kerasq.convert(keras.Sequential([keras.Input((3, 70, 5)), L.TimeDistributed(L.LSTM(3), name="it")]))
    assert "layer 'it' (TimeDistributed): a loop over more than" in str(error.value)


def test_what_a_step_lacks_is_the_reason():
    x = keras.Input((6, 4))
    inner = keras.Model(x, L.Dense(1)(ops.prod(x, axis=-1, keepdims=True)))
    with pytest.raises(ConversionError) as error:
        kerasq.convert(keras.Sequential([keras.Input((3, 6, 4)), L.TimeDistributed(inner, name="it")]))
    assert "layer 'it'" in str(error.value)
    assert "RNN" not in str(error.value)


def test_rows_that_stay_examples_are_refused():
    with pytest.raises(ConversionError, match=r"shape \(6, 2\) for one example.*Reshape to \(batch, 6, 2\)"):
        kerasq.convert(network(lambda x: L.Dense(2)(ops.reshape(x, (-1, 4))), (6, 4)))
