"""Which engine runs a model, and what is said where that can't be."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq.interpreter import engines
from kerasq.runtime import library
from networks import random_resnet23

needs_native = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")


@pytest.fixture(scope="module")
def content() -> bytes:
    return file_format.dumps(random_resnet23(maps=8, size=16))


@pytest.fixture
def not_loaded():
    """As in a process that has not looked for the library yet."""
    for cached in (library.load, engines._say_that_it_is_slow):
        cached.cache_clear()
    yield
    for cached in (library.load, engines._say_that_it_is_slow):
        cached.cache_clear()


@pytest.fixture
def no_library(not_loaded, monkeypatch):
    """As if no library was ever built."""
    monkeypatch.setattr(library, "candidates", lambda: [library.Path("nowhere/libkerasq.so")])
    monkeypatch.delenv("KERASQ_LIBRARY", raising=False)


@needs_native
def test_the_native_engine_is_the_default(content):
    assert kerasq.Interpreter(model_content=content).engine == "native"
    assert kerasq.Interpreter(model_content=content, engine="reference").engine == "reference"


def test_without_library_the_reference_engine_runs_after_one_warning(content, no_library, caplog):
    x = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    interpreters = [kerasq.Interpreter(model_content=content) for _ in range(3)]
    assert {interpreter.engine for interpreter in interpreters} == {"reference"}
    (record,) = [record for record in caplog.records if record.name == "kerasq"]
    assert record.levelno == logging.WARNING
    assert "native engine is not installed" in record.message
    assert "\n" not in record.message
    expected = kerasq.Interpreter(model_content=content, engine="reference").predict(x)
    np.testing.assert_array_equal(interpreters[0].predict(x), expected)


def test_without_library_the_native_engine_is_an_error_with_a_remedy(content, no_library):
    with pytest.raises(kerasq.runtime.LibraryMissingError, match=r"C compiler.*engine='reference'"):
        kerasq.Interpreter(model_content=content, engine="native")
    assert isinstance(kerasq.runtime.LibraryMissingError(), OSError)


def test_a_library_that_is_named_must_be_there(content, not_loaded, monkeypatch, tmp_path):
    monkeypatch.setenv("KERASQ_LIBRARY", str(tmp_path / "other.so"))
    with pytest.raises(kerasq.runtime.LibraryMissingError, match=r"other\.so.*KERASQ_LIBRARY"):
        kerasq.Interpreter(model_content=content)


def test_a_file_that_is_no_library(content, not_loaded, monkeypatch, tmp_path):
    (tmp_path / "text.so").write_text("text")
    monkeypatch.setenv("KERASQ_LIBRARY", str(tmp_path / "text.so"))
    with pytest.raises(kerasq.runtime.LibraryMissingError, match=r"text\.so is not the native library.*Install kerasq again"):
        kerasq.Interpreter(model_content=content)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "fast"}, "`engine` must be one of 'native', 'reference', or None. Received: engine='fast'"),
        ({"engine": "reference", "isa": "portable"}, "leave `isa` out. Received: isa='portable'"),
        pytest.param({"isa": "mmx"}, "`isa` must be one of 'portable'.*on this processor.*isa='mmx'", marks=needs_native),
    ],
)
def test_arguments_out_of_range(content, arguments, message):
    with pytest.raises(ValueError, match=message):
        kerasq.Interpreter(model_content=content, **arguments)


@needs_native
def test_a_variable_chooses_the_kernels(content, monkeypatch):
    for tier in kerasq.runtime.tiers():
        monkeypatch.setenv("KERASQ_ISA", tier)
        assert kerasq.runtime.Network(content).isa == tier
    monkeypatch.setenv("KERASQ_ISA", "")
    assert kerasq.runtime.Network(content).isa == kerasq.runtime.tiers()[-1]
    monkeypatch.setenv("KERASQ_ISA", "sse9")
    with pytest.raises(ValueError, match=r"`KERASQ_ISA` must be one of 'portable'.*KERASQ_ISA='sse9'"):
        kerasq.Interpreter(model_content=content)
    assert kerasq.runtime.Network(content, "portable").isa == "portable"  # the argument comes first


@needs_native
def test_what_the_runtime_refuses_python_explains(content, tmp_path):
    model = file_format.loads(content)
    broken = file_format.Model(model.tensors, model.operators, model.inputs, model.outputs, 16, model.arena_alignment)
    with pytest.raises(file_format.ModelError) as refused:
        kerasq.Interpreter(model_content=broken, engine="native")
    assert len(refused.value.problems) > 10
    path = tmp_path / "broken.kq"
    path.write_bytes(content[: len(content) // 2])
    for engine in engines.NAMES:
        with pytest.raises(file_format.ModelError, match=r"broken\.kq is not a usable kerasq model") as refused:
            kerasq.Interpreter(path, engine=engine)
        assert refused.value.source == str(path)
    with pytest.raises(file_format.ModelError, match="KRSQ"):
        kerasq.Interpreter(model_content=b"", engine="native")


@needs_native
def test_bytes_of_any_kind(content):
    expected = kerasq.Interpreter(model_content=content).tensors(np.zeros((1, 16, 16, 3), np.uint8))
    for same in (bytearray(content), memoryview(b"x" + content)[1:]):
        found = kerasq.Interpreter(model_content=same).tensors(np.zeros((1, 16, 16, 3), np.uint8))
        for name, stored in expected.items():
            np.testing.assert_array_equal(found[name], stored)


def test_the_warning_is_one_line_on_standard_error(content, tmp_path):
    (tmp_path / "model.kq").write_bytes(content)
    code = (
        "import kerasq, kerasq.runtime.library as library\n"
        "library.candidates = lambda: [library.Path('nowhere')]\n"
        f"for _ in range(2): kerasq.Interpreter({str(tmp_path / 'model.kq')!r})\n"
    )
    environment = {name: value for name, value in library.os.environ.items() if name != "KERASQ_LIBRARY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.startswith("kerasq: the native engine is not installed")
    assert done.stderr.count("\n") == 1
