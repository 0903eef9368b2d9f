"""Weights that go back and forth are frozen, others never; what is frozen stays. With KERAS_BACKEND on JAX and torch, too."""

import keras
import numpy as np
import pytest

import kerasq
from kerasq.callbacks import FreezeFlips
from kerasq.callbacks.freeze_flips import Watched
from kerasq.quantizers import BinaryWeight, FixedPoint, LearnedScaledFixedPoint, LearnedTernary, ScaledFixedPoint

RNG = np.random.default_rng(3)
X = RNG.normal(size=(256, 8)).astype(np.float32)
Y = (X @ RNG.normal(size=(8, 3))).astype(np.float32)


def network(quantizer, rate):
    keras.utils.set_random_seed(4)
    layers = [keras.layers.Dense(16, activation="relu"), kerasq.layers.QuantizedDense(3, kernel_quantizer=quantizer, name="q")]
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def history_of(quantizer, rate, callbacks, epochs=12):
    """Quantized kernels by epoch, and the logs."""
    model, kernels = network(quantizer, rate), []
    layer = model.get_layer("q")
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kernels.append(keras.ops.convert_to_numpy(layer.quantized_kernel))
    )
    logs = model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=[*callbacks, keep]).history
    return np.sign(np.stack(kernels)), logs


QUANTIZERS = [BinaryWeight(), LearnedTernary(), ScaledFixedPoint(4, "max"), LearnedScaledFixedPoint(3), FixedPoint(4, 3)]


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=repr)
def test_flips_end_and_what_is_frozen_stays(quantizer):
    flips, callback = kerasq.callbacks.FlipRatios(), FreezeFlips(0.1, 0.01, momentum=0.9)
    _, free = history_of(quantizer, 0.1, [flips])
    signs, logs = history_of(quantizer, 0.1, [callback, flips])
    assert np.all(np.diff(logs["frozen"]) >= 0)
    assert 0 < logs["frozen"][-1] <= 1
    assert sum(logs["flip_ratio"][-4:]) <= sum(free["flip_ratio"][-4:])
    ((_, _, watched),) = callback._watched
    since = np.argmax(np.asarray(logs["frozen"]) == logs["frozen"][-1])
    stopped = signs[since:, watched.frozen]
    np.testing.assert_array_equal(stopped, np.broadcast_to(stopped[0], stopped.shape))


def test_binary_weights_flip_less():
    flips = kerasq.callbacks.FlipRatios()
    _, free = history_of(BinaryWeight(), 0.1, [flips], epochs=20)
    _, frozen = history_of(BinaryWeight(), 0.1, [FreezeFlips(0.1, 0.01, momentum=0.9), flips], epochs=20)
    assert sum(frozen["flip_ratio"][-6:]) < 0.5 * sum(free["flip_ratio"][-6:])


def test_weights_that_move_one_way_are_never_frozen():
    assert history_of(BinaryWeight(), 1e-4, [FreezeFlips()], epochs=3)[1]["frozen"] == [0.0, 0.0, 0.0]


def test_the_frequency_is_that_of_the_formula():
    """One weight goes back and forth at every step, one stays, one goes up all the time."""
    zigzag = np.array([1.0, -1.0] * 6)
    levels = np.stack([zigzag, np.ones(12), np.arange(12.0)], axis=1).astype(np.float32)
    watched, f, m = Watched(levels[0], levels[0]), 0.0, 1.0
    for step, row in enumerate(levels[1:], start=1):
        f, m = 0.9 * f + 0.1 * (step > 1), 0.9 * m + 0.1 * row[0]
        more = watched.update(row, row * 0.5, 0.9, 0.3)
        np.testing.assert_allclose(watched.frequency, [f, 0, 0], rtol=1e-6)
        np.testing.assert_allclose(watched.mean[0], m, rtol=1e-5)
        assert more == (f > 0.3)
        if more:
            break
    np.testing.assert_array_equal(watched.frozen, [True, False, False])
    assert abs(watched.held[0]) in (0.5, 1.0)
    assert np.sign(watched.held[0]) == np.sign(m)


@pytest.mark.parametrize("arguments", [{"first": 0}, {"last": 1.5}, {"momentum": 1}, {"frequency": 0}, {"first": True}])
def test_arguments_of_no_use(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}` must be a number .* Received: {name}={value}"):
        FreezeFlips(**arguments)
