"""Files that Keras can't load: the lambda or the class at fault is in the message. Other backends of Keras: how to convert."""

import os
import subprocess
import sys

import keras
import pytest

import kerasq
from converters.zoo import L
from kerasq_convert import ConversionError


def chain(*layers):
    return keras.Sequential([keras.Input((6, 6, 3)), *layers])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambdas(tmp_path, suffix):
    chain(L.Lambda(lambda x: 2 * x, name="double"), L.Lambda(lambda x: x + 1, name="one")).save(tmp_path / f"net{suffix}")
    with pytest.raises(ConversionError) as error:
        kerasq.convert(tmp_path / f"net{suffix}")
    assert [problem.split(":")[0] for problem in error.value.problems] == ["layer 'double' (Lambda)", "layer 'one' (Lambda)"]
    assert "model.export" in str(error.value)


def test_a_class_that_is_not_registered(tmp_path):
    class Strange(L.Layer):
        def call(self, x):
            return x

    chain(Strange(name="it")).save(tmp_path / "net.keras")
    with pytest.raises(ConversionError, match=r"class 'Strange'.*register"):
        kerasq.convert(tmp_path / "net.keras")


def of_a_script(name, value):
    """As a script defines it, in whose module nothing can be imported."""
    value.__module__ = "__main__"
    value.__qualname__ = name
    return value


def problems(path):
    with pytest.raises(ConversionError) as error:
        kerasq.convert(path)
    return error.value.problems


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_class_of_a_script(tmp_path, suffix):
    class Strange(L.Layer):
        def call(self, x):
            return x

    strange = of_a_script("Strange", Strange)
    chain(strange(name="it"), L.Conv2D(2, 3), strange(name="too")).save(tmp_path / f"net{suffix}")
    found = problems(tmp_path / f"net{suffix}")
    assert [problem.split(":")[0] for problem in found] == ["class 'Strange' (layer 'it')", "class 'Strange' (layer 'too')"]
    assert all("register" in problem and "model.export" in problem for problem in found)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_functions_inside_of_layers(tmp_path, suffix):
    def odd(x):
        return 2 * x

    layers = [
        L.Conv2D(2, 3, activation=lambda x: 3 * x, name="a"),
        L.Conv2D(2, 3, activation=odd, name="b"),
        L.Activation(odd, name="c"),
        L.Conv2D(2, 1, kernel_initializer=lambda shape, dtype=None: keras.ops.ones(shape), name="d"),
    ]
    chain(*layers).save(tmp_path / f"net{suffix}")
    assert [problem.split(":")[0] for problem in problems(tmp_path / f"net{suffix}")] == [
        "a lambda, the activation of layer 'a'",
        "function 'odd', used in layer 'b'",
        "function 'odd', used in layer 'c'",
        "a lambda, the kernel_initializer of layer 'd'",
    ]


def test_functions_of_keras_ops_in_h5(tmp_path):
    x = keras.Input((8,))
    model = keras.Model(x, keras.ops.log_softmax(keras.ops.relu(L.Dense(3)(x))))
    model.save(tmp_path / "net.h5")
    found = problems(tmp_path / "net.h5")
    assert [problem.split(" ")[0] for problem in found] == ["keras.ops.relu", "keras.ops.log_softmax"]
    assert all("model.keras" in problem for problem in found)


def test_the_command_converts_whatever_the_backend(tmp_path):
    chain(L.Conv2D(2, 3)).save(tmp_path / "net.keras")
    command = [sys.executable, "-c", "from kerasq_convert.command import run; run()", "net.keras", "--output", "net.kq"]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "net.kq").exists()


def test_elsewhere_the_message_tells_how(monkeypatch):
    model = chain(L.Conv2D(2, 3))
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ConversionError, match=r"torch.*kerasq-convert model\.keras.*KERAS_BACKEND=tensorflow"):
        kerasq.convert(model)
