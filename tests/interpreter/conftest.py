"""What tests of the interpreter share."""

from __future__ import annotations

import functools

import pytest

import kerasq


@pytest.fixture(params=["reference", "native"], name="Interpreter")
def interpreter_class(request):
    """`kerasq.Interpreter` with each of the engines."""
    if request.param == "native" and not kerasq.runtime.available():
        pytest.skip("the native engine is not installed")
    return functools.partial(kerasq.Interpreter, engine=request.param)
