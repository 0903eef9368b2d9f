"""TensorFlow's log stays off the terminal; what kerasq itself says, and why a process died, does not."""

import os
import signal
import subprocess
import sys

import pytest

START = """
import os, sys
from kerasq.quiet import quiet_tensorflow

with quiet_tensorflow():
    os.write(2, b"log\\n")
    print("ours", file=sys.stderr)
"""


def python(code, *arguments, **options):
    """Exit status, standard output and standard error of a process that runs `code`."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("end", "status", "expected"),
    [
        ("pass", 0, "ours\n"),
        ("sys.exit(3)", 3, "ours\n"),
        ("sys.exit('why')", 1, "ours\nwhy\n"),
    ],
)
def test_the_log_of_a_program_that_ends_is_forgotten(end, status, expected):
    assert python(f"{START}    {end}") == (status, "", expected)


def test_descriptor_and_stream_are_as_before_afterwards():
    code = f"{START}    inside = sys.stderr\nprint(sys.stderr is inside, file=sys.stderr)\nos.write(2, b'descriptor')"
    assert python(code) == (0, "", "ours\nFalse\ndescriptor")


def test_an_exception_comes_after_the_log():
    status, _, errors = python(f"{START}    raise RuntimeError('broken')")
    assert status == 1
    assert errors.startswith("ours\nlog\nTraceback")
    assert errors.endswith("RuntimeError: broken\n")


@pytest.mark.parametrize(
    ("death", "killer"),
    [
        ("os.abort()", signal.SIGABRT),
        ("os.kill(os.getpid(), 9)", signal.SIGKILL),
        ("import ctypes; ctypes.string_at(0)", signal.SIGSEGV),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_who_dies_leaves_the_log(death, killer):
    assert python(f"{START}    {death}") == (-killer, "", "ours\nlog\n")


def test_handlers_made_inside_work_afterwards():
    code = f"{START}    import logging; logging.basicConfig(format='%(message)s')\nlogging.error('later')"
    assert python(code) == (0, "", "ours\nlater\n")


def test_contexts_nest():
    code = f"{START}    with quiet_tensorflow():\n        os.write(2, b'inner')\n        print('both', file=sys.stderr)"
    assert python(code) == (0, "", "ours\nboth\n")


@pytest.mark.skipif(os.name != "posix", reason="descriptors are closed by the shell")
def test_without_standard_error():
    command = [sys.executable, "-c", "from kerasq.quiet import quiet_tensorflow\nwith quiet_tensorflow(): print('done')"]
    done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_without_a_place_for_files():
    code = "import tempfile\ntempfile.tempdir = '/nowhere/at/all'" + START
    assert python(code) == (0, "", "log\nours\n")


def test_a_terminal_is_still_one():
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    code = f"{START}    sys.exit(0 if sys.stderr.isatty() else 1)"
    done = subprocess.run([sys.executable, "-c", code], stderr=theirs, check=False)
    os.close(theirs)
    assert (done.returncode, os.read(ours, 100)) == (0, b"ours\r\n")
    os.close(ours)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    import keras

    folder = tmp_path_factory.mktemp("tiny")
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.save(folder / "tiny.keras")
    (folder / "broken.keras").write_bytes(b"no model")
    return folder


CONVERT = "from kerasq_convert.command import run; run()"


def test_a_conversion_leaves_standard_error_empty(tiny):
    status, text, errors = python(CONVERT, "tiny.keras", cwd=tiny)
    assert (status, errors) == (0, "")
    *_, written, note = text.splitlines()
    assert written == "wrote tiny.kq"
    assert "FLOAT32" in note  # nothing told ranges: that is the last word
    assert "--representative_dataset" in note


def test_a_failed_conversion_leaves_one_line(tiny):
    status, text, errors = python(CONVERT, "broken.keras", cwd=tiny)
    assert (status, text) == (1, "")
    assert errors.startswith("kerasq-convert: broken.keras: Keras can't load it")
    assert errors.count("\n") == 1


IMPORT = """
import os, sys
before = dict(os.environ)
import kerasq
{code}
assert "tensorflow" in sys.modules
assert dict(os.environ) == before
"""


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("kerasq.layers", None),
        ("import kerasq.callbacks", None),
        ("kerasq.convert('tiny.keras')", None),
        ("import kerasq.callbacks; kerasq.convert('tiny.keras')", "0"),
    ],
)
def test_a_first_import_by_kerasq_is_quiet_unless_a_level_is_set(tiny, code, level):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {} if level is None else {"TF_CPP_MIN_LOG_LEVEL": level}
    status, text, errors = python(IMPORT.format(code=code), cwd=tiny, env=environment)
    assert (status, text) == (0, "")
    if level is None:
        assert errors == ""
