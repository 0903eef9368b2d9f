"""kerasq-inspect a.kq --against b.kq: what two files store and compute differently."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from kerasq.commands.inspect import main
from kerasq.evaluation.beside import beside
from kerasq.format import dump, loads
from kerasq.format.model import ABSENT
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_resnet23


def network(kernel_format: str = "FIXED8_5", last: str = "FIXED8_2", scale: int = 1):
    rng = np.random.default_rng(0)
    net = NetworkBuilder()
    x = net.activation("x", (1, 6), "FIXED8_4")
    form = QFormat.parse(kernel_format)
    kernels = [net.constant(f"k{i}", form.quantize(rng.normal(size=shape)), form) for i, shape in enumerate(((5, 6), (4, 5)))]
    bias = net.constant("bias", np.full(4, 3 * scale, np.int8), "FIXED8_0")
    hidden = net.apply("DENSE", (x, kernels[0], ABSENT, ABSENT), "FIXED8_3", "hidden")
    return net.build((x,), (net.apply("DENSE", (hidden, kernels[1], ABSENT, bias), last, "scores"),))


X = np.random.default_rng(1).normal(size=(37, 6)).astype(np.float32)


def test_equal_networks():
    result = beside(network(), network(), X)
    assert result.first is None
    assert result.stored == ()
    assert result.same_class == 1.0
    assert [entry.name for entry in result.computed] == ["x", "hidden", "scores"]
    assert all(math.isinf(entry.sqnr_db) for entry in result.computed)


def test_the_first_difference_and_its_size():
    """Another bias: hidden values stay, every score is one less or more, as far as it does not saturate."""
    result = beside(network(), network(scale=2), X)
    assert result.first is not None
    assert result.first.name == "scores"
    (stored,) = result.stored
    assert (stored.name, stored.differing, stored.nbytes) == ("bias", 1.0, (4, 4))
    assert result.first.largest == 3.0
    assert result.first.differing > 0.9


def test_other_formats_are_values_that_may_be_equal():
    result = beside(network(), network("FIXED16_9"), X)
    formats = {entry.name: entry.formats for entry in result.stored}
    assert formats == dict.fromkeys(("k0", "k1"), ("FIXED8_5", "FIXED16_9"))
    assert result.first is not None
    assert result.first.name == "hidden"
    assert 10 < result.computed[-1].sqnr_db < 60
    assert result.constant_bytes == (54, 104)


def test_tensors_of_one_file_alone():
    net = NetworkBuilder()
    x = net.activation("x", (1, 6), "FIXED8_4")
    other = net.build((x,), (net.apply("QUANTIZE", (x,), "FIXED8_2", "y"),))
    result = beside(network(), other, X)
    assert result.alone == (("hidden", "scores"), ("y",))
    assert {entry.name for entry in result.stored} == {"k0", "k1", "bias"}
    assert all(entry.formats[1] is None for entry in result.stored)


def test_networks_with_other_inputs_are_refused():
    with pytest.raises(ValueError, match="their inputs differ"):
        beside(network(), random_resnet23(maps=8, size=16), X)


def padded(zero: int, form: str = "UFIXED8_5", stride: int = 1):
    """A convolution with a zero, and a product with another."""
    net = NetworkBuilder()
    x = net.activation("x", (1, 4, 4, 2), form)
    parts = {"input": x, "kernel": net.constant("k", np.arange(36).reshape(2, 3, 3, 2), "FIXED8_7")}
    y = net.apply("CONV_2D", parts, form, "y", padding=(1, 1, 1, 1), zero=zero, strides=(stride, 1))
    return net.build((x,), (net.apply("MUL", (y, y), "FIXED16_9", "z", zero=2 * zero),))


def test_attributes_that_differ_are_told(tmp_path, monkeypatch, capsys):
    """A zero as what it is worth: the stored integer depends on a format."""
    images = np.random.default_rng(3).random((9, 4, 4, 2)).astype(np.float32)
    assert beside(padded(9), padded(9 << 8, "UFIXED16_13"), images).operators == ()
    told = beside(padded(9), padded(12), images).operators
    assert [dataclasses.astuple(entry) for entry in told] == [
        ("y", "zero", ("0.28125", "0.375")),
        ("z", "zero", ("0.5625", "0.75")),
    ]
    (strides,) = beside(padded(0), padded(0, stride=2), images).operators
    assert (strides.attribute, strides.values) == ("strides", ("(1, 1)", "(2, 1)"))
    monkeypatch.chdir(tmp_path)
    dump(padded(9), "a.kq")
    dump(padded(0), "b.kq")
    np.save("x.npy", images)
    assert main(["kerasq-inspect", "a.kq", "--against", "b.kq", "--representative_dataset", "x.npy"]) == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()]
    assert [row for row in rows if row[1:2] == ["zero"]] == [["y", "zero", "0.28125", "0"], ["z", "zero", "0.5625", "0"]]
    assert "first difference: y" in text
    assert "padding 1,1,1,1 zero 9" in text


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dump(network(), "a.kq")
    dump(network(scale=2), "b.kq")
    np.save("x.npy", X)
    return tmp_path


def test_the_command(files, capsys):
    assert main(["kerasq-inspect", "a.kq", "--against", "b.kq", "--representative_dataset", "x.npy"]) == 0
    text = capsys.readouterr().out
    assert "beside b.kq, 37 examples" in text
    assert "first difference: scores" in text
    assert main(["kerasq-inspect", "a.kq", "--against", "a.kq", "--representative_dataset", "x.npy", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["beside"]
    assert (facts["first"], facts["stored"], facts["examples"]) == (None, [], 37)
    assert [entry["sqnr_db"] for entry in facts["computed"]] == [None] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "c.kq", "--representative_dataset", "x.npy"], "c.kq: No such file"),
        (["--against", "b.kq", "--representative_dataset", "y.npy"], "y.npy"),
        (["--against", "broken.kq", "--representative_dataset", "x.npy"], "broken.kq is not a usable kerasq model"),
        (["--against", "d.kq", "--representative_dataset", "x.npy"], "d.kq: their inputs differ"),
    ],
)
def test_what_can_not_be_compared(files, arguments, message, capsys):
    (files / "broken.kq").write_bytes(b"KRSQ")
    dump(random_resnet23(maps=8, size=16), "d.kq")
    assert main(["kerasq-inspect", "a.kq", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_names_are_enough_to_find_tensors_of_a_file_that_was_written_and_read(files):
    first, second = (loads((files / name).read_bytes()) for name in ("a.kq", "b.kq"))
    assert beside(first, second, X) == beside(network(), network(scale=2), X)
