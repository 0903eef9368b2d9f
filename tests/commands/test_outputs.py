"""What commands write, and where: with a .kq file, so that nothing is converted."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from kerasq import format as file_format
from kerasq.commands import run as run_command
from kerasq.conformance.samples import SAMPLES
from kerasq_convert import command as convert_command

posix = pytest.mark.skipif(os.name != "posix", reason="links, devices and pipes are POSIX's")
CONVERT = ("net.kq", "--embed_test", "random", "--output")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = SAMPLES["binary"]()
    file_format.dump(model, "net.kq")
    np.save("x.npy", np.zeros((2, *model.tensors[model.inputs[0]].shape[1:])))
    return tmp_path


def convert(*arguments):
    return convert_command.main(["kerasq-convert", *arguments])


def run(*arguments):
    return run_command.main(["kerasq-run", *arguments])


def program(module, *arguments):
    command = [sys.executable, "-c", f"from {module} import run; run()", *arguments]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "z.keras"], "names with .keras are for a network for TensorFlow or Keras"),
        (["--output", "z.ONNX"], "names with .onnx are for a network of another format: use .kq"),
        (["--output", "z.npy"], "for NumPy's array"),
        (["--output", "", "--emit_c", "c"], "--output needs the name of a file"),
        (["--output", "x.kq", "--embed_test", "x.kq"], "would replace x.kq, which is read"),
        (["--output", "x.kq", "--embed_test", "./sub/../x.kq"], "would replace ./sub/../x.kq, which is read"),
    ],
)
def test_names_that_are_a_mistake(folder, capsys, arguments, words):
    before = sorted(folder.iterdir())
    assert convert(*CONVERT[:-1], *arguments) == 2
    assert words in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["y.csv", "y.json", "y.zip", "y.kq", "x.npy", "net.kq", "./x.npy"])
def test_arrays_go_where_arrays_belong_and_replace_no_input(folder, name):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert run("net.kq", "x.npy", "--output", name) == 2
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_two_files_of_one_name_by_links_too(capsys):
    pathlib.Path("link").symlink_to("y.npy")
    assert run("net.kq", "x.npy", "--output", "link", "--output", "y.npy") == 2
    assert "name the same file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing/y.kq", "net.kq/y.kq", "y/", ".", "x" * 300])
def test_what_can_not_be_written_is_said_before_the_work(folder, capsys, name, monkeypatch):
    monkeypatch.setattr(convert_command, "_read", pytest.fail)
    assert convert(*CONVERT, name) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"kerasq-convert: {name}: ")
    assert errors.count("\n") == 1


@posix
def test_links_modes_and_pipes():
    pathlib.Path("target.kq").write_text("old")
    pathlib.Path("target.kq").chmod(0o600)
    pathlib.Path("link.kq").symlink_to("target.kq")
    assert convert(*CONVERT, "link.kq") == 0
    assert pathlib.Path("link.kq").is_symlink()
    assert stat.S_IMODE(pathlib.Path("target.kq").stat().st_mode) == 0o600
    os.mkfifo("pipe.npy")
    received = []
    reader = threading.Thread(target=lambda: received.append(pathlib.Path("pipe.npy").read_bytes()))
    reader.start()
    assert run("net.kq", "x.npy", "-o", "pipe.npy") == 0
    reader.join()
    assert run("net.kq", "x.npy", "-o", "y.npy") == 0
    assert received == [pathlib.Path("y.npy").read_bytes()]
    assert stat.S_ISFIFO(pathlib.Path("pipe.npy").stat().st_mode)


@posix
@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_holds_nothing_but_the_file(name):
    done = program("kerasq_convert.command", *CONVERT, name)
    assert (done.returncode, done.stderr) == (0, f"wrote {name}\n".encode())
    file_format.loads(done.stdout)
    quiet = program("kerasq_convert.command", "-q", *CONVERT, name)
    assert (quiet.stdout, quiet.stderr) == (done.stdout, b"")
    done = program("kerasq.commands.run", "net.kq", "x.npy", "--output", name, "--json")
    assert done.stdout.startswith(b"\x93NUMPY")
    assert json.loads(done.stderr)["outputs"][0]["file"] == ("/dev/stdout" if name == "-" else name)


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk(folder, capsys):
    before = sorted(folder.iterdir())
    assert convert(*CONVERT, "/dev/full") == 1
    assert capsys.readouterr().err == "kerasq-convert: /dev/full: No space left on device\n"
    assert run("net.kq", "x.npy", "-o", "/dev/full") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "kerasq-run: /dev/full: No space left on device"
    assert sorted(folder.iterdir()) == before


def test_c_files_leave_no_folder_where_they_fail(folder, capsys):
    pathlib.Path("file").touch()
    before = sorted(folder.rglob("*"))
    assert convert("net.kq", "--emit_c", "file") == 1
    assert convert("net.kq", "--emit_c", "file/c") == 1
    assert "Not a directory" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
    assert convert("net.kq", "--emit_c", "new/c") == 0
    assert sorted(path.name for path in pathlib.Path("new/c").iterdir()) == ["kerasq_model.c", "kerasq_model.h"]


def test_values_as_json(capsys):
    assert run("net.kq", "x.npy", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert run("net.kq", "x.npy", "-o", "y.npy") == 0
    y = np.load("y.npy")
    (output,) = facts.pop("outputs")
    assert facts == {"model": "net.kq", "examples": 2}
    np.testing.assert_array_equal(output.pop("values"), y)
    assert output == {"name": "probabilities", "shape": [2, 3], "dtype": "float32", "format": "UFIXED8_8"}
