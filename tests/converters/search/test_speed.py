"""`prefer`: narrow kernels for processors that add products in 16 bits, where the outputs hardly tell."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
from kerasq import ops
from kerasq.format import dumps
from kerasq.format.model import Model, Operator
from kerasq_convert import ConversionError
from kerasq_convert.comparison.outputs import run, signal_to_noise_db
from kerasq_convert.options.preference import Preference
from kerasq_convert.passes.scale_channels import PAIR, largest_pairs
from kerasq_convert.search import speed

RNG = np.random.default_rng(3)
X = RNG.normal(size=(48, 8, 8, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(4)
    x = inputs = keras.layers.Input(X.shape[1:])
    x = keras.layers.Conv2D(16, 3, activation="relu")(x)  # rows of 15 weights
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.Conv2D(24, 1, activation="relu")(x)
    x = keras.layers.Conv2D(8, 3, dilation_rate=2, activation="relu")(x)
    x = keras.layers.Dense(6)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x)
    model.set_weights([RNG.normal(size=w.shape) * RNG.uniform(0.1, 1.0, w.shape[-1:]) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def accurate(network) -> Model:
    return converted(network)


def converted(network: keras.Model, **options) -> Model:
    return kerasq.format.loads(kerasq.convert(network, representative_dataset=X, per_channel=True, **options))


def wide_kernels(model: Model) -> list[str]:
    """Names of kernels with a pair that 16 bits can't take: of neighbours in a row of the kernel, or in a tap if dilated."""
    return [ops.operand(model, operator, "kernel").name for operator in model.operators if is_wide(model, operator)]


def is_wide(model: Model, operator: Operator) -> bool:
    kernel = ops.operand(model, operator, "kernel")
    if kernel is None or ops.operand(model, operator, "multiplier") is None or operator.groups > 1:
        return False
    weights = kernel.data.astype(np.int64)
    *_, width, inputs = (1, *weights.shape)
    length = inputs if weights.ndim == 2 or operator.dilations[1] > 1 else width * inputs
    return bool(np.any(largest_pairs(weights.reshape(len(weights), -1), length) > PAIR))


def sqnr_db(model: Model, network: keras.Model) -> float:
    return signal_to_noise_db(run(model, [X]), [np.asarray(network(X), np.float64)])


def test_pairs_begin_anew_in_every_run():
    rows = np.array([[1, -2, 30, 4, 5, -60]])
    assert largest_pairs(rows, 6).tolist() == [65]
    assert largest_pairs(rows, 3).tolist() == [60]
    assert largest_pairs(rows, 2).tolist() == [65]
    assert largest_pairs(rows, 1).tolist() == [60]


def test_speed_keeps_every_pair_below_where_the_outputs_allow_it(network, accurate, monkeypatch):
    monkeypatch.setattr(speed, "WITHIN_DB", 20.0)
    assert len(wide_kernels(accurate)) == 4
    assert wide_kernels(converted(network, prefer="speed")) == []


def test_speed_costs_no_more_than_it_says(network, accurate):
    fast = converted(network, prefer="speed")
    assert sqnr_db(fast, network) >= sqnr_db(accurate, network) - speed.WITHIN_DB - 1e-6
    assert len(wide_kernels(fast)) <= len(wide_kernels(accurate))


def test_kernels_stay_as_they_are_where_the_outputs_do_not_allow_it(network, accurate, monkeypatch):
    monkeypatch.setattr(speed, "WITHIN_DB", -50.0)
    assert dumps(converted(network, prefer="speed")) == dumps(accurate)


@pytest.mark.parametrize("most", range(6))
def test_as_many_as_are_allowed(most):
    assert speed._most(5, lambda count: count <= most) == most


def test_accuracy_is_what_nobody_asked_for(network, accurate):
    assert dumps(converted(network, prefer=Preference.ACCURACY)) == dumps(accurate)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prefer": "fast"}, "prefer: one of accuracy, speed was expected. Received: 'fast'"),
        ({"prefer": "sped"}, "did you mean 'speed'"),
        ({"prefer": "speed"}, "compares outputs: give representative_dataset"),
    ],
)
def test_what_can_not_be_preferred_is_told(network, options, words):
    with pytest.raises(ConversionError, match=words.replace("(", r"\(")):
        kerasq.convert(network, **options)
