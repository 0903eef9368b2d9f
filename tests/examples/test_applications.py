"""examples/benchmarks/applications.py: the command's arithmetic, on a network that takes no minute."""

import applications
import keras
import numpy as np
import pytest


def test_a_network_is_compared_with_both_of_its_files(monkeypatch):
    pytest.importorskip("ai_edge_litert")
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    examples = np.random.default_rng(2).normal(size=(48, 8, 8, 3)).astype(np.float32)
    monkeypatch.setattr(applications, "network", lambda name: (model, examples[:32], examples[32:]))
    name, size, parameters, ours, theirs, *sizes = applications.compared("tiny")
    assert (name, size, parameters) == ("tiny", "8x8", "127")
    assert all(float(ratio.removesuffix(" dB")) > 25 for ratio in (ours, theirs))
    assert all(int(count.replace(",", "")) > 500 for count in sizes)


def test_signal_to_noise():
    assert applications.decibels(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(20)


@pytest.mark.parametrize("name", applications.SIZES)
def test_every_network_is_one_of_keras(name):
    assert callable(getattr(keras.applications, name))
