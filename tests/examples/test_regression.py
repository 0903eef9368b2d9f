"""The regression example: automatic formats keep what a network of numbers computes."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest

import kerasq

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "regression" / "run.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("regression_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "count", "epochs"), [("autoencoder", 2048, 10), ("denoiser", 512, 2)])
def test_automatic_formats_reach_the_goal(example, name, count, epochs):
    make, data, _ = example.NETWORKS[name]
    keras.utils.set_random_seed(1)
    model = make()
    (x, y), (test_x, truth) = data(count, seed=1), data(256, seed=2)
    model.compile(keras.optimizers.Adam(2e-3), "mse")
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    wanted = model.predict(test_x, verbose=0)
    assert example.decibels(truth, wanted) > example.decibels(truth, np.broadcast_to(truth.mean(0), truth.shape)) + 3
    reached = {}
    for what, content, _ in example.conversions(model, x[:256]):
        reached[what] = example.decibels(wanted, kerasq.Interpreter(model_content=content).predict(test_x))
    plain, with_goal, wide, with_4_bits = reached.values()
    assert plain > 25
    assert with_goal > example.GOAL_DB - 1  # the goal is measured on the examples that formats are chosen with
    assert wide >= example.GOAL_DB
    if name in example.RATES:
        ((_, content, _),) = example.trained(model, (x, y), epochs, example.RATES[name])
        outputs = kerasq.Interpreter(model_content=content).predict(test_x)
        assert with_4_bits < plain - 5  # decibels that training takes back
        assert example.decibels(truth, outputs) > example.decibels(truth, wanted) + 1
