"""What a network may take: `max_bytes` bounds its state and the arenas of all threads together, whatever a file asks for."""

from __future__ import annotations

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq.format import ModelTooLargeError
from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.interpreter import memory
from kerasq.qformat import QFormat
from networks import random_resnet23

ENGINES = ("native", "reference") if kerasq.runtime.available() else ("reference",)
FORMAT = QFormat.parse("FIXED8_4")


def tiny(arena_bytes):
    """A network of one value that asks for an arena."""
    tensors = (Tensor("x", (1, 1), FORMAT, offset=0), Tensor("y", (1, 1), FORMAT, offset=arena_bytes // 64 * 64 - 64))
    operator = Operator(OperatorKind.QUANTIZE, (0,), (1,), accumulator_bits=32)
    return Model(tensors, (operator,), (0,), (1,), arena_bytes, 64)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_small_file_that_asks_for_a_large_arena_is_refused(engine, tmp_path):
    path = tmp_path / "large.kq"
    path.write_bytes(file_format.dumps(tiny(2**31 - 1)))
    assert path.stat().st_size < 600
    with pytest.raises(ModelTooLargeError, match=r"large\.kq.*2,147,48\d,\d\d\d.*max_bytes=1,073,741,824"):
        kerasq.Interpreter(path, engine=engine)
    with pytest.raises(ValueError, match="max_bytes"):  # as any other reason not to run a file
        kerasq.Interpreter(path, engine=engine, num_threads=1)


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_are_as_many_as_arenas_fit(engine):
    model = tiny(1 << 20)
    interpreter = kerasq.Interpreter(model_content=model, engine=engine, max_bytes=(3 << 20) - 1)
    assert interpreter._engine.arenas == 2
    with pytest.raises(ValueError, match=r"num_threads.*at most 2.*num_threads=3"):
        kerasq.Interpreter(model_content=model, engine=engine, max_bytes=(3 << 20) - 1, num_threads=3)
    x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(interpreter.predict(x, batch_size=3), FORMAT.dequantize(FORMAT.quantize(x)))
    assert len(interpreter.tensors(x)["y"]) == 50  # observing gives each example an arena


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_count(engine):
    model = random_resnet23("FIXED8", maps=16, size=16)
    kerasq.Interpreter(model_content=model, engine=engine, max_bytes=1 << 22)
    with pytest.raises(ModelTooLargeError, match=r"max_bytes=20,000 allows"):
        kerasq.Interpreter(model_content=model, engine=engine, max_bytes=20_000)
    kerasq.Interpreter(model_content=model, engine=engine, max_bytes=None)


@pytest.mark.parametrize("wrong", [0, -1])
def test_max_bytes_is_positive(wrong):
    with pytest.raises(ValueError, match="max_bytes"):
        kerasq.Interpreter(model_content=tiny(256), max_bytes=wrong)


def test_number_of_threads():
    assert memory.threads(None, 8, None) == 8
    assert memory.threads(None, 8, 3) == 3
    assert memory.threads(2, 8, 3) == 2
    assert memory.threads(100, 8, None) == 100
    assert memory.arenas(100, 50, None) is None
    assert memory.arenas(100, 50, 250) == 3
