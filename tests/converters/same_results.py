"""Small networks and their conversion in 8 bits, which must compute what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import kerasq
from converters.zoo import L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq.interpreter.batches import inputs_of
from kerasq_convert.building import in_float
from kerasq_convert.comparison.outputs import run
from kerasq_convert.network import Network


def network(function: Callable[[Any], Any], shape: tuple[int, ...] = (8, 7, 4)) -> keras.Model:
    """A functional model, always with the same weights."""
    keras.utils.set_random_seed(3)
    x = keras.Input(shape, name="x")
    return randomized(keras.Model(x, function(x)))


def conv(filters: int, size: int = 3, **options: Any) -> keras.Layer:
    """A convolution that keeps the size."""
    return L.Conv2D(filters, size, padding="same", **options)


def converted(model: keras.Model, decibels: float = 30) -> kq.Model:
    """The file of a model, which computes what the model computes, in both engines alike."""
    x = np.random.default_rng(0).normal(size=(32, *model.input_shape[1:])).astype(np.float32)
    content = kerasq.convert(model, representative_dataset=x)
    found, same = (kerasq.Interpreter(model_content=content, engine=engine).predict(x) for engine in ("native", "reference"))
    expected = model.predict(x, verbose=0)
    if not isinstance(expected, list):
        found, same, expected = [found], [same], [expected]
    for a, b, c in zip(expected, found, same, strict=True):
        assert a.shape == b.shape
        assert signal_to_noise_db(a, b) > decibels
        np.testing.assert_array_equal(b, c)
    return kq.loads(content)


def assert_same_function(before: Network, after: Network, rng: np.random.Generator, share: float, least: float) -> None:
    """Two networks compute the same in float, but for a thousandth, or a share of the largest output or of `least`."""
    exact, changed = in_float(before), in_float(after)
    inputs = [rng.uniform(0, 4, (2, *tensor.shape[1:])).astype(np.float32) for tensor in inputs_of(exact)]
    for one, other in zip(run(changed, inputs, "reference"), run(exact, inputs, "reference"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=share * max(np.abs(other).max(), least))
