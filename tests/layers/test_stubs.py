"""What type checkers and editors read of the layers is what the layers take."""

import ast
import inspect

import keras
import pytest

from kerasq import layers
from kerasq.layers import regenerate


def classes(path):
    return {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}


def test_the_stub_is_what_the_layers_give():
    text = regenerate.STUB.read_text()
    if f"Keras {keras.__version__}:" not in text.splitlines()[0]:
        pytest.skip("the stub shows the arguments of another Keras")
    assert text == regenerate.stub(), "python -m kerasq.layers.regenerate"


@pytest.mark.parametrize("name", layers.__all__)
def test_the_stub_has_our_arguments_whatever_the_version_of_keras(name):
    (init,) = (node for node in classes(regenerate.STUB)[name].body if isinstance(node, ast.FunctionDef))
    parameters = inspect.signature(getattr(layers, name)).parameters.values()
    own = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert [argument.arg for argument in init.args.kwonlyargs] == own
    assert all(argument.annotation is not None for argument in init.args.kwonlyargs)


def test_the_stub_of_the_package_has_all_its_names():
    assert regenerate.PACKAGE_STUB.read_text() == regenerate.package_stub(), "python -m kerasq.layers.regenerate"
