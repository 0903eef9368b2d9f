"""The compiled trainer of examples/cifar10, on JAX in a process of its own: a run that was stopped ends with the same bits."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import pathlib, sys
sys.modules["tensorflow"] = None  # no step needs it
import keras, numpy as np
import kerasq
sys.path.insert(0, "examples/cifar10")
import compiled

rng = np.random.default_rng(1)
labels = rng.integers(0, 2, 48)
images = (rng.integers(0, 100, (48, 8, 8, 3)) + 120 * labels[:, None, None, None]).astype(np.uint8)

def network():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(inputs)
    x = kerasq.layers.QuantizedConv2D(4, 3, kernel_quantizer="Ternary", activity_regularizer="l2")(x)
    x = keras.layers.Flatten()(keras.layers.BatchNormalization()(x))
    student = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.1)(x)))
    model = kerasq.training.Distilled(student, keras.models.clone_model(student), share=0.2)
    model.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def run(stops, checkpoint=None):
    losses = []
    for epochs in stops:
        model = network()
        arguments = dict(epochs=epochs, batch_size=16, hole=3, checkpoint=checkpoint)
        compiled.fit(model, images, labels, on_epoch_end=lambda epoch, loss: losses.append(loss), **arguments)
    return losses, [np.asarray(v.value) for v in model.variables]

whole, wanted = run([8])
parts, values = run([3, 8], pathlib.Path(sys.argv[1]))
assert len(whole) == len(parts) == 8 and whole == parts, (whole, parts)
assert all(np.array_equal(a, b) for a, b in zip(wanted, values, strict=True))
assert whole[-1] < whole[0], whole
print("same")
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "checkpoint.npz")]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.stdout.endswith("same\n"), result.stderr


HOLES = """
import train  # first of all, as where it is run: its folder hides no module that Keras asks for
import numpy as np
from augmented import MEAN_PIXEL, Augmented

images = np.full((64, 16, 16, 3), 200, np.uint8)
for hole, largest in ((0, 0), (6, 25)):
    cut, labels = Augmented(images, np.arange(64), 32, seed=1, hole=hole)[0]
    assert (cut.dtype, cut.shape, len(set(labels))) == (np.uint8, (32, 16, 16, 3), 32)
    holes = np.all(cut == MEAN_PIXEL, axis=-1).sum(axis=(1, 2))
    assert holes.max() == largest, holes  # where no edge is near
    assert (holes > 0).all() == bool(hole), holes
print("cut")
"""


def test_a_hole_is_cut_out_on_every_backend():
    command = [sys.executable, "-c", HOLES]
    result = subprocess.run(command, cwd=ROOT / "examples/cifar10", capture_output=True, text=True)
    assert result.stdout.endswith("cut\n"), result.stderr
