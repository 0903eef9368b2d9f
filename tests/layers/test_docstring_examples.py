"""The examples in the documentation of layers and quantizers run and print what they say."""

import doctest
import importlib
import pkgutil

import keras
import pytest

import kerasq
from kerasq import layers, quantizers
from layers.kinds import TENSORFLOW

MODULES = [
    module.name
    for package in (layers, quantizers)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not module.ispkg
]


@pytest.mark.skipif(not TENSORFLOW, reason="the examples print TensorFlow's shapes")
@pytest.mark.parametrize("name", ["kerasq.quantizers", *MODULES])
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"kerasq": kerasq, "keras": keras})
    assert result.failed == 0


def test_every_layer_has_an_example():
    for name in layers.__all__:
        assert ">>> layer = kerasq." in getattr(layers, name).__doc__
