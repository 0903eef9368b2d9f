"""Samples of several inputs, in every form in which the callback takes them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasq.callbacks import ActivationStatistics

A = 8 * np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
B = np.random.default_rng(2).normal(size=(20, 4)).astype(np.float32)
TENS = [slice(0, 10), slice(10, 20)]
FORMS = {
    "list": lambda: [A, B],
    "tuple": lambda: (A, B),
    "dict": lambda: {"alpha": B, "zeta": A},
    "generator of lists": lambda: ([A[rows], B[rows]] for rows in TENS),
    "generator of tuples": lambda: ((A[rows], B[rows]) for rows in TENS),
    "generator of dicts": lambda: ({"alpha": B[rows], "zeta": A[rows]} for rows in TENS),
    "generator function": lambda: lambda: ({"alpha": B[rows], "zeta": A[rows]} for rows in TENS),
    "function that gives arrays": lambda: lambda: (A, B),
    "generator with targets": lambda: (([A[rows], B[rows]], A[rows]) for rows in TENS),
    "generator of tuples with targets and weights": lambda: (((A[rows], B[rows]), A[rows], None) for rows in TENS),
    "tf.data with targets": lambda: tf.data.Dataset.from_tensor_slices(({"alpha": B, "zeta": A}, A)).batch(10),
}


def collected(model, data, folder):
    callback = ActivationStatistics(folder, data, batch_size=10)
    callback.set_model(model)
    callback.on_train_begin()
    return callback.collect()


@pytest.fixture(scope="module")
def difference():
    inputs = [keras.Input((4,), name="zeta"), keras.Input((4,), name="alpha")]
    return keras.Model(inputs, keras.layers.Subtract(name="difference")(inputs))


@pytest.mark.parametrize("form", FORMS)
def test_several_inputs(difference, tmp_path, form):
    statistics = collected(difference, FORMS[form](), tmp_path)
    assert (statistics["zeta"].max, statistics["alpha"].max) == (A.max(), B.max())
    assert statistics["difference/output"].max == pytest.approx((A - B).max())
    assert statistics["zeta"].count == A.size


@pytest.mark.parametrize("targets", [(B,), (B, np.ones(20))])
def test_a_tuple_for_one_input_has_targets(tmp_path, targets):
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.ReLU(name="relu")])
    statistics = collected(model, iter([(A, *targets)]), tmp_path)
    assert (statistics["x"].max, statistics["x"].count) == (A.max(), A.size)
