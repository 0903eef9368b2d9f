"""kerasq-inspect --report: the report's page for a file that was converted before."""

from __future__ import annotations

import re

import numpy as np
import pytest

import kerasq
from kerasq.commands.inspect import main
from kerasq.conformance.samples import SAMPLES
from kerasq.format import ModelError, dump, dumps
from networks import random_resnet23


@pytest.fixture(scope="module")
def model():
    return random_resnet23("SIGN", maps=8, size=16)


def sections_of(page):
    return re.findall(r'<section id="([\w-]+)"', page)


@pytest.mark.parametrize("name", SAMPLES)
def test_any_file_has_a_page(name):
    model = SAMPLES[name]()
    content = dumps(model)
    page = kerasq.file_report(content, "<its name>")
    assert "&lt;its name&gt;" in page
    assert f"{len(content):,} bytes" in page
    assert {"summary", "memory-map", "buffers", "tensors"} <= {*sections_of(page)}
    for tensor in model.tensors:
        assert f"<td>{tensor.name}</td>" in page


def test_the_page_tells_what_0_is_stored_as():
    page = kerasq.file_report(dumps(SAMPLES["offset"]()), "offset")
    assert re.findall(r"<td>(\w+), its 0 stored as (\d+)</td>", page) == [("CONV_2D", "9"), ("MUL", "200"), ("CONV_2D", "40000")]
    assert "its 0 stored" not in kerasq.file_report(dumps(SAMPLES["gated"]()), "gated")


def test_the_command_writes_it_with_what_else_was_asked_for(model, tmp_path, capsys):
    source, page = tmp_path / "model.kq", tmp_path / "page.html"
    dump(model, source)
    before = source.read_bytes()
    assert main(["kerasq-inspect", str(source), "--report", str(page), "--target", "stm32l4r5"]) == 0
    assert sections_of(page.read_text("utf-8"))[:2] == ["summary", "fit"]
    assert "memory plan" in capsys.readouterr().out
    assert main(["kerasq-inspect", str(source), "--report", str(tmp_path / "page.png")]) == 2
    assert main(["kerasq-inspect", str(source), "--report", str(source)]) == 2
    assert source.read_bytes() == before


def test_against_the_float_network_it_has_the_errors_of_the_layers(tmp_path):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,), name="x"), keras.layers.Dense(8, "relu", name="first"), keras.layers.Dense(3, name="second")]
    network = keras.Sequential(layers)
    examples = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    source, page = tmp_path / "model.kq", tmp_path / "page.html"
    source.write_bytes(kerasq.convert(network, representative_dataset=examples))
    network.save(tmp_path / "model.keras")
    np.save(tmp_path / "examples.npy", examples)
    asked = ["--against", str(tmp_path / "model.keras"), "--representative_dataset", str(tmp_path / "examples.npy")]
    assert main(["kerasq-inspect", str(source), "--report", str(page), *asked]) == 0
    text = page.read_text("utf-8")
    assert "layer-errors" in sections_of(text)
    assert "first" in text


def test_what_is_no_file_is_refused():
    with pytest.raises(ModelError):
        kerasq.file_report(b"nothing", "nothing")
