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
