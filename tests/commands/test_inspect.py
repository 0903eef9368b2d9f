"""kerasq-inspect on the hand-made samples."""

import dataclasses
import json
import re

import pytest

from kerasq.commands.inspect import main
from kerasq.conformance.samples import SAMPLES, ModelBuilder
from kerasq.footprint import BOARDS
from kerasq.footprint.boards import CORES
from kerasq.footprint.report import parsed_size
from kerasq.format import OperatorKind, dump, dumps
from kerasq.verification import plan
from kerasq_convert.memory.target import for_target


@pytest.fixture
def inspect(capsys):
    def run(*arguments):
        status = main(["kerasq-inspect", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def binary(tmp_path):
    path = tmp_path / "binary.kq"
    dump(SAMPLES["binary"](), path)
    return path


def row(text, start):
    return next(line.split() for line in text.splitlines() if line.split()[:2] == start.split())


def test_report(inspect, binary):
    status, text, errors = inspect(binary)
    assert (status, errors) == (0, "")
    lines = text.splitlines()
    assert lines[0] == f"{binary}: {binary.stat().st_size:,} bytes, version 3"
    assert lines[1] == "constants: 585 bytes (512 UFIXED16, 32 SIGN, 23 FIXED4, 10 FIXED16, 8 FIXED8)"
    assert lines[2] == "arena: 256 bytes, aligned to 16"
    assert lines[3] == "work: 8 operators, 4,335 multiply-accumulates"
    assert "producer: kerasq samples" in lines
    assert row(text, "input 0") == ["input", "0", "image", "1x6x5x3", "UFIXED8_8"]
    assert row(text, "output 15") == ["output", "15", "probabilities", "1x3", "UFIXED8_8"]
    assert " ".join(row(text, "0 CONV_2D")) == (
        "0 CONV_2D conv/output 1x6x5x5 UFIXED8_8 SIGN FIXED8_7 FIXED16_12 UFIXED8_4 3x3 padding 1,1,1,1 0..96 32/32 4,050"
    )
    assert " ".join(row(text, "1 MAX_POOL_2D")) == "1 MAX_POOL_2D pool/output 1x3x2x5 UFIXED8_4 UFIXED8_4 2x2 stride 2x2 32"
    assert "UFIXED8_4 + FIXED8_3" in text
    assert lines[-1] == "arena 256 bytes, lower bound 192 bytes: 64 bytes (33.3%) above it"


def test_memory_picture(inspect, tmp_path):
    """Four tensors of 16 bytes in 64: each takes a quarter of the picture's 64 columns."""
    net = ModelBuilder()
    a, b, c, d = (net.activation(name, "FIXED8_0", 1, 16) for name in "abcd")
    net.operator(OperatorKind.QUANTIZE, [a], b)
    net.operator(OperatorKind.QUANTIZE, [a], c)
    net.operator(OperatorKind.ADD, [b, c], d)
    model = net.model([a])
    tensors = [dataclasses.replace(t, offset=16 * "abcd".index(t.name)) for t in model.tensors]
    path = tmp_path / "model.kq"
    dump(dataclasses.replace(model, tensors=tuple(tensors), arena_bytes=64), path)
    lines = inspect(path)[1].splitlines()
    picture = [line[6:70] for line in lines[-5:-1]]
    free, kept, read, written = (mark * 16 for mark in " .=#")
    assert picture == [
        written + free + free + free,
        read + written + free + free,
        read + kept + written + free,
        free + read + read + written,
    ]
    assert [line.endswith("<- peak") for line in lines[-5:-1]] == [False, True, True, True]
    assert lines[-1] == "arena 64 bytes, lower bound 32 bytes: 32 bytes (100.0%) above it"


@pytest.mark.parametrize("columns", [20, 60, 80, 100])
def test_tables_and_picture_obey_columns(inspect, binary, monkeypatch, columns):
    wide = inspect(binary)[1]
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = inspect(binary)[1]
    sections = narrow.split("\n\n")[1:]  # what comes before is text
    lines = [line for section in sections for line in section.splitlines() if not line.startswith(("memory plan", "arena"))]
    assert max(map(len, lines)) <= columns
    if columns >= 60:
        cells = [set(" ".join(text.split("memory plan")[0].split()).split()) for text in (wide, narrow)]
        assert cells[0] == cells[1]  # nothing is left out


@pytest.mark.parametrize("sample", SAMPLES)
def test_json(inspect, tmp_path, sample):
    model = SAMPLES[sample]()
    path = tmp_path / "model.kq"
    dump(model, path)
    status, text, _ = inspect("--json", path)
    facts = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert status == 0
    assert facts["file_bytes"] == path.stat().st_size
    assert facts["arena_bytes"] == model.arena_bytes
    assert facts["lower_bound"] == plan.lower_bound(model)
    assert [operator["live_bytes"] for operator in facts["operators"]] == plan.live_bytes(model)
    assert [operator["output"] for operator in facts["operators"]] == [model.output(o).name for o in model.operators]
    assert [end["name"] for end in facts["inputs"] + facts["outputs"]] == [*model.named_inputs(), *model.named_outputs()]
    assert [end["tensor"] for end in facts["inputs"]] == [model.tensors[index].name for index in model.inputs]
    assert sum(facts["constant_bytes"].values()) == sum(tensor.nbytes for tensor in model.constants())
    assert inspect(path, "--json")[1] == text


def test_bad_file(inspect, tmp_path):
    path = tmp_path / "bad.kq"
    path.write_bytes(b"not a model")
    status, text, errors = inspect(path)
    assert (status, text) == (1, "")
    assert errors.startswith(f"kerasq-inspect: {path} is not a usable kerasq model: ")
    assert errors.count("\n") == 1


def test_many_problems_are_one_line(inspect, tmp_path, binary):
    path = tmp_path / "bad.kq"
    path.write_bytes(dumps(SAMPLES["binary"]()).replace(b"image\0", b"i\nage\0").replace(b"conv/kernel\0", b"conv/output\0"))
    status, _, errors = inspect(path)
    assert status == 1
    assert errors.count("\n") == 1


def test_missing_file(inspect, tmp_path):
    status, _, errors = inspect(tmp_path / "missing.kq")
    assert status == 1
    assert errors == f"kerasq-inspect: {tmp_path / 'missing.kq'}: No such file or directory\n"


@pytest.mark.parametrize("arguments", [[], ["a.kq", "b.kq"], ["--unknown", "a.kq"], ["--json=maybe", "a.kq"]])
def test_wrong_usage(inspect, arguments):
    status, text, errors = inspect(*arguments)
    assert (status, text) == (2, "")
    assert "usage: kerasq-inspect model.kq [--json]" in errors


def test_help(inspect):
    status, text, _ = inspect("--help")
    assert status == 0
    assert "--json" in text
    assert "kerasq-inspect model.kq [--json]" in text


def test_names_are_escaped(inspect, tmp_path):
    net = ModelBuilder()
    x = net.activation("x\x1b[2J\n", "FIXED8_0", 1, 4)
    net.operator(OperatorKind.QUANTIZE, [x], net.activation("größe", "FIXED8_1", 1, 4))
    path = tmp_path / "model.kq"
    dump(net.model([x], metadata={"k\r": "v\x07"}), path)
    text = inspect(path)[1]
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"x\x1b[2J\n" in text
    assert "größe" in text


@pytest.fixture
def fixed(tmp_path):
    """A convolution, whose instructions are estimated everywhere."""
    net = ModelBuilder()
    x = net.activation("x", "FIXED8_4", 1, 8, 8, 4)
    kernel = net.constant("conv/kernel", "FIXED8_7", 8, 3, 3, 4)
    y = net.activation("conv/output", "FIXED8_3", 1, 6, 6, 8)
    net.operator(OperatorKind.CONV_2D, {"input": x, "kernel": kernel}, y)
    path = tmp_path / "fixed.kq"
    dump(net.model([x]), path)
    return path


def test_a_network_that_fits(inspect, fixed):
    status, text, errors = inspect(fixed, "--target", "stm32l4r5")
    assert (status, errors) == (0, "")
    assert "on STM32L4R5 (cortex-m4, 120 MHz)" in text
    made = for_target(fixed.read_bytes(), "cortex-m4")
    assert re.search(r"^flash +network +([\d,]+)$", text, re.MULTILINE)[1] == f"{len(made):,}"
    assert re.search(r"^RAM +all +[\d,]+ +655,360 ", text, re.MULTILINE)
    assert re.search(r"million cycles by a model .* ms at 120 MHz", text)
    assert "are left for the rest of the program" in text.splitlines()[-1]


def test_a_network_that_does_not_fit(inspect, fixed):
    size = fixed.stat().st_size
    status, text, errors = inspect(fixed, "--target", "cortex-m3", "--flash", "1K", "--ram", "1M")
    assert status == 1
    flash = int(re.search(r"^flash +all +([\d,]+)", text, re.MULTILINE)[1].replace(",", ""))
    assert flash > size + 10_000
    reason = f"flash takes {flash:,} bytes, {flash - 1024:,} more than the 1,024 that there are"
    assert errors == f"kerasq-inspect: {fixed} does not fit cortex-m3: {reason}\n"
    assert inspect(fixed, "--target", "cortex-m3", "--flash", str(flash), "--ram", "1M")[0] == 0
    assert inspect(fixed, "--target", "cortex-m3", "--flash", str(flash - 1), "--ram", "1M")[0] == 1


def test_fit_as_json(inspect, fixed):
    status, text, errors = inspect(fixed, "--target", "Arduino Nano 33 BLE", "--json", "--ram", "100")
    assert status == 1
    fit = json.loads(text)["fit"]
    assert (fit["core"], fit["fits"], fit["ram"]["limit"]) == ("cortex-m4", False, 100)
    assert fit["flash"]["total"] == sum(fit["flash"][part] for part in ("network", "code", "constants"))
    assert fit["instructions"] == sum(operator["instructions"] for operator in fit["operators"])
    assert fit["milliseconds"] == pytest.approx(fit["cycles"] / 64e3)
    assert json.loads(errors)["exit_status"] == 1
    assert "fit" not in json.loads(inspect(fixed, "--json")[1])


@pytest.mark.parametrize("board", [*CORES, *BOARDS])
def test_every_board_has_what_it_takes(inspect, fixed, board):
    status, text, errors = inspect(fixed, "--target", board, "--json")
    assert (status, errors) == (0, "")
    fit = json.loads(text)["fit"]
    assert fit["instructions"] > fit["operators"][0]["macs"] > 0
    assert (fit["cycles"] is not None) == (fit["core"] in ("cortex-m0+", "cortex-m3", "cortex-m4"))
    assert fit["fits"] is (None if board in CORES else True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "stm32l4r6"], "--target: no board or core is called 'stm32l4r6': did you mean STM32L4R5"),
        (["--target", "cortex-m5"], "name its core, and say what there is with --flash and --ram"),
        (["--flash", "64K"], "--flash goes with --target"),
        (["--target", "m4", "--ram", "much"], "--ram: a number of bytes such as 65536, 64K or 1M was expected. Received: 'much'"),
    ],
)
def test_wrong_targets(inspect, fixed, arguments, message):
    status, text, errors = inspect(fixed, *arguments)
    assert (status, text) == (2, "")
    assert message in errors


def test_of_a_network_in_float_nothing_is_said(inspect, tmp_path):
    path = tmp_path / "float.kq"
    dump(SAMPLES["float"](), path)
    status, text, errors = inspect(path, "--target", "cortex-m4")
    assert (status, text) == (1, "")
    assert "representative dataset" in errors


@pytest.mark.parametrize(("text", "size"), [("65536", 65536), ("64K", 65536), ("1.5 MB", 3 << 19), ("2kib", 2048)])
def test_sizes(text, size):
    assert parsed_size(text) == size
