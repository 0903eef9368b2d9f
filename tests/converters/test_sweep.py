"""Every layer that Keras exports, and its functions: it converts well, or is refused by name with a remedy. Nothing else.

A layer that needs more than the small data here shows converts with at least 20 dB in 8 bits, as `predict` computes it.
"""

import pathlib
from collections import Counter

import keras
import numpy as np
import pytest

import kerasq
from converters.every_function import FUNCTIONS
from converters.every_function import network as function_network
from converters.every_layer import NO_NETWORK, examples, exported, networks
from converters.zoo import signal_to_noise_db
from kerasq_convert import ConversionError

LAYERS = networks()
LIMITS = pathlib.Path(__file__).parents[2] / "docs" / "pages" / "limits.md"
outcomes: dict[str, Counter] = {"layers": Counter(), "functions": Counter()}


def outputs(result):
    return [np.asarray(array, np.float64) for array in (result if isinstance(result, list | tuple) else [result])]


def assert_converts_or_is_refused(kind, model, named):
    """`named` is how a line of the refusal begins."""
    keras.utils.set_random_seed(3)
    data = examples(model, 32)
    try:
        content = kerasq.convert(model, representative_dataset=lambda: [data])
    except ConversionError as error:
        outcomes[kind]["refused"] += 1
        assert_named_with_a_remedy(error.problems, named)
        return
    outcomes[kind]["convert"] += 1
    x = data if len(data) > 1 else data[0]
    found = outputs(kerasq.Interpreter(model_content=content).predict(x))
    for expected, array in zip(outputs(model(x, training=False)), found, strict=True):
        assert array.shape == expected.shape
        assert signal_to_noise_db(expected, array) > 20 if np.any(expected) else not np.any(array)


def assert_named_with_a_remedy(problems, named):
    axes = [problem for problem in problems if " 5 axes" in problem or " 6 axes" in problem]  # of volumes; inputs among them
    assert all("; put two of them together" in problem for problem in axes), problems
    assert axes or any(problem.startswith(named) for problem in problems), problems
    for problem in set(problems) - set(axes):
        subject, reason, remedy = problem.split(": ", 2)
        assert subject.startswith(("layer ", "keras.ops.")), problem
        assert min(len(reason), len(remedy)) > 10, problem


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    keras.utils.set_random_seed(3)
    assert_converts_or_is_refused("layers", LAYERS[name](), "layer 'it")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    assert_converts_or_is_refused("functions", function_network(name), f"keras.ops.{name}")


def test_nothing_is_left_out(capsys):
    assert set(LAYERS) | set(NO_NETWORK) == set(exported())
    assert not set(LAYERS) & set(NO_NETWORK)
    assert len(FUNCTIONS) >= 60
    with capsys.disabled():
        for kind, counted in outcomes.items():
            print(f"\n{kind}: {counted['convert']} convert, {counted['refused']} are refused", end="")
        print(f"; {len(NO_NETWORK)} layers make no network")
    if sum(sum(counted.values()) for counted in outcomes.values()) == len(LAYERS) + len(FUNCTIONS):  # else it is no whole sweep
        layers, functions = outcomes["layers"], outcomes["functions"]
        page = " ".join(LIMITS.read_text(encoding="utf-8").split())
        assert f"Of the {len(LAYERS) + len(NO_NETWORK)} layer classes of Keras" in page
        assert f"{layers['convert']} convert, {layers['refused']} are refused and {len(NO_NETWORK)} make no network" in page
        assert f"of {len(FUNCTIONS)} functions of keras.ops {functions['convert']} convert and {functions['refused']} are" in page
