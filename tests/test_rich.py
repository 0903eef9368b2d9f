"""What objects show of themselves in a notebook: well-formed HTML with their facts, whatever their names hold."""

import dataclasses
import xml.etree.ElementTree

import numpy as np
import pytest

import kerasq
from kerasq.conformance.samples import SAMPLES
from kerasq.footprint.summary import summarize
from kerasq.format import dumps
from kerasq.rich import notebook_table
from networks import random_resnet23

HOSTILE = "<script>alert('\"&')</script>\x1b[31m"


def cells(html):
    """Texts of all cells, by row; a page that is not well formed is an error."""
    root = xml.etree.ElementTree.fromstring(f"<div>{html}</div>")
    assert {element.tag for element in root.iter()} <= {"div", "p", "b", "br", "table", "thead", "tbody", "tr", "th", "td"}
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


@pytest.fixture(scope="module")
def model():
    return random_resnet23("SIGN", maps=8, size=16)


@pytest.fixture(params=list(SAMPLES))
def sample(request):
    return SAMPLES[request.param]()


def test_a_model_has_a_row_for_each_operator(sample):
    header, *rows = cells(sample._repr_html_())
    assert header[:3] == ["#", "operator", "output"]
    assert [row[1:3] for row in rows] == [[str(op.kind), sample.output(op).name] for op in sample.operators]
    for row, op in zip(rows, sample.operators, strict=True):
        assert str(sample.output(op).format) in row


def test_an_interpreter_shows_its_ends(sample):
    interpreter = kerasq.Interpreter(model_content=sample, engine="reference")
    _, *rows = cells(interpreter._repr_html_())
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [row[1:3] for row in rows] == [[str(detail["index"]), detail["name"]] for detail in details]
    assert "reference engine" in interpreter._repr_html_()


def test_a_summary_shows_what_its_text_has(model):
    summary = summarize(model, 12_345)
    html = summary._repr_html_()
    _, *rows = cells(html)
    assert [row[0] for row in rows] == [layer.layer for layer in summary.layers]
    for line in summary.to_text().splitlines()[-3:]:
        assert line in html


def test_a_footprint_shows_memory_work_and_verdict(model):
    fit = kerasq.fit_on(dumps(model), "stm32l4r5")
    html = fit._repr_html_()
    rows = cells(html)
    assert ["flash", "network", f"{fit.network:,}"] in [row[:3] for row in rows]
    assert sum(row[0].isdigit() for row in rows) == len(model.operators)
    assert "fits: " in html


def test_a_report_has_every_tensor():
    keras = pytest.importorskip("keras")
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu", name="dense")])
    converter = kerasq.Converter.from_keras_model(dense)
    converter.representative_dataset = np.eye(4, dtype=np.float32)
    converter.convert()
    report = converter.report
    html = report._repr_html_()
    rows = cells(html)
    names = [row[0] for row in rows if row[0] != "name"]
    assert names == [row.name for row in (*report.buffers, *report.parameters)]
    assert f"model {report.model_bytes:,} bytes" in html


def test_names_are_texts(sample):
    tensors = tuple(dataclasses.replace(tensor, name=f"{HOSTILE}{index}") for index, tensor in enumerate(sample.tensors))
    html = dataclasses.replace(sample, tensors=tensors)._repr_html_()
    assert "<script" not in html
    assert "\x1b" not in html
    _, *rows = cells(html)
    assert rows[0][2].startswith("<script>alert('\"&')</script>\\x1b[31m")


def test_columns_that_are_empty_are_left_out():
    assert cells(notebook_table(("a", "b", "c"), [["1", "", "3"], ["4", "", ""]])) == [["a", "c"], ["1", "3"], ["4", ""]]
