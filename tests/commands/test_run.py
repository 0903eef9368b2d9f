"""kerasq-run: files in, files out, one line on errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kerasq import format as file_format
from kerasq.commands.run import main
from kerasq.interpreter import Interpreter
from networks import NetworkBuilder, random_resnet23


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two models and inputs for them, as the current one."""
    monkeypatch.chdir(tmp_path)
    file_format.dump(random_resnet23("SIGN", maps=8, size=16), "net.kq")
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 4), "FIXED8_4"), net.activation("b", (1, 4), "FIXED8_4")
    total = net.apply("ADD", (a, b), "FIXED8_3", "total")
    half = net.apply("QUANTIZE", (total,), "FIXED8_1", "half")
    file_format.dump(net.build((a, b), (total, half)), "two.kq")
    rng = np.random.default_rng(0)
    np.save("images.npy", rng.integers(0, 256, (5, 16, 16, 3)).astype(np.uint8))
    np.save("a.npy", rng.standard_normal((3, 4)))
    np.save("b.npy", rng.standard_normal((3, 4)).astype(np.float32))
    return tmp_path


def run(*arguments: str) -> int:
    return main(["kerasq-run", *arguments])


def test_a_batch(folder):
    assert run("net.kq", "images.npy", "--output", "y.npy") == 0
    y = np.load("y.npy")
    np.testing.assert_array_equal(y, Interpreter(model_path="net.kq").predict(np.load("images.npy")))
    assert y.dtype == np.float32


def test_raw(folder):
    assert run("net.kq", "images.npy", "--output=y", "--raw") == 0
    y = np.load("y")
    np.testing.assert_array_equal(y, Interpreter(model_path="net.kq").predict(np.load("images.npy"), raw=True))
    assert y.dtype == np.int8


def test_a_single_example_without_batch_axis(folder):
    images = np.load("images.npy")
    np.save("one.npy", images[2])
    assert run("net.kq", "one.npy", "-o", "one_result.npy") == 0
    y = np.load("one_result.npy")
    np.testing.assert_array_equal(y, Interpreter(model_path="net.kq").predict(images[2:3])[0])


def test_several_inputs_and_outputs(folder):
    assert run("two.kq", "a.npy", "b.npy", "--output", "total.npy", "--output", "half.npy") == 0
    total, half = Interpreter(model_path="two.kq").predict([np.load("a.npy"), np.load("b.npy")])
    np.testing.assert_array_equal(np.load("total.npy"), total)
    np.testing.assert_array_equal(np.load("half.npy"), half)


def test_inputs_and_outputs_by_name(folder):
    arrays = {name: np.load(f"{name}.npy") for name in ("a", "b")}
    model = dataclasses.replace(file_format.load("two.kq"), input_names=("zeta", "x=1"), output_names=("file", "b/half"))
    file_format.dump(model, "named.kq")
    expected = dict(zip(("file", "b/half"), Interpreter(model_path="two.kq").predict(list(arrays.values())), strict=True))
    np.savez("in.npz", **{"x=1": arrays["b"], "zeta": arrays["a"]})
    np.savez("unnamed.npz", arrays["a"], arrays["b"])
    for inputs in (("x=1=b.npy", "zeta=a.npy"), ("a.npy", "b.npy"), ("in.npz",), ("unnamed.npz",)):
        assert run("named.kq", *inputs, "--output", "b/half=half.npy", "--output", "file=total.npy") == 0
        np.testing.assert_array_equal(np.load("total.npy"), expected["file"])
        np.testing.assert_array_equal(np.load("half.npy"), expected["b/half"])
        assert run("named.kq", *inputs, "--output", "out.npz") == 0
        with np.load("out.npz") as found:
            assert sorted(found.files) == sorted(expected)
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values)


