"""Shares of flipped signs, and statistics for the weights as they are. With KERAS_BACKEND these run on JAX and torch."""

import itertools

import keras
import numpy as np
import pytest

import kerasq
from kerasq.callbacks import FlipRatios, ReestimateBatchNorm

RNG = np.random.default_rng(3)
X = RNG.normal(1.0, 2.0, (64, 8)).astype(np.float32)
Y = RNG.normal(size=(64, 2)).astype(np.float32)


def network(rate=0.05):
    keras.utils.set_random_seed(4)
    layers = [kerasq.layers.BinaryWeightDense(6, name="a"), keras.layers.BatchNormalization(name="bn"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def numpy(value):
    return keras.ops.convert_to_numpy(value)


def test_the_logs_have_the_share_that_an_epoch_changed():
    model, callback = network(0.3), FlipRatios()
    signs = [np.sign(numpy(model.get_layer("a").kernel))]
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: signs.append(np.sign(numpy(model.get_layer("a").kernel)))
    )
    history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[callback, keep]).history
    wanted = [np.mean(a != b) for a, b in itertools.pairwise(signs)]
    assert max(wanted) > 0
    np.testing.assert_allclose(history["flip_ratio"], wanted, rtol=1e-6)
    assert list(callback.ratios.values()) == pytest.approx([wanted[-1]])


@pytest.mark.parametrize("kind", ["array", "batches", "pairs"])
def test_statistics_become_the_means_over_the_batches(kind):
    model = network()
    batches = [X[start : start + 16] for start in range(0, 64, 16)]
    x = {"array": X, "batches": batches, "pairs": [(batch, Y[:16]) for batch in batches]}[kind]
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(numpy(model.get_layer("bn").moving_mean))
    )
    callbacks = [ReestimateBatchNorm(x, batch_size=16), watch]
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, validation_data=(X, Y), callbacks=callbacks)
    outputs = np.stack([numpy(model.get_layer("a")(batch)) for batch in batches])
    layer = model.get_layer("bn")
    np.testing.assert_allclose(numpy(layer.moving_mean), outputs.mean((0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numpy(layer.moving_variance), outputs.var(1).mean(0), rtol=1e-4)
    assert layer.momentum == 0.99
    assert np.abs(seen[1]).max() > 0.3  # before the second epoch: what stood for validation, not a moving average


def test_nothing_else_changes_and_no_batches_are_an_error():
    model = network()
    others = [variable for variable in model.variables if "moving" not in variable.path]
    before = [numpy(variable) for variable in others]
    callback = ReestimateBatchNorm(X, batch_size=16, batches=2)
    callback.set_model(model)
    callback.on_train_end()
    assert all(np.array_equal(old, numpy(variable)) for old, variable in zip(before, others, strict=True))
    outputs = numpy(model.get_layer("a")(X[:32]))
    np.testing.assert_allclose(numpy(model.get_layer("bn").moving_mean), outputs.mean(0), rtol=1e-4, atol=1e-5)
    callback.x = X[:0]
    with pytest.raises(ValueError, match="no batches"):
        callback.on_train_end()
