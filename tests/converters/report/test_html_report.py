"""The HTML report: what it says, that names can't break it, and how a browser shows it."""

import dataclasses
import html
import html.parser
import json
import math
import re
import shutil
import subprocess

import numpy as np
import pytest

import kerasq
from converters.causes.planted import channels
from converters.zoo import build, images
from kerasq import format as kq
from kerasq import ops
from kerasq.conformance.samples import ModelBuilder
from kerasq.format import OperatorKind
from kerasq.histogram import Histogram
from kerasq.qformat import FLOAT32, QFormat
from kerasq_convert import ConversionError, Converter
from kerasq_convert.command import main
from kerasq_convert.comparison.analysis_text import decibels
from kerasq_convert.options import Goals
from kerasq_convert.report.costs import layer_costs
from kerasq_convert.report.figures import BARS, distribution, memory_map
from kerasq_convert.report.html_memory import _room
from kerasq_convert.report.html_report import html_report
from kerasq_convert.search.search import TradeOff

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(html.parser.HTMLParser):
    """Elements, texts and attributes of a page; refuses tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes, self.sections = [], [], [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = self.sections.setdefault(dict(attrs)["id"], [])

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.texts.append(data)
            if "section" in self.open:
                self.section.append(data)


@pytest.fixture(scope="module")
def converter():
    converter = Converter.from_keras_model(build("residual"))
    converter.representative_dataset = images(40)
    converter.analyze = True
    converter.goals = Goals(min_sqnr_db=48)
    converter.convert()
    return converter


@pytest.fixture(scope="module")
def page(converter):
    return converter.html_report("net.keras")


def test_sections_and_figures(converter, page):
    found = Page(page)
    names = [
        "summary",
        "causes",
        "layer-errors",
        "16-bits-instead-of-8",
        "trade-off",
        "activations",
        "kernels",
        "layers",
        "memory-map",
        "buffers",
        "tensors",
        "about",
    ]
    assert [name for name in found.sections if name != "saturation"] == names
    report = converter.report
    summary = " ".join(found.sections["summary"])
    assert f"{report.model_bytes:,} bytes" in summary
    assert f"{report.arena_bytes:,} bytes" in summary
    assert report.analysis is not None
    errors = found.sections["layer-errors"]
    for layer in report.analysis.layers:
        assert f"{layer.name} " in errors
        assert any(text.startswith(f"{decibels(layer.alone)} · ") for text in errors), layer.name
    for row in report.buffers:
        assert row.name in found.sections["tensors"]
        assert any(text.strip() == row.name for text in found.sections["activations"]), row.name
    assert found.tags.count("circle") == len(report.trade_off) > 1
    assert sum(1 for text in found.sections["buffers"] if text.endswith("peak")) == 1


def test_layers_have_flash_macs_and_instructions():
    converter = Converter.from_keras_model(build("groups"))
    converter.representative_dataset = images(8)
    content = converter.convert()
    costs, model = layer_costs(content, "cortex-m4"), kq.loads(content)
    cells, place = Page(converter.html_report()).sections["layers"], 0
    for cost in costs:
        place = cells.index(cost.layer, place + 1)
        assert cells[place + 1] == cost.kind
        assert f"{cost.instructions:,}" in cells[place : place + 8]
    totals = [sum(cost.flash for cost in costs), sum(cost.macs for cost in costs), sum(cost.instructions for cost in costs)]
    assert totals[0] == sum(tensor.nbytes for tensor in model.constants())
    assert totals[1] == sum(ops.macs(model, operator) for operator in model.operators)
    assert cells[-3:] == [f"{total:,}" for total in totals]
    in_float = kerasq.convert(build("groups"))  # of which no instructions are estimated
    assert {cost.instructions for cost in layer_costs(in_float)} == {None}


def test_the_bound_of_the_arena_is_explained(converter, page):
    text = " ".join(Page(page).sections["memory-map"])
    report = converter.report
    assert f"{report.arena_lower_bound:,} bytes are needed" in text
    assert report.arena_verdict in text
    looser = dataclasses.replace(report, arena_lower_bound=report.arena_bytes - 16)
    assert "The arena has 16 bytes more" in html_report("net", looser, converter.figures())


def test_names_in_the_memory_map_end_where_another_tensor_begins():
    def tensor(name, first, last, offset, size):
        return {"name": name, "format": "FIXED8_4", "first": first, "last": last, "offset": offset, "bytes": size}

    below, over = tensor("below", 0, 3, 0, 100), tensor("over", 2, 4, 0, 50)
    assert _room(below, [below, over], 200) == 2  # of its four columns
    assert _room(over, [below, over], 200) == 3
    assert _room(below, [below, tensor("beside", 2, 4, 40, 50)], 200) == 4  # a line is as high as 9 bytes


def test_a_report_says_how_it_came_about(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    converter = Converter.from_keras_model(build("groups"))
    converter.representative_dataset, converter.criterion = images(8), "kl"
    converter.convert()
    about = converter.report.about
    assert (about.version, about.date, about.examples) == (kerasq.__version__, "1970-01-02 00:00 UTC", 8)
    assert about.options == {"criterion": "kl"}
    section = Page(converter.html_report()).sections["about"]
    assert section[section.index("dataset") + 1] == f"array {images(8).shape}, float32 (8 examples)"
    assert section[section.index("options") + 1] == "criterion = kl"
    assert "command" not in section
    assert json.loads(json.dumps(converter.report.to_dict()))["about"]["examples"] == 8


def test_accuracy_of_labelled_examples():
    model = build("residual")
    x = images(40)
    labels = model.predict(x, verbose=0).argmax(axis=1)
    labels[1::4] = (labels[1::4] + 1) % 5  # half of the examples that are held back
    converter = Converter.from_keras_model(model)
    converter.representative_dataset, converter.labels = x, labels
    content = converter.convert()
    accuracy = converter.report.accuracy
    assert (accuracy.in_float, accuracy.examples) == (0.5, 20)
    predicted = kerasq.Interpreter(model_content=content).predict(x[1::2]).argmax(axis=1)
    assert accuracy.quantized == np.mean(predicted == labels[1::2])
    assert f"accuracy {100 * accuracy.quantized:.1f}%, of the float network 50.0% (of 20 examples)" in converter.report.to_text()
    assert "accuracy of 20 examples; in float 50.0%" in converter.html_report()
    converter.labels = labels[:39]
    with pytest.raises(ConversionError, match=r"40 examples need as many labels\. Received: 39"):
        converter.convert()


def test_causes_are_a_section():
    fault = channels()
    converter = Converter.from_keras_model(fault.model)
    converter.representative_dataset, converter.analyze = fault.examples, True
    converter.convert()
    section = Page(converter.html_report()).sections["causes"]
    (cause,) = converter.report.diagnosis.causes
    assert section[section.index("Remedy: ") + 1] == str(cause.remedy)
    assert cause.tensor in section
    assert f"tried: {cause.trial}" in section


def test_nothing_is_loaded_from_elsewhere(page):
    found = Page(page)
    assert {"link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(found.tags)
    assert found.tags.count("script") == found.tags.count("style") == 1
    assert {name for name, _ in found.attributes}.isdisjoint({"src", "href", "srcset", "action", "style-src"})
    assert re.findall(r"https?:|//[a-z]|@import|url\(", page.split("<script>")[0]) == []


def test_without_a_dataset_there_is_what_there_is():
    converter = Converter.from_keras_model(build("groups"))
    converter.convert()
    found = Page(converter.html_report())
    assert {"layer-errors", "trade-off", "activations", "saturation"}.isdisjoint(found.sections)
    assert {"summary", "kernels", "memory-map", "buffers", "tensors"} <= set(found.sections)
    assert any("the buffers stay FLOAT32" in text for text in found.sections["summary"])


def test_names_are_text(converter):
    """A layer, an output, a note and a title that would be elements."""
    evil = "</script><img src=x onerror=alert(1)>\"'&"

    def renamed(row):
        return dataclasses.replace(row, name=evil)

    report, figures = converter.report, json.loads(json.dumps(converter.figures()))
    analysis = dataclasses.replace(report.analysis, layers=[renamed(layer) for layer in report.analysis.layers], outputs=[evil])
    points = [dataclasses.replace(point, promoted=evil) for point in report.trade_off]
    buffers, parameters = ([renamed(row) for row in rows] for rows in (report.buffers, report.parameters))
    report = dataclasses.replace(
        report, analysis=analysis, trade_off=points, buffers=buffers, parameters=parameters, fused=[[evil]], notes=[evil]
    )
    for row in (*figures["activations"], *figures["kernels"], *figures["memory"]["tensors"]):
        row["name"] = evil
    for step in figures["memory"]["steps"]:
        step["label"] = evil
    text = html_report(evil, report, figures)
    found = Page(text)
    assert "img" not in found.tags
    assert "onerror" not in {name for name, _ in found.attributes}
    assert any(evil in value for name, value in found.attributes if name == "data-tip")
    assert evil in found.texts


def test_points_without_noise_are_not_drawn(converter):
    points = [TradeOff(None, 20.0, None, 10, 20), TradeOff("a", math.inf, 0.5, 10, 30)]
    for shown, exists in ((points, False), ([*points, TradeOff("b", 30.0, 0.75, 12, 20)], True)):
        report = dataclasses.replace(converter.report, trade_off=shown)
        found = Page(html_report("net", report, converter.figures()))
        assert ("trade-off" in found.sections) is exists
        tips = [value for name, value in found.attributes if name == "data-tip"]
        assert ("b: 30.0 dB, accuracy 75.00%, model 12 bytes, arena 20 bytes" in tips) is exists


class TestFigures:
    def test_distribution_by_hand(self):
        histogram = Histogram()
        histogram.add(np.array([0.0, -4.0, 1.0, 1.0, 12.0]))
        row = distribution("x", QFormat.parse("FIXED8_4"), histogram)
        assert (row["low"], row["high"], row["step"]) == (-8, 8 - 1 / 16, 1 / 16)
        assert (row["min"], row["max"], row["start"], row["end"]) == (-4, 12, -8, 12)
        assert (row["zeros"], row["saturated"]) == (0.2, 0.2)
        # 20 in 64 bars: -4 is in bar 12, 1 in bar 28, 12 in the last.
        assert {place: count for place, count in enumerate(row["counts"]) if count} == {12: 1, 28: 2, BARS - 1: 1}

    def test_distribution_without_values_or_format(self):
        histogram = Histogram()
        assert sum(distribution("x", FLOAT32, histogram)["counts"]) == 0
        histogram.add(np.array([3.0, 3.0]))
        row = distribution("x", FLOAT32, histogram)
        assert (row["low"], row["start"], row["end"], sum(row["counts"])) == (None, 2.5, 3.5, 2)

    def test_memory_map_by_hand(self):
        """a, b and c of 16 bytes: a is read twice, c is computed from both."""
        net = ModelBuilder()
        a, b, c = (net.activation(name, "FIXED8_0", 1, 16) for name in "abc")
        net.operator(OperatorKind.QUANTIZE, [a], b)
        net.operator(OperatorKind.ADD, [a, b], c)
        memory = memory_map(net.model([a]))
        assert [step["in_use"] for step in memory["steps"]] == [16, 32, 48, 16]
        assert [(t["name"], t["first"], t["last"]) for t in memory["tensors"]] == [("a", 0, 2), ("b", 1, 2), ("c", 2, 3)]
        assert (memory["peak"], memory["arena_bytes"], memory["lower_bound"], memory["shared"]) == (2, 48, 32, [])

    def test_bytes_that_two_tensors_hold_count_once(self):
        net = ModelBuilder()
        a, b = net.activation("a", "FIXED8_0", 1, 4, 4), net.activation("b", "FIXED8_0", 1, 16)
        net.operator(OperatorKind.RESHAPE, [a], b)
        model = net.model([a])
        offsets = (0, 4)
        overlapped = tuple(dataclasses.replace(t, offset=o) for t, o in zip(model.tensors, offsets, strict=True))
        memory = memory_map(dataclasses.replace(model, tensors=overlapped, arena_bytes=20))
        assert [step["in_use"] for step in memory["steps"]] == [16, 20, 16]
        assert memory["shared"] == [{"names": ["a", "b"], "offset": 4, "bytes": 12, "step": 1}]


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        build("residual").save("net.keras")
        np.save("images.npy", images(20))
        return tmp_path

    def test_writes_a_page_and_the_same_as_json(self, folder, capsys):
        flags = ["--representative_dataset=images.npy", "--embed_test=random", "--report=report.html", "--json"]
        assert main(["kerasq-convert", "net.keras", *flags]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["written"] == ["net.kq", "report.html"]
        found = Page((folder / "report.html").read_text(encoding="utf-8"))
        command = ["kerasq-convert net.keras", "--representative_dataset=images.npy", "--embed_test=random", "--json"]
        (line,) = (text for text in found.sections["about"] if text.startswith("kerasq-convert"))
        assert all(part in line for part in command)
        assert "images.npy (20 examples)" in found.sections["about"]
        assert "net.keras" in found.texts
        assert f"{(folder / 'net.kq').stat().st_size:,} bytes" in found.sections["summary"]
        assert facts["analysis"]["examples"] == 20
        assert len(facts["figures"]["activations"]) == len(facts["buffers"])
        model = kq.load(folder / "net.kq")
        places = {tensor["name"]: tensor["offset"] for tensor in facts["figures"]["memory"]["tensors"]}
        assert places == {tensor.name: tensor.offset for tensor in model.activations()}

    def test_not_for_kq_files(self, folder, capsys):
        assert main(["kerasq-convert", "net.kq", "--report=report.html"]) == 2
        assert "--report" in capsys.readouterr().err
        assert not (folder / "report.html").exists()


MEASURE = """<script>
function overlapping(labels) {
  const boxes = labels.map((label) => [label.textContent, label.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], i) => boxes.slice(i + 1).filter(([, b]) =>
    a.left + 1 < b.right && b.left + 1 < a.right && a.top + 1 < b.bottom && b.top + 1 < a.bottom).map(([two]) => [one, two]));
}
const errors = [];
window.addEventListener("error", (event) => errors.push(event.message));
const tensor = document.querySelector(".tensor");
tensor.dispatchEvent(new PointerEvent("pointerover", {bubbles: true}));
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const measured = JSON.stringify({
  errors, dark, width: innerWidth, needed: document.documentElement.scrollWidth,
  tip: document.querySelector("#memory-map .tip").textContent, wanted: tensor.dataset.tip,
  heights: [...document.querySelectorAll("section")].map((section) => section.getBoundingClientRect().height),
  smallest: Math.min(...[...document.querySelectorAll("main *")].map((e) => parseFloat(getComputedStyle(e).fontSize))),
  cut: [...document.querySelectorAll(".tensor span")].filter((span) => span.getBoundingClientRect().width < 1).length,
  over: overlapping([...document.querySelectorAll(".tensor span, .steps span")]),
  ground: getComputedStyle(document.body).backgroundColor,
});
parent.postMessage(measured, "*");
</script></body>"""
# A window has at least 500 pixels; a frame may be as narrow as a phone.
FRAME = """<!DOCTYPE html><script>
addEventListener("message", ({data}) => { document.documentElement.dataset.found = data; });
</script><iframe src="page.html" style="border: 0; width: %dpx; height: 900px"></iframe>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(("width", "scheme"), [(1280, 1), (375, 0)])
def test_in_a_browser(page, tmp_path, width, scheme):
    """Wide and light, narrow and dark: nothing sticks out, nothing fails, a tensor that is pointed at is described."""
    (tmp_path / "page.html").write_text(page.replace("</body>", MEASURE), encoding="utf-8")
    path = tmp_path / "frame.html"
    path.write_text(FRAME % width, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += [
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,1000",
    ]
    flags += [f"--blink-settings=preferredColorScheme={scheme}", "--dump-dom", path.as_uri()]
    done = subprocess.run([str(CHROMIUM), *flags], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(html.unescape(re.search('data-found="([^"]*)"', done.stdout)[1]))
    assert found["errors"] == []
    assert found["dark"] is (scheme == 0)
    assert found["ground"] == ("rgb(20, 23, 26)" if found["dark"] else "rgb(246, 247, 248)")
    assert found["width"] == width
    assert found["needed"] <= width
    assert found["tip"] == found["wanted"] != ""
    assert min(found["heights"]) > 30
    assert found["over"] == []
    assert found["cut"] == 0
    assert found["smallest"] >= 11


def test_report_needs_a_conversion():
    converter = Converter.from_keras_model(build("groups"))
    for call in (converter.figures, converter.html_report):
        with pytest.raises(RuntimeError, match="convert"):
            call()


def test_what_it_takes_on_a_board():
    converter = Converter.from_keras_model(build("groups"))
    converter.representative_dataset = images(8)
    converter.convert()
    found = Page(converter.html_report("net", target="nrf52840")).sections["fit"]
    assert any("nRF52840 (cortex-m4, 64 MHz)" in text for text in found)
    assert any("ms at 64 MHz" in text for text in found)
    assert any(text.startswith("fits:") for text in found)
    assert any(re.fullmatch(r"[\d,]+ of 1,048,576 bytes · \d+%", text) for text in found)
    assert any(text.startswith("kq_conv_2d_") for text in found)
    assert "fit" not in Page(converter.html_report("net")).sections
    with pytest.raises(ValueError, match="no board or core"):
        converter.html_report("net", target="abacus")


def test_the_command_tells_what_it_takes_on_a_board(tmp_path, capsys):
    build("groups").save(tmp_path / "net.keras")
    np.save(tmp_path / "images.npy", images(8))
    command = ["kerasq-convert", str(tmp_path / "net.keras"), "--output", str(tmp_path / "net.kq"), "--target", "RP2040"]
    examples = ["--representative_dataset", str(tmp_path / "images.npy")]
    assert main([*command, *examples]) == 2
    assert "--target goes with --emit_c or --report" in capsys.readouterr().err
    assert main([*command, "--report", str(tmp_path / "report.html")]) == 1
    assert "representative dataset" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
    assert main([*command, *examples, "--report", str(tmp_path / "report.html")]) == 0
    assert any("RP2040 (cortex-m0+, 133 MHz)" in text for text in Page((tmp_path / "report.html").read_text()).sections["fit"])
