"""examples/benchmarks/figures.py: every figure of README's results is in the register, and what was measured is beside it."""

from __future__ import annotations

import json
import re

import figures
import pytest
from claims import README, Claim, RegisterError, claim, claims, exactly, no_other_machine, share, tables_of
from figures_page import HOLDS, MISSING, NOT_JUDGED, OFF, page, verdict
from measurements import MEASUREMENTS, Measurement, automatic, chip, desktop, evaluated, firmware
from register import CHIP, SENTENCES, TABLES

from kerasq.commands.bench_report import comparison
from kerasq.evaluation.results import Result

TEXT = README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def registered() -> list[Claim]:
    return claims(TABLES, SENTENCES, TEXT)


def test_every_number_of_the_tables_is_registered(registered):
    titles = {table.title for table in TABLES}
    texts = [claim.text for claim in registered if claim.where.partition(":")[0] in titles]
    printed = []
    for line in re.findall(r"^\|.*\|$", TEXT.partition("\n## Results\n")[2], re.MULTILINE):
        first, *cells = line.strip("|").split("|")
        if not set(line) <= set("|-: ") and not any(first.strip() == table.first for table in TABLES):
            printed += re.findall(r", ([\d.]+) million", first) + re.findall(r"[\d,.]*\d", " ".join(cells).replace(", ", " "))
    assert len(printed) > 140
    assert sorted(texts) == sorted(printed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| ResNet23, binary weights |", "| Another | 1.0, 2.0 | 3 | 4 | 5 | 6 | 7 | |\n| ResNet23, binary weights |"),
        ("| network | top-1 % |", "| network | top-5 % |"),
        ("| **MobileNet**, Keras |", "| **MobileNetV2**, Keras |"),
        ("| arena bytes | footprint |", "| arena bytes | footprint | time |"),
        ("\nCIFAR-10 (JPEG", "\n| network | fps |\n| --- | ---: |\n| mine | 9 |\n\nCIFAR-10 (JPEG"),
        ("± 0.40 |", "± 0.40 of 90.1 |"),
        ("KB of code at `-Os`", "KB at `-Os`"),
    ],
)
def test_what_is_not_registered_is_an_error(old, new):
    assert old in TEXT
    with pytest.raises(RegisterError, match="README"):
        claims(TABLES, SENTENCES, TEXT.replace(old, new, 1))


def test_every_figure_has_a_measurement_that_gives_it(registered):
    assert {claim.measurement for claim in registered} == set(MEASUREMENTS)


def test_a_figure_holds_within_its_error_and_the_rounding_of_its_text():
    size, ratio = claim("x", "1,234", ("m", "size"), exactly), claim("x", "0.50", ("m", "ratio"), share(0.2))
    assert [size.holds(value) for value in (1234, 1235, 1233)] == [True, False, False]
    assert [ratio.holds(value) for value in (0.60, 0.605, 0.61, 0.395, 0.39)] == [True, True, False, True, False]
    limit = claim("x", "5", ("m", "size"), exactly, is_limit=True)
    assert [limit.holds(value) for value in (0.1, 5.4, 5.6)] == [True, True, False]
    assert claim("x", "2.3", ("m", "seconds"), no_other_machine).holds(99) is None


def test_the_page_tells_what_is_off():
    rows = [claim(f"text {text}", text, ("files", text), exactly) for text in ("1,234", "7.5")]
    times = claim("text", "2.3", ("files", "seconds"), no_other_machine)
    values = {"1,234": 1235.0, "7.5": 7.54, "seconds": 4.0}
    record = {"files": {"date": "2026-01-02", "machine": "a machine", "seconds": 9, "values": values}}
    assert [verdict(row, record) for row in (*rows, times)] == [("1,235", OFF), ("7.5", HOLDS), ("4.0", NOT_JUDGED)]
    assert verdict(rows[0], {}) == ("", MISSING)
    text = page([*rows, times], record)
    assert "Of 3 figures 1 hold, 1 are off, 1 are of their machine and 0 are not measured." in text
    assert "Measured on a machine: 2026-01-02." in text
    assert "| text 1,234 | 1,234 | 1,235 | **off** | files |" in text.partition("## In the text")[0]
    assert "2026-01-02, 9 s on a machine" in text


def test_what_was_measured_is_not_measured_again_and_failures_are_told(tmp_path, monkeypatch, capsys):
    toys = {
        "good": Measurement("a value", ("echo once >> runs", "echo value 42"), lambda outputs: {"x": float(outputs[-1][6:])}, 1),
        "bad": Measurement("nothing", ("echo broken >&2; exit 3",), lambda _: {}, 1),
        "odd": Measurement("no value", ("echo",), lambda outputs: {"x": outputs[7]}, 1),
        "poor": Measurement("no file", ("echo",), lambda _: {}, 1, ("models/no_such_file.keras",)),
    }
    monkeypatch.setattr(figures, "MEASUREMENTS", toys)
    figures.prepare(tmp_path, None)
    records, failed = figures.run([*toys], tmp_path)
    assert failed == ["bad", "odd"]
    assert {name: record["values"] for name, record in records.items()} == {"good": {"x": 42.0}}
    assert "broken" in (tmp_path / "bad.log").read_text()
    assert "skipped: there is no models/no_such_file.keras" in capsys.readouterr().err
    assert figures.run(["good"], tmp_path) == (records, [])
    assert (tmp_path / "runs").read_text() == "once\n"


def of_readme(table):
    """Rows of a table of README."""
    columns = [table.first, *(column.title for column in table.columns)]
    return next(rows for header, rows in tables_of(TEXT.partition("\n## Results\n")[2]) if header == columns)


def test_tables_of_the_commands_are_read(registered):
    rows = [[title, "9.99", *scores.split(", "), *cells] for title, scores, *cells in of_readme(CHIP)]
    values = chip(["\n".join(f"| {' | '.join(row)} |" for row in ([""], ["---"], *rows))])
    for row in registered:
        if row.measurement == "chip" and not row.key.endswith("macs"):
            assert values[row.key] == row.value, row
    assert values["kws.macs"] == 9.99
    facts = {"model": "desktop/kws.kq", "macs": 2_656_768, "isa": "avx2", "engines": [{}], "peak": 1e11, "doubts": ["busy"]}
    peer = {"samples": [7e-5] * 5, "peer_latency": 1.61e-4, "ratio": 0.43, "ratio_quartiles": (0.4, 0.5)}
    assert desktop([comparison([facts | {"peer": peer}])]) == {
        "kws.macs": 2.656768,
        "kws.ms": 0.07,
        "kws.peer_ms": 0.161,
        "kws.ratio": 0.43,
    }
    result = Result("a.kq", 0.8046, 10_000, 107_152, 99_392, 2.5, 1.0).as_dict()
    of_eval = evaluated("a")([json.dumps([result])])
    assert of_eval["a.top1"] == pytest.approx(80.46)
    assert of_eval["a.footprint_bytes"] == 206_544
    assert automatic(
        "4 bit, tuned    86.92 %   97.1 % the same class   19.9 dB  58,128 bytes, arena 99,392, 9 s", "4 bit, tuned"
    ) == [
        86.92,
        58128,
        99392,
    ]
    assert firmware(["resnet23         Cortex-M4  15,506      3,012\nresnet23_binary  Cortex-M4  16,184"]) == {
        "resnet23.code": 15.506,
        "resnet23_binary.code": 16.184,
    }
