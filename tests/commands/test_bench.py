"""kerasq-bench: what is measured, of which engines and operators; how times become figures. No test asserts a time."""

from __future__ import annotations

import json
import statistics
import sys
import types

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq import ops
from kerasq.commands import bench_report, timing
from kerasq.commands.bench import main, random_inputs
from kerasq.format.model import ABSENT
from kerasq.runtime import library
from networks import NetworkBuilder, random_resnet23

needs_native = pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")


def two_inputs() -> file_format.Model:
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 4), "FIXED8_4"), net.activation("b\n", (1, 4), "FLOAT32")
    kernel = net.constant("kernel", np.ones((4, 4), np.int8), "FIXED8_7")
    total = net.apply("ADD", (net.apply("DENSE", (a, kernel, ABSENT, ABSENT), "FIXED8_3", "scores"), b), "FLOAT32", "total")
    return net.build((a, b), (total,))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two models, as the current one."""
    monkeypatch.chdir(tmp_path)
    file_format.dump(random_resnet23("SIGN", maps=8, size=8), "net.kq")
    file_format.dump(two_inputs(), "two.kq")
    return tmp_path


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    monkeypatch.setattr(timing, "_SAMPLE_SECONDS", 1e-6)
    monkeypatch.setattr(kerasq.commands.bench, "_BATCH_SECONDS", 1e-6)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves; `clock.now` is its time."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.fixture
def litert(monkeypatch):
    """A stand-in for LiteRT: a network of one int8 input; what it was given is in `litert.given`."""
    stand_in = types.SimpleNamespace(given=[], runs=0, inputs=[("x", (1, 8, 8, 3), np.int8, (1.0, -128))])

    class Interpreter:
        def __init__(self, model_content, num_threads):
            if model_content != b"TFL3":
                raise ValueError("Model provided has model identifier\n'    ', should be 'TFL3'")
            assert num_threads == 1

        def allocate_tensors(self):
            pass

        def get_input_details(self):
            keys = ("name", "shape", "dtype", "quantization")
            entries = [(name, np.array(shape), dtype, scale) for name, shape, dtype, scale in stand_in.inputs]
            return [{**dict(zip(keys, entry, strict=True)), "index": index} for index, entry in enumerate(entries)]

        def set_tensor(self, index, values):
            stand_in.given.append(values)

        def invoke(self):
            stand_in.runs += 1

    module = types.ModuleType("ai_edge_litert.interpreter")
    module.Interpreter = Interpreter
    monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    return stand_in


def run(*arguments: str) -> int:
    return main(["kerasq-bench", *arguments, "--runs=1", "--num_threads=2"])


def facts(capsys, *arguments: str) -> dict:
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@needs_native
@pytest.mark.parametrize("name", ["net.kq", "two.kq"])
def test_every_engine_every_tier_every_number_of_threads(folder, capsys, name):
    found = facts(capsys, name)
    configurations = [(entry["engine"], entry["isa"], entry["threads"]) for entry in found["engines"]]
    tiers = [("reference", None), *(("native", tier) for tier in kerasq.runtime.tiers())]
    assert configurations == [(engine, tier, threads) for engine, tier in tiers for threads in (1, 2)]
    for entry in found["engines"]:
        assert entry["examples"] % entry["threads"] == 0
        assert entry["examples_per_second"] > 0
        assert (entry["latency"] is None) == (entry["threads"] > 1)
    assert found["peer"] is None
    assert found["processors"] >= 1


@needs_native
@pytest.mark.parametrize("tier", kerasq.runtime.tiers() if kerasq.runtime.available() else ())
def test_operators(folder, capsys, tier):
    model = file_format.load("net.kq")
    found = facts(capsys, "net.kq", f"--isa={tier}")
    assert found["isa"] == tier
    assert found["inputs"] == {"image": [1, 8, 8, 3]}
    assert [(entry["kind"], entry["output"]) for entry in found["operators"]] == [
        (operator.kind, model.output(operator).name) for operator in model.operators
    ]
    assert [entry["macs"] for entry in found["operators"]] == [
        ops.TABLE[operator.kind].macs(model, operator) for operator in model.operators
    ]
    assert found["macs"] == sum(entry["macs"] for entry in found["operators"])
    assert (found["peak"] is None) == (tier == "portable")
    assert found["peak"] is None or found["peak"] > 0
    kernels = kerasq.runtime.Network(file_format.dumps(model), tier).operators()
    assert [entry["kernel"] for entry in found["operators"]] == [info.kernel for info in kernels]
    assert sum(entry["share"] for entry in found["operators"]) == pytest.approx(1)
    assert all(entry["seconds"] > 0 for entry in found["operators"])


@needs_native
def test_tables(folder, capsys):
    assert run("two.kq") == 0
    captured = capsys.readouterr()
    header, engines, operators = captured.out.split("\n\n")
    assert header.startswith(r"two.kq: a 1x4, b\n 1x4, 16 MACs; ")
    columns = ["engine", "kernels", "threads", "latency ms", "quartiles", "examples/s", "its quartiles", "GMAC/s"]
    assert engines.splitlines()[0].split() == " ".join(columns).split()
    assert len(engines.splitlines()) == 1 + 2 * (1 + len(kerasq.runtime.tiers()))
    assert [line.split()[:3] for line in operators.splitlines()[1:3]] == [["0", "DENSE", "scores"], ["1", "ADD", "total"]]
    last = [line.split()[0] for line in operators.splitlines()[-2:]]
    assert last == (["1", "all"] if kerasq.runtime.tiers() == ("portable",) else ["all", "peak,"])
    assert captured.err == ""


def test_a_library_that_is_named_must_be_one(folder, capsys, monkeypatch):
    (folder / "text.so").write_text("text")
    monkeypatch.setenv("KERASQ_LIBRARY", str(folder / "text.so"))
    library.load.cache_clear()
    try:
        assert run("net.kq") == 1
        assert "text.so is not the native library" in capsys.readouterr().err
    finally:
        library.load.cache_clear()


def test_without_library(folder, capsys, monkeypatch):
    monkeypatch.setattr(library, "candidates", lambda: [library.Path("nowhere")])
    monkeypatch.delenv("KERASQ_LIBRARY", raising=False)
    library.load.cache_clear()
    try:
        found = facts(capsys, "net.kq")
        assert {entry["engine"] for entry in found["engines"]} == {"reference"}
        assert (found["operators"], found["macs"], found["isa"]) == ([], None, None)
        assert run("net.kq") == 0
        assert "the native engine is not installed" in capsys.readouterr().out
        for arguments in (("--isa=portable",), ("--peer=x.tflite",)):
            assert run("net.kq", *arguments) == 1
            assert capsys.readouterr().err.startswith("kerasq-bench: The native library is not installed")
    finally:
        library.load.cache_clear()


@needs_native
def test_the_peer_gets_the_same_values(folder, capsys, litert):
    (folder / "net.tflite").write_bytes(b"TFL3")
    found = facts(capsys, "net.kq", "--peer=net.tflite")["peer"]
    (given,) = litert.given
    (pixels,) = random_inputs(file_format.load("net.kq"), 1)
    np.testing.assert_array_equal(given, pixels.astype(np.int16) - 128)
    assert given.dtype == np.int8
    assert litert.runs >= found["pairs"] == 5
    low, high = found["ratio_quartiles"]
    assert low <= high
    assert found["ratio"] == pytest.approx(found["latency"] / found["peer_latency"])
    assert run("net.kq", "--peer", "net.tflite") == 0
    assert "net.tflite in LiteRT, 1 thread: " in capsys.readouterr().out


@needs_native
@pytest.mark.parametrize(
    ("content", "inputs", "message"),
    [
        (b"junk", [], "peer.tflite is not a network that LiteRT runs: Model provided has model identifier ' ', should be 'TFL3'"),
        (b"TFL3", [], "peer.tflite has 0 inputs, the .kq file has 1: compare the same network"),
        (b"TFL3", [("x", (1, 4), np.int8, (1.0, 0))], "input 'x' has shape (1, 4), that of the .kq file (1, 8, 8, 3): compare"),
        (None, [], "peer.tflite: No such file"),
    ],
)
def test_peers_that_are_none(folder, capsys, litert, content, inputs, message):
    litert.inputs = inputs
    if content is not None:
        (folder / "peer.tflite").write_bytes(content)
    assert run("net.kq", "--peer=peer.tflite") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kerasq-bench: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


@needs_native
def test_the_peer_needs_litert(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert run("net.kq", "--peer=net.tflite") == 1
    assert capsys.readouterr().err == "kerasq-bench: --peer needs LiteRT: pip install 'kerasq[bench]'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.kq",), "missing.kq: No such file"),
        (("text.kq",), "text.kq is not a usable kerasq model"),
    ],
)
def test_failures_are_one_line(folder, capsys, arguments, message):
    (folder / "text.kq").write_text("text")
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kerasq-bench: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("net.kq", "two.kq", "--peer=x.kq"),
        ("--peer=x.kq",),
        ("net.kq", "--wrong"),
        pytest.param(("net.kq", "--isa=mmx"), marks=needs_native),
    ],
)
def test_wrong_usage(folder, capsys, arguments):
    assert run(*arguments) == 2
    assert "usage: kerasq-bench" in capsys.readouterr().err


def test_help(capsys):
    assert run("--help") == 0
    assert "--peer" in capsys.readouterr().out


def test_random_inputs_are_the_same_every_time_and_all_over_the_range():
    model = two_inputs()
    a, b = random_inputs(model, 1000)
    assert (a.shape, a.dtype, b.shape, b.dtype) == ((1000, 4), np.int8, (1000, 4), np.float32)
    assert (a.min(), a.max()) == (-128, 127)
    for same, array in zip(random_inputs(model, 1000), (a, b), strict=True):
        np.testing.assert_array_equal(same, array)


def test_a_sample_has_calls_enough_for_the_clock(clock, monkeypatch):
    monkeypatch.setattr(timing, "_SAMPLE_SECONDS", 1.0)
    calls = []

    def call():
        calls.append(clock.now)
        clock.now += 0.003

    count = timing.calls_per_sample(call)
    assert 1.0 <= 0.003 * count < 2.0
    assert timing.sample(call, count) == pytest.approx(0.003)
    assert statistics.median(timing.samples_of(call, 3)) == pytest.approx(0.003)


def test_two_programs_in_turn_suffer_alike(clock, monkeypatch):
    """The machine slows down twentyfold on the way; the ratios of the pairs stay what they are."""
    monkeypatch.setattr(timing, "_SAMPLE_SECONDS", 0.0)
    slow, order = 1.0, []

    def program(name, seconds):
        def call():
            nonlocal slow
            order.append(name)
            clock.now += slow * seconds
            slow += name == "second"

        return call

    found = timing.in_turn(program("first", 1.0), program("second", 2.0), 9)
    assert order[-18:] == ["first", "second"] * 9
    assert (found.low, found.high, found.pairs) == (0.5, 0.5, 9)
    assert found.ratio == found.first / found.second == 0.5


@needs_native
def test_the_peer_may_be_another_kq_file(folder, capsys):
    file_format.dump(random_resnet23("FIXED8", "FIXED16", maps=8, size=8), "wide.kq")
    found = facts(capsys, "wide.kq", "--peer=net.kq")["peer"]
    assert found["peer_engine"] == "kerasq"
    assert found["ratio"] == pytest.approx(found["latency"] / found["peer_latency"])
    assert run("wide.kq", "--peer=net.kq") == 0
    assert "wide.kq / net.kq: " in capsys.readouterr().out
    file_format.dump(random_resnet23("FIXED8", maps=8, size=16), "other.kq")
    assert run("net.kq", "--peer=other.kq") == 1
    assert "compare the same network" in capsys.readouterr().err


@pytest.mark.skipif(not kerasq.runtime.available() or len(kerasq.runtime.tiers()) == 1, reason="no kernel is divided here")
def test_one_example_in_several_threads_where_the_network_is_large_enough(folder, capsys):
    assert facts(capsys, "net.kq")["divided"] is None
    file_format.dump(random_resnet23("FIXED8", maps=64, size=64), "large.kq")
    found = facts(capsys, "large.kq")["divided"]
    assert found["threads"] == 2
    assert found["ratio"] == pytest.approx(found["latency"] / found["one_thread_latency"])
    assert len(found["samples"]) == len(found["one_thread_samples"]) == 1
    assert run("large.kq") == 0
    assert "one example in 2 threads: " in capsys.readouterr().out


@needs_native
@pytest.mark.parametrize("order", [("net.kq", "wide.kq", "--peer", "wide.kq", "net.kq"), None])
def test_several_networks_each_beside_its_peer(folder, capsys, order):
    file_format.dump(random_resnet23("FIXED8", "FIXED16", maps=8, size=8), "wide.kq")
    files = order or ("net.kq", "--peer=wide.kq", "--peer=net.kq", "wide.kq")
    assert run(*files, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(entry["model"], entry["peer"]["peer"]) for entry in found] == [("net.kq", "wide.kq"), ("wide.kq", "net.kq")]
    assert run(*files) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["network", "MACs", "kernels", "kerasq"]
    assert [line.split()[0] for line in lines[1:3]] == ["net.kq", "wide.kq"]


@needs_native
def test_several_networks_alone(folder, capsys):
    assert run("net.kq", "two.kq", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    best = kerasq.runtime.tiers()[-1]
    assert [[(entry["isa"], entry["threads"]) for entry in facts["engines"]] for facts in found] == [[(best, 1)]] * 2
    assert run("net.kq", "two.kq") == 0
    assert "ratio" not in capsys.readouterr().out


@needs_native
def test_samples_and_quartiles_of_every_figure(folder, capsys):
    file_format.dump(file_format.load("net.kq"), "other.kq")
    assert main(["kerasq-bench", "net.kq", "--peer=other.kq", "--runs=3", "--num_threads=1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    def consistent(median, quartiles, samples):
        assert min(samples) <= quartiles[0] <= median <= quartiles[1] <= max(samples)
        assert len(samples) > 1

    for entry in found["engines"]:
        if entry["engine"] == "native":
            consistent(entry["latency"], entry["latency_quartiles"], entry["latency_samples"])
            keys = [f"examples_per_second{end}" for end in ("", "_quartiles", "_samples")]
            consistent(*(entry[key] for key in keys))
    for entry in found["operators"]:
        consistent(entry["seconds"], entry["quartiles"], entry["samples"])
    peer = found["peer"]
    ratios = [first / second for first, second in zip(peer["samples"], peer["peer_samples"], strict=True)]
    consistent(np.median(ratios), peer["ratio_quartiles"], ratios)
    assert peer["pairs"] == len(ratios)
    assert len(found["peak_samples"] or [0, 0, 0]) == 3


def doubtful(latencies, operators, runs=10, peer=None):
    engine = {"isa": "avx2", "latency": float(np.median(latencies)), "latency_samples": latencies}
    facts = {"isa": "avx2", "engines": [engine], "operators": [{"seconds": seconds} for seconds in operators], "peer": peer}
    return bench_report.doubts(facts, runs)


def test_a_machine_that_is_too_busy_to_tell():
    steady, busy = [1.0, 1.01, 0.99, 1.02, 1.0], [1.0, 2.0, 3.0, 1.1, 5.0]
    assert doubtful(steady, [0.5, 0.45]) == []
    assert ["latency" in doubt for doubt in doubtful(busy, [1.0, 1.0])] == [True]
    assert ["3.33 times the sum" in doubt for doubt in doubtful(steady, [0.2, 0.1])] == [True]
    assert doubtful([1e-6] * 5, [1e-7]) == []  # the call, not the machine
    ratios = doubtful(steady, [1.0], peer={"samples": busy, "peer_samples": steady})
    assert ["the ratio" in doubt for doubt in ratios] == [True]
    assert doubtful(busy, [1.0], runs=4) == []  # too few samples to have quartiles


def test_a_sample_is_not_what_other_programs_make_of_it(clock):
    """For a moment, one of many calls takes a thousand times as long."""
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        clock.now += 1.0 if calls == 57 else 0.001

    assert timing.sample(call, 400) == pytest.approx(0.001)
