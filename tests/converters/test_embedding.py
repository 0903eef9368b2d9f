"""Embedding: numbers come in, rows of a table come out, of every number, also of those that no example had."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import ConversionError

TIERS = (*kerasq.runtime.tiers(), kerasq.runtime.DSP) if kerasq.runtime.available() else ()
STEPS = 9


def network(rows, *layers, dtype="int32", **options):
    keras.utils.set_random_seed(3)
    embedding = L.Embedding(rows, 6, embeddings_initializer="normal", name="words", **options)
    return keras.Sequential([keras.Input((STEPS,), name="numbers", dtype=dtype), embedding, *layers])


def converted(model, rows):
    """The file, whose examples have the smallest third of many numbers only."""
    few = np.random.default_rng(0).integers(0, max(rows // 3, 5), (32, STEPS)).astype(model.inputs[0].dtype)
    return kerasq.convert(model, representative_dataset=lambda: [[few]])


@pytest.mark.parametrize(
    ("rows", "dtype", "stored"), [(5, "int32", "UFIXED8_0"), (180, "float32", "UFIXED8_0"), (300, "int32", "UFIXED16_0")]
)
def test_every_row_is_found(rows, dtype, stored):
    model = network(rows, dtype=dtype)
    content = converted(model, rows)
    assert str(kq.loads(content).tensors[kq.loads(content).inputs[0]].format) == stored
    numbers = np.resize(np.arange(rows), (-(-rows // STEPS), STEPS)).astype(dtype)
    expected = model.predict(numbers, verbose=0)
    found = kerasq.Interpreter(model_content=content, engine="reference").predict(numbers)
    for row, other in zip(expected.reshape(-1, 6), found.reshape(-1, 6), strict=True):
        assert signal_to_noise_db(row, other) > 25
    for tier in TIERS:
        np.testing.assert_array_equal(kerasq.Interpreter(model_content=content, isa=tier).predict(numbers), found, tier)


def test_in_a_network_of_words():
    rows = 60
    model = network(rows, L.Conv1D(8, 3, activation="relu"), L.GlobalAveragePooling1D(), L.Dense(4), mask_zero=True)
    numbers = np.random.default_rng(1).integers(0, rows, (64, STEPS)).astype(np.int32)
    found = kerasq.Interpreter(model_content=converted(model, rows)).predict(numbers)
    assert signal_to_noise_db(model.predict(numbers, verbose=0), found) > 25


def test_numbers_of_the_network_itself_are_refused():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, L.Embedding(5, 6, name="words")(keras.ops.cast(L.Dense(3)(x) + 1, "int32") + 1))
    with pytest.raises(ConversionError, match="float32 to int32"):
        kerasq.convert(model)