def test_an_output_is_not_written_over_an_input_that_has_a_name(folder, capsys):
    assert run("two.kq", "b=b.npy", "a=a.npy", "--output", "total=a.npy", "--output", "half=y.npy") == 2
    assert "a.npy would replace" in capsys.readouterr().err
    assert run("two.kq", "b=b.npy", "a=a.npy", "--output", "totla=x.npy", "--output", "half=y.npy") == 1
    assert "outputs ('total', 'half'). Received: totla=x.npy, half=y.npy" in capsys.readouterr().err
    assert run("net.kq", "images.npy", "--output", "image=x.npy") == 1
    assert "output ('affine/output'). Received: image=x.npy" in capsys.readouterr().err
    assert run("net.kq", "images.npy", "--output", "./image=x.npy") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.kq", "images.npy"), "missing.kq: No such file"),
        (("images.npy", "images.npy"), "images.npy is not a usable kerasq model"),
        (("net.kq", "missing.npy"), "missing.npy: No such file"),
        (("net.kq", "net.kq"), "net.kq is not a .npy file of numbers"),
        (("net.kq", "a.npy"), "'image' must have shape (batch, 16, 16, 3). Received: shape=(3, 4)"),
        (("net.kq", "a.npy", "b.npy"), "has 1 input ('image'). Received: 2 input files"),
        (("net.kq", "text.npy"), "'image' must be an array of real numbers"),
        (("net.kq", "arrays.npz"), "'image' must have shape (batch, 16, 16, 3). Received: shape=(3,)"),
        (("net.kq", "picture=images.npy"), "has 1 input ('image'). Received: picture=images.npy"),
        (("two.kq", "a=a.npy", "b.npy"), "has 2 inputs ('a', 'b'). Received: a=a.npy, b.npy"),
        (("two.kq", "a=a.npy", "a=b.npy"), "has 2 inputs ('a', 'b'). Received: a=a.npy, a=b.npy"),
        (("two.kq", "part.npz"), "the network's inputs are 'a', 'b'. Received: 'a', 'c'"),
        (("two.kq", "other.npz"), "neither names nor shapes tell which array belongs to which input: name them 'a', 'b'"),
        (("two.kq", "net.kq.npz"), "net.kq.npz is not a .npz file of numbers"),
        (("two.kq", "one.npz"), "one.npz holds one array"),
        (("net.kq", "objects.npy"), "objects.npy is not a .npy file of numbers"),
        (("two.kq", "a.npy", "b.npy"), "has 2 outputs ('total', 'half'). Received: 1 output files"),
        (("two.kq", "a.npy", "single.npy"), "some inputs are batches and some are single examples"),
    ],
)
def test_failures_are_one_line(folder, capsys, arguments, message):
    np.save("text.npy", np.full((1, 16, 16, 3), "x"))
    np.save("objects.npy", np.array([{}, None], object), allow_pickle=True)
    np.savez("arrays.npz", x=np.zeros(3))
    np.savez("part.npz", a=np.zeros((2, 4)), c=np.zeros((2, 4)))
    np.savez("other.npz", left=np.zeros((2, 4)), right=np.zeros((2, 4)))
    (folder / "net.kq.npz").write_bytes((folder / "net.kq").read_bytes())
    np.save("one", np.zeros((2, 4)))
    (folder / "one.npy").rename("one.npz")
    np.save("single.npy", np.zeros(4))
    outputs = ["--output", "y.npy"] if message.find("output files") >= 0 or arguments[0] != "two.kq" else ["-o", "y", "-o", "z"]
    assert run(*arguments, *outputs) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kerasq-run: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not (folder / "y.npy").exists()


@pytest.mark.parametrize("last", ["missing/half.npy", "folder", "/"])
def test_outputs_are_written_whole_or_not_at_all(folder, capsys, last):
    (folder / "folder").mkdir()
    np.save("total.npy", np.array([42]))
    before = sorted(folder.rglob("*"))
    assert run("two.kq", "a.npy", "b.npy", "--output", "total.npy", "--output", last) == 1
    assert last in capsys.readouterr().err
    assert np.load("total.npy").tolist() == [42]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("net.kq",),
        ("net.kq", "images.npy"),
        ("net.kq", "--output", "y.npy"),
        ("net.kq", "images.npy", "--wrong"),
        ("two.kq", "a.npy", "b.npy", "--output", "y.npy", "--output", "./y.npy"),
    ],
)
def test_wrong_usage(folder, capsys, arguments):
    assert run(*arguments) == 2
    assert "usage: kerasq-run" in capsys.readouterr().err
    assert not (folder / "y.npy").exists()


def test_help(capsys):
    assert run("--help") == 0
    assert "--output" in capsys.readouterr().out


def test_memory_is_limited(folder, capsys):
    assert run("net.kq", "images.npy", "--output=y.npy", "--max_bytes=1000") == 1
    assert "net.kq" in (message := capsys.readouterr().err)
    assert "max_bytes=1,000" in message
    assert run("net.kq", "images.npy", "--output=y.npy", "--max_bytes=0") == 2
    assert not (folder / "y.npy").exists()
