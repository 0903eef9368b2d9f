"""FoldBatchNorm: statistics stand still in the last epochs, scale and offset are trained, and afterwards all is as before."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasq.callbacks import FoldBatchNorm

L = keras.layers


class Watch(keras.callbacks.Callback):
    """Weights of a normalization after every epoch."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.epochs = layer, []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append({weight.name: np.array(weight) for weight in self.layer.weights})


def fitted(epochs, folded):
    keras.utils.set_random_seed(3)
    inner = keras.Sequential([keras.Input((4,)), L.BatchNormalization(momentum=0.5, name="inner")], name="nested")
    model = keras.Sequential([keras.Input((4,)), L.Dense(4), inner, L.Dense(1)])
    watch = Watch(inner.layers[0])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 3, (32, 4)), rng.normal(size=(32, 1))
    callbacks = [watch, FoldBatchNorm(folded)]
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks)
    return model, watch.epochs, x, y


def test_statistics_stand_still_in_the_last_epochs():
    model, epochs, x, y = fitted(4, 2)
    for before, after, moves in ((0, 1, True), (1, 2, False), (2, 3, False)):
        for name in ("moving_mean", "moving_variance"):
            assert np.array_equal(epochs[before][name], epochs[after][name]) != moves
        for name in ("gamma", "beta"):
            assert not np.array_equal(epochs[before][name], epochs[after][name])
    model.fit(x, y, epochs=1, verbose=0)  # without the callback it is as ever
    assert not np.array_equal(model.layers[1].layers[0].moving_mean, epochs[-1]["moving_mean"])


def test_all_epochs_where_there_are_not_more():
    _, epochs, _, _ = fitted(2, 5)
    np.testing.assert_array_equal(epochs[0]["moving_mean"], np.zeros(4))


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, "1"])
def test_epochs_are_checked(epochs):
    with pytest.raises(ValueError, match="`epochs` must be a positive integer"):
        FoldBatchNorm(epochs)
