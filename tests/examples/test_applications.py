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
    monkeypatch.setattr(applications, "network", lambda name, seed, statistics: (model, examples[:32], examples[32:]))
    row = applications.compared("tiny")
    assert row["parameters"] == 127
    assert all(row[ratio] > 25 for ratio in applications.RATIOS)
    assert all(row[count] > 100 for count in applications.COUNTS)


def test_a_line_has_the_mean_of_the_seeds_or_says_that_one_failed():
    first = dict.fromkeys((*applications.RATIOS, *applications.COUNTS), 1000)
    second = first | {"litert": 1010}
    line = applications.line("tiny", [first, second])
    assert line[:3] == ["tiny", "1000.0 (1000.0 .. 1000.0)", "1005.0 (1000.0 .. 1010.0)"]
    assert line[len(applications.RATIOS) + 1 :] == ["1,000"] * len(applications.COUNTS)
    assert applications.line("tiny", [first])[1] == "1000.0"
    assert applications.line("tiny", [first, None]) == ["tiny", *["failed"] * (len(line) - 1)]


def test_signal_to_noise_of_the_median_image_and_over_all_values():
    expected, computed = np.array([[3.0, 4.0], [0.0, 1.0], [60.0, 80.0]]), np.array([[3.0, 4.5], [0.0, 0.0], [0.0, 0.0]])
    assert applications.decibels(expected, computed) == pytest.approx((0, 10 * np.log10(10026 / 10001.25)))
    assert applications.decibels(expected[:1], computed[:1]) == pytest.approx((20, 20))


@pytest.mark.parametrize("name", applications.SIZES)
def test_every_network_is_one_of_keras(name):
    assert callable(getattr(keras.applications, name))
