"""A conversion takes a few times the memory of the weights, whatever is asked of it; bytes are counted, not measured."""

import tracemalloc

import keras
import numpy as np
import pytest

from converters.zoo import L
from kerasq_convert import Converter
from kerasq_convert.frontend.variables import Checkpoint

SIDE = 1500


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A SavedModel of 9 MB: one wide layer, and a small one behind it."""
    keras.utils.set_random_seed(3)
    folder = tmp_path_factory.mktemp("wide") / "saved_model"
    layers = [L.Dense(SIDE, activation="relu", use_bias=False), L.BatchNormalization(), L.Dense(4)]
    keras.Sequential([keras.Input((SIDE,)), *layers]).export(folder, verbose=False)
    return folder


def convert(folder, **options):
    converter = Converter(folder)
    for name, value in options.items():
        setattr(converter, name, value)
    return converter.convert()


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({}, 6),
        ({"settings": {"parameters": {"*": "FLOAT32"}}}, 6),
        # The network whose activations fill their ranges has weights of its own.
        ({"representative_dataset": np.random.default_rng(1).normal(size=(16, SIDE)).astype(np.float32)}, 7),
    ],
    ids=["fixed", "float", "examples"],
)
def test_few_times_the_weights_are_enough(wide, options, times):
    convert(wide, **options)  # once before: what TensorFlow's modules hold is not counted
    tracemalloc.start()
    try:
        convert(wide, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < times * 4 * SIDE**2


def test_a_weight_is_read_once(wide, monkeypatch):
    read = []
    get = Checkpoint.__getitem__

    def counted(self, variable):
        value = get(self, variable)
        read.append(value.size)
        return value

    monkeypatch.setattr(Checkpoint, "__getitem__", counted)
    convert(wide)
    assert [size for size in read if size > 10_000] == [SIDE**2]
