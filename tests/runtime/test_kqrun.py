"""kqrun, built from the sources as they are: the commands, the exit status, one line on errors."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import stat
import subprocess

import numpy as np
import pytest

from c_compiler import NATIVE, PORTABLE, RUNTIME, compile_program
from kerasq import format as file_format
from kerasq.conformance.samples import SAMPLES
from kerasq.interpreter import Interpreter
from kerasq.selftest import random_example, with_selftest
from networks import NetworkBuilder, random_resnet23


@pytest.fixture(scope="module")
def kqrun(tmp_path_factory):
    """Calls the program: arguments -> exit status, standard output, standard error."""
    sources = [*PORTABLE, *NATIVE, *sorted(RUNTIME.glob("tools/kqrun*.c"))]
    folders = [f"-I{RUNTIME / folder}" for folder in ("include", "src")]
    program = compile_program(sources, tmp_path_factory.mktemp("kqrun") / "kqrun", *folders)

    def call(*arguments: str, **options) -> tuple[int, str, str]:
        result = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60, **options)
        return result.returncode, result.stdout, result.stderr

    return call


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with models and inputs, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERASQ_ISA", raising=False)
    model = random_resnet23("SIGN", maps=8, size=16)
    file_format.dump(model, "net.kq")
    file_format.dump(with_selftest(model, random_example(model)), "tested.kq")
    file_format.dump(two_ends(), "two.kq")
    (tmp_path / "damaged.kq").write_bytes((tmp_path / "net.kq").read_bytes()[:5000])
    rng = np.random.default_rng(0)
    rng.integers(0, 256, (5, 16, 16, 3)).astype(np.uint8).tofile("images.bin")
    for name in ("a", "b"):
        rng.integers(-128, 128, (3, 4)).astype(np.int8).tofile(f"{name}.bin")
    return tmp_path


def two_ends() -> file_format.Model:
    net = NetworkBuilder()
    a, b = net.activation("a\x1b[31m", (1, 4), "FIXED8_4"), net.activation("b", (1, 4), "FIXED8_4")
    total = net.apply("ADD", (a, b), "FIXED8_3", "total")
    wide = net.apply("QUANTIZE", (total,), "FIXED16_9", "wide")
    return net.build((a, b), (total, wide))


def test_run_computes_what_the_reference_engine_computes(kqrun, folder):
    assert kqrun("run", "net.kq", "images.bin", "--output", "y.bin") == (0, "", "")
    images = np.fromfile("images.bin", np.uint8).reshape(-1, 16, 16, 3)
    expected = Interpreter(model_path="net.kq", engine="reference").predict(images, raw=True)
    np.testing.assert_array_equal(np.fromfile("y.bin", np.int8).reshape(5, 10), expected)


@pytest.mark.skipif(os.name != "posix", reason="links, modes and devices are POSIX's")
def test_outputs_that_are_no_files_stay_what_they_are(kqrun, folder):
    assert kqrun("run", "net.kq", "images.bin", "--output", "y.bin") == (0, "", "")
    y = (folder / "y.bin").read_bytes()
    (folder / "plain").touch()
    assert (folder / "y.bin").stat().st_mode == (folder / "plain").stat().st_mode
    (folder / "target").write_text("old")
    (folder / "target").chmod(0o600)
    (folder / "link").symlink_to("target")
    (folder / "dangling").symlink_to("new")
    (folder / "null").symlink_to("/dev/null")
    for name in ("link", "dangling", "null", "x" * 255):
        assert kqrun("run", "net.kq", "images.bin", "--output", name) == (0, "", "")
    assert (folder / "link").is_symlink()
    assert stat.S_IMODE((folder / "target").stat().st_mode) == 0o600
    assert (folder / "target").read_bytes() == (folder / "new").read_bytes() == (folder / ("x" * 255)).read_bytes() == y
    assert (folder / "null").is_symlink()
    assert [path.name for path in folder.glob(".kqrun*")] == []


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_one_line(kqrun, folder):
    expected = (1, "", "kqrun: /dev/full: No space left on device\n")
    assert kqrun("run", "net.kq", "images.bin", "--output", "/dev/full") == expected


def test_run_with_several_inputs_and_outputs(kqrun, folder):
    assert kqrun("run", "two.kq", "a.bin", "b.bin", "-o", "total.bin", "--output=wide.bin", "--isa", "portable") == (0, "", "")
    arrays = [np.fromfile(f"{name}.bin", np.int8).reshape(3, 4) for name in ("a", "b")]
    total, wide = Interpreter(model_path="two.kq", engine="reference").predict(arrays, raw=True)
    np.testing.assert_array_equal(np.fromfile("total.bin", np.int8).reshape(3, 4), total)
    np.testing.assert_array_equal(np.fromfile("wide.bin", np.int16).reshape(3, 4), wide)


def test_threads_change_nothing(kqrun, folder):
    for threads in ("1", "3"):
        assert kqrun("run", "net.kq", "images.bin", "--output", f"{threads}.bin", "--num_threads", threads) == (0, "", "")
    assert (folder / "1.bin").read_bytes() == (folder / "3.bin").read_bytes() != b""
    assert kqrun("bench", "net.kq", "--runs", "1", "--num_threads=3")[0] == 0


def test_info(kqrun, folder):
    status, text, _ = kqrun("info", "net.kq")
    model = file_format.load("net.kq")
    assert status == 0
    assert f"arena   {model.arena_bytes} bytes" in text
    assert "input   image, UFIXED8_0 1x16x16x3, 768 bytes" in text
    assert "output  affine/output, FIXED8_4 1x10, 10 bytes" in text
    rows = [line.split() for line in text.splitlines() if line.split()[0].isdigit()]
    assert [row[1] for row in rows] == [str(operator.kind) for operator in model.operators]
    assert [row[4] for row in rows] == [model.output(operator).name for operator in model.operators]
    assert text.splitlines()[-1].split() == ["total", str(sum(int(row[2]) for row in rows))]


def test_info_calls_inputs_and_outputs_as_users_do(kqrun, folder):
    file_format.dump(SAMPLES["named"](), "named.kq")
    status, text, _ = kqrun("info", "named.kq")
    assert status == 0
    assert "input   links, FIXED8_4 1x4" in text
    assert "input   rechts, FIXED8_5 1x4" in text
    assert re.search(r"output  gr.*e, FIXED16_8 1x4", text)
    assert "output  sum, FIXED8_3 1x4" in text


def test_names_can_not_talk_to_the_terminal(kqrun, folder):
    status, text, _ = kqrun("info", "two.kq")
    assert status == 0
    assert "a\\x1b[31m" in text
    assert "\x1b" not in text


def test_verify(kqrun, folder):
    assert kqrun("verify", "net.kq", "two.kq") == (0, "net.kq: ok\ntwo.kq: ok\n", "")
    status, text, errors = kqrun("verify", "damaged.kq", "net.kq")
    assert (status, text) == (1, "net.kq: ok\n")
    assert errors.startswith("kqrun: damaged.kq: ")


def test_bench_names_every_operator(kqrun, folder):
    status, text, _ = kqrun("bench", "net.kq", "--runs", "3")
    model = file_format.load("net.kq")
    assert status == 0
    assert "median of 3 runs" in text
    rows = [line.split() for line in text.splitlines() if line.split()[0].isdigit()]
    assert [row[-1] for row in rows] == [model.output(operator).name for operator in model.operators]


def test_selftest(kqrun, folder):
    status, text, errors = kqrun("selftest", "tested.kq")
    assert (status, errors) == (0, "")
    assert "is right" in text
    status, _, errors = kqrun("selftest", "net.kq")
    assert status == 1
    assert "no test vector" in errors


@pytest.mark.parametrize("name", SAMPLES)
def test_selftest_of_every_kind_of_operator(kqrun, folder, name):
    model = SAMPLES[name]()
    file_format.dump(with_selftest(model, random_example(model)), "sample.kq")
    status, text, errors = kqrun("selftest", "sample.kq")
    assert (status, errors) == (0, "")
    assert "is right" in text


def test_selftest_names_the_first_operator_that_differs(kqrun, folder):
    model = file_format.load("tested.kq")
    content = (folder / "tested.kq").read_bytes()
    checksum = model.test.checksums[7].to_bytes(4, "little")
    assert content.count(checksum) == 1
    (folder / "wrong.kq").write_bytes(content.replace(checksum, b"\x01\x02\x03\x04"))
    status, text, errors = kqrun("selftest", "wrong.kq")
    assert (status, text) == (1, "")
    assert f"operator 7, {model.operators[7].kind} by kq_" in errors
    assert f"computes tensor {model.operators[7].outputs[0]} wrong" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "missing.kq"), "missing.kq: No such file"),
        (("info", "images.bin"), "images.bin: "),
        (("run", "net.kq", "missing.bin", "-o", "y"), "missing.bin: No such file"),
        (("run", "net.kq", "a.bin", "-o", "y"), "a.bin: 12 bytes: input 0 takes 768"),
        (("run", "net.kq", "empty.bin", "-o", "y"), "empty.bin: 0 bytes"),
        (("run", "net.kq", "a.bin", "b.bin", "-o", "y"), "1 inputs and 1 outputs; given were 2 and 1 files"),
        (("run", "two.kq", "a.bin", "one.bin", "-o", "y", "-o", "z"), "one.bin: 1 examples, but the first input has 3"),
        (("run", "net.kq", "images.bin", "-o", "missing/y"), "missing/y: No such file"),
        (("info", "net.kq", "--isa", "vax"), "no kernels 'vax' for this processor in this build; it has portable"),
    ],
)
def test_failures_are_one_line(kqrun, folder, arguments, message):
    np.zeros(0, np.uint8).tofile("empty.bin")
    np.zeros(4, np.int8).tofile("one.bin")
    before = sorted(folder.iterdir())
    status, text, errors = kqrun(*arguments)
    assert (status, text) == (1, "")
    assert errors.startswith("kqrun: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("explain", "net.kq"),
        ("info",),
        ("info", "net.kq", "two.kq"),
        ("info", "net.kq", "--wrong"),
        ("info", "net.kq", "--output", "y"),
        ("info", "net.kq", "--isa"),
        ("info", "net.kq", "--runs", "3"),
        ("bench", "net.kq", "--runs", "none"),
        ("run", "net.kq", "images.bin"),
        ("run", "net.kq", "images.bin", "-o", "y.bin", "--num_threads", "0"),
        ("info", "net.kq", "--num_threads", "2"),
    ],
)
def test_wrong_usage(kqrun, folder, arguments):
    status, text, errors = kqrun(*arguments)
    assert (status, text) == (2, "")
    assert "usage: kqrun" in errors


def test_kernels_by_environment(kqrun, folder):
    assert "kernels portable" in kqrun("info", "net.kq", env={"KERASQ_ISA": "portable"})[1]
    assert kqrun("info", "net.kq", env={"KERASQ_ISA": "vax"})[0] == 1


def test_version(kqrun):
    status, text, errors = kqrun("--version")
    assert (status, errors) == (0, "")
    assert re.fullmatch(r"kqrun, for \.kq files up to version \d+\n", text)


def test_help(kqrun):
    status, text, errors = kqrun("--help")
    assert (status, errors) == (0, "")
    assert "selftest" in text


def test_memory_is_limited(kqrun, folder):
    net = NetworkBuilder()
    x = net.activation("x", (1, 1), "FIXED8_4")
    model = net.build((x,), (net.apply("QUANTIZE", (x,), "FIXED8_3", "y"),))
    file_format.dump(dataclasses.replace(model, arena_bytes=2**31 - 1), "large.kq")
    (folder / "one.bin").write_bytes(b"\1")
    for command in (("bench", "large.kq"), ("run", "large.kq", "one.bin", "-o", "y.bin")):
        status, _, message = kqrun(*command)
        assert status == 1
        assert re.fullmatch(
            r"kqrun: large\.kq: the network takes 214748\d{4} bytes of memory, more than --max_bytes=1073741824 .*\n", message
        )
    assert not (folder / "y.bin").exists()
    assert kqrun("run", "large.kq", "one.bin", "-o", "y.bin", "--max_bytes", "3000000000") == (0, "", "")
    status, _, message = kqrun("verify", "net.kq", "--max_bytes=1000")
    assert status == 1
    assert "--max_bytes=1000" in message
    assert kqrun("verify", "net.kq", "--max_bytes=none")[0] == 2
