"""A scaling behind an activation with limits is in the limits; what can't be negative has a format without a sign."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq.qformat import Kind
from kerasq_convert import float_model

CHANNELS = np.array([0.5, 2.0, 1.0, 0.25], np.float32)


def network(function):
    keras.utils.set_random_seed(5)
    x = keras.Input((8, 8, 4), name="x")
    return randomized(keras.Model(x, function(x)))


def conv(x, **options):
    return L.Conv2D(4, 3, padding="same", **options)(x)


def gated(x):
    """Squeeze and excite as MobileNetV3 has it."""
    x = conv(x, activation="relu")
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = keras.ops.relu6(L.Conv2D(4, 1)(gate) + 3.0) * (1 / 6)
    return conv(L.Multiply(name="gated")([x, gate]))


ONE = {  # convolutions with what follows them in one operator
    "hard sigmoid": lambda x: keras.ops.relu6(conv(x) + 3.0) * (1 / 6),
    "negative": lambda x: keras.ops.relu6(conv(x)) * -0.5 + 1.0,
    "channels": lambda x: keras.ops.relu(conv(x)) * CHANNELS,
    "grid": lambda x: keras.ops.relu6(kerasq.FixedPointQuantizedConv2D(3, 3, bits=4, frac_bits=3)(x)) * 0.3,
}
SEVERAL = {
    "channels of relu6": lambda x: keras.ops.relu6(conv(x)) * CHANNELS,
    "channels of other sign": lambda x: keras.ops.relu(conv(x)) * -CHANNELS,
    "offset of relu, by channel": lambda x: keras.ops.relu(conv(x)) + CHANNELS,
    "shown": lambda x: L.Concatenate()([y := keras.ops.relu6(conv(x)), y * (1 / 6)]),
    "gated": gated,
}


def examples(seed=0):
    return np.random.default_rng(seed).normal(0, 3, size=(64, 8, 8, 4)).astype(np.float32)


@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_scalings_behind_clamps_compute_what_keras_does(name):
    model, x = network((ONE | SEVERAL)[name]), examples()
    expected = model.predict(x, verbose=0)
    in_float = float_model(model)
    observed = kerasq.Interpreter(model_content=in_float, engine="reference").predict(x)
    np.testing.assert_allclose(observed, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())
    kinds = [operator.kind for operator in in_float.operators]
    assert (kinds == [OperatorKind.CONV_2D]) == (name in ONE)
    content = kerasq.convert(model, representative_dataset=x)
    native, reference = (
        kerasq.Interpreter(model_content=content, engine=engine).predict(x) for engine in ("native", "reference")
    )
    np.testing.assert_array_equal(native, reference)
    assert 10 * np.log10(np.sum(expected**2) / np.sum((expected - native) ** 2)) > 30


def test_a_gate_with_limits_has_no_sign():
    """Nor has what is multiplied with it: a bit more for both."""
    model = kq.loads(kerasq.convert(network(gated), representative_dataset=examples()))
    (product,) = (operator for operator in model.operators if operator.kind is OperatorKind.MUL)
    assert all(model.tensors[index].format.kind == Kind.UFIXED for index in (*product.inputs, *product.outputs))
    assert len(model.operators) == 5


def test_sums_of_what_is_not_negative_have_no_sign():
    def added(x):
        a, b = (L.Conv2D(4, 3, activation="relu", name=name)(x) for name in "ab")
        mean = L.Conv2D(2, 1, kernel_initializer="ones", name="positive")(L.Add(name="sum")([a, b]))
        return L.Conv2D(2, 1, name="signed")(mean)

    model = network(added)
    model.get_layer("positive").set_weights([np.ones((1, 1, 4, 2)), np.zeros(2)])
    converted = kq.loads(kerasq.convert(model, representative_dataset=examples()))
    assert [converted.tensor(f"{name}/output").format.kind for name in ("sum", "positive", "signed")] == [
        Kind.UFIXED,
        Kind.UFIXED,
        Kind.FIXED,
    ]
