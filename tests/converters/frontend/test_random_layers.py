"""What draws random numbers: out of the network where it does nothing in inference, else refused by name; never a constant."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import FLOAT, L
from kerasq import format as kq
from kerasq_convert import ConversionError

RANGE = (-3, 3)
AUGMENTATION = {
    "brightness": lambda: L.RandomBrightness(0.3, value_range=RANGE, name="it"),
    "sharpness": lambda: L.RandomSharpness(0.5, value_range=RANGE, name="it"),
    "solarization": lambda: L.Solarization(value_range=RANGE, name="it"),
    "invert": lambda: L.RandomInvert(value_range=RANGE, name="it"),
    "flip": lambda: L.RandomFlip(name="it"),
    "mix": lambda: L.MixUp(name="it"),
    "erasing": lambda: L.RandomErasing(name="it"),
}


class Noisy(L.Layer):
    """Draws whatever `training` says."""

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x))


class Subclassed(keras.Model):
    """A model without a graph, augmentation inside."""

    def __init__(self):
        super().__init__()
        self.flip, self.brightness, self.conv = L.RandomFlip(), L.RandomBrightness(0.3, value_range=RANGE), L.Conv2D(2, 3)

    def call(self, x):
        return self.conv(self.brightness(self.flip(x)))


def data(*shape):
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def around(*layers):
    keras.utils.set_random_seed(2)
    return keras.Sequential([keras.Input((8, 8, 3), name="image"), *layers, L.Conv2D(2, 3, name="conv")], name="net")


def refusal(source):
    with pytest.raises(ConversionError) as error:
        kerasq.convert(source)
    return error.value


def assert_left_out(source, model):
    content = kerasq.convert(source, settings=FLOAT)
    assert [str(operator.kind) for operator in kq.loads(content).operators] == ["CONV_2D"]
    x = data(4, 8, 8, 3)
    np.testing.assert_allclose(kerasq.Interpreter(model_content=content).predict(x), model(x, training=False), atol=1e-5)


@pytest.mark.parametrize("name", ["brightness", "sharpness", "solarization"])
def test_augmentation_is_left_out(name, tmp_path):
    model = around(AUGMENTATION[name]())
    assert_left_out(model, model)
    model.save(tmp_path / "net.keras")
    assert_left_out(tmp_path / "net.keras", model)


def test_wherever_in_the_model_it_is():
    nested = keras.Sequential([keras.Input((8, 8, 3)), L.RandomContrast(0.3), L.Pipeline([L.RandomFlip()])], name="nested")
    model = around(nested, L.RandomBrightness(0.2, value_range=RANGE))
    assert_left_out(model, model)
    model = Subclassed()
    model(data(2, 8, 8, 3))
    assert_left_out(model, model)


@pytest.mark.parametrize("name", AUGMENTATION)
def test_as_model_export_writes_it_it_is_refused_by_name(name, tmp_path):
    around(AUGMENTATION[name]()).export(tmp_path, verbose=False)
    assert any(problem.startswith("layer 'it") and "random numbers" in problem for problem in refusal(tmp_path).problems)


def test_what_draws_in_inference_is_refused():
    (problem,) = refusal(around(Noisy(name="noisy"))).problems
    assert "'noisy'" in problem
    assert "random numbers" in problem


def test_what_draws_within_a_branch_is_refused(tmp_path):
    class Branching(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
        def __call__(self, x):
            scale = tf.cond(tf.constant(True), lambda: tf.random.stateless_uniform((4,), [1, 2]), lambda: tf.ones((4,)))
            return {"y": x * scale}

    module = Branching()
    tf.saved_model.save(module, tmp_path, signatures=module.__call__)
    assert "random numbers" in str(refusal(tmp_path))
