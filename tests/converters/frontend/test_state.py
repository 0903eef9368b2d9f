"""Variables that a call assigns: a network that reads them is refused, for a file keeps nothing between calls."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import L
from kerasq_convert import ConversionError
from kerasq_convert.pipeline import float_model

INPUT = [tf.TensorSpec((1, 3), tf.float32, name="x")]


class Module(tf.Module):
    """A product with a matrix, which counts its calls."""

    def __init__(self):
        super().__init__()
        self.matrix = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2))
        self.calls = tf.Variable(0.0)

    @tf.function(input_signature=INPUT)
    def __call__(self, x):
        self.calls.assign_add(1.0)
        return {"y": x @ self.matrix}


class Smoothed(Module):
    """Reads what it has just assigned."""

    def __init__(self):
        super().__init__()
        self.state = tf.Variable(np.zeros((1, 3), np.float32), name="state")

    @tf.function(input_signature=INPUT)
    def __call__(self, x):
        self.state.assign(0.5 * self.state + x)
        return {"y": self.state @ self.matrix}


class Delayed(Smoothed):
    """Reads what the call before assigned."""

    @tf.function(input_signature=INPUT)
    def __call__(self, x):
        y = (x - self.state) @ self.matrix
        self.state.assign(x)
        return {"y": y}


def saved(module, folder):
    tf.saved_model.save(module, folder, signatures=module.__call__)
    return folder


@pytest.mark.parametrize("kind", [Smoothed, Delayed])
def test_a_state_is_refused(kind, tmp_path):
    with pytest.raises(ConversionError) as error:
        float_model(saved(kind(), tmp_path))
    (problem,) = error.value.problems
    assert problem.startswith("its variable 'state' is assigned in a call")
    assert "initial_state" in problem


class Sorted(Smoothed):
    """Has something else that no file has, too."""

    @tf.function(input_signature=INPUT)
    def __call__(self, x):
        self.state.assign(0.5 * self.state + x)
        return {"y": tf.sort(self.state + x)}


def test_a_state_is_refused_together_with_all_else(tmp_path):
    with pytest.raises(ConversionError) as error:
        float_model(saved(Sorted(), tmp_path))
    state, order = error.value.problems
    assert state.startswith("its variable 'state'")
    assert "TopKV2" in order or "sort" in order.lower()


def test_a_variable_that_nothing_reads_does_no_harm(tmp_path):
    module = Module()
    x = np.ones((1, 3), np.float32)
    found = kerasq.Interpreter(model_content=float_model(saved(module, tmp_path)), engine="reference").predict(x)
    np.testing.assert_allclose(found, module(x)["y"])


def test_seeds_that_augmentation_advances_do_no_harm():
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, L.Conv2D(2, 3)(L.RandomFlip()(L.Dropout(0.5)(image))))
    assert len(float_model(model).outputs) == 1
