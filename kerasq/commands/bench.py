"""kerasq-bench: how fast a network runs on this machine.

    kerasq-bench model.kq
    kerasq-bench model.kq --peer model.tflite      (pip install 'kerasq[bench]')

Prints

    for each engine, each set of kernels that this processor has, and 1, 2, 4, ...
    threads up to its processors: the latency of one example and the examples per
    second of a batch;

    for each operator, in one thread: its kernel, its time and share of the whole,
    its multiply-accumulates (MACs), how many of them it does per second, and
    which share that is of the peak: of the rate at which this processor does
    nothing but multiply 8-bit values (vpmaddubsw, vpdpbusd);

    with --peer, the latency beside that of a .tflite file of the same network in
    LiteRT (XNNPACK), or of another .kq file (16 bits beside 8), one thread each,
    measured in turn: the ratio of the medians, below 1 where the first is faster,
    and the quartiles of the ratios of the pairs.

Inputs are random. Every time is a median over --runs samples of at least 10 ms.
--json prints an object with the keys model, inputs, macs, processors, isa, peak,
engines, operators and peer; times are in seconds, peak in MACs per second, and
what was not measured is null.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from kerasq import runtime
from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.peer import open_kq, open_peer
from kerasq.commands.timing import in_turn, median_seconds, sample
from kerasq.format import load
from kerasq.format.model import Model
from kerasq.format.reader import read_bytes
from kerasq.interpreter import Interpreter
from kerasq.interpreter.batches import processors
from kerasq.progress import Progress
from kerasq.text import printable, table

_BATCH_SECONDS = 0.05  # about what a batch takes whose examples are counted per second
_MAX_EXAMPLES = 4096
_PEAK_ROUNDS = 1 << 20
_CLOCK = 1e-8  # seconds: an operator is not faster than the clock can tell


def random_inputs(model: Model, examples: int) -> list[np.ndarray]:
    """Stored values all over the range of each input's format, the same ones every time."""
    rng = np.random.default_rng(0)
    arrays = []
    for index in model.inputs:
        tensor = model.tensors[index]
        shape, form = (examples, *tensor.shape[1:]), tensor.format
        if form.is_float:
            arrays.append(rng.standard_normal(shape, np.float32))
        else:
            arrays.append(rng.integers(form.min_int, form.max_int, shape, form.dtype, endpoint=True))
    return arrays


def measure_engine(content: bytes, engine: str, tier: str | None, threads: int, runs: int) -> dict[str, Any]:
    """Latency (in one thread: one example has work for no more) and throughput of an engine."""
    interpreter = Interpreter(model_content=content, engine=engine, isa=tier, num_threads=threads)
    alone = median_seconds(_invoke(interpreter), runs)
    examples = int(np.clip(round(_BATCH_SECONDS / alone), 1, _MAX_EXAMPLES // threads)) * threads
    inputs = random_inputs(interpreter.model, examples)
    x = inputs if len(inputs) > 1 else inputs[0]
    batch = median_seconds(lambda: interpreter.predict(x, raw=True), runs)
    return {
        "engine": engine,
        "isa": tier,
        "threads": threads,
        "latency": alone if threads == 1 else None,
        "examples": examples,
        "examples_per_second": examples / batch,
    }


def _invoke(interpreter: Interpreter) -> Any:
    interpreter.allocate_tensors()
    for index, stored in zip(interpreter.model.inputs, random_inputs(interpreter.model, 1), strict=True):
        interpreter.set_tensor(index, stored)
    return interpreter.invoke


def measure_operators(model: Model, network: runtime.Network, runs: int) -> list[dict[str, Any]]:
    """Kernel, MACs and median seconds of every operator, each after the one before it as in a real run."""
    arena = network.arena()
    for index, stored in zip(model.inputs, random_inputs(model, 1), strict=True):
        network.tensor(index, arena)[:] = stored.reshape(1, -1).view(np.uint8)
    operators = network.operators()
    calls = [network.empty_call(), *(network.operator_call(position, arena) for position in range(len(operators)))]
    passes = [[sample(call, 1) for call in calls] for _ in range(1 + 5 * runs)]
    overhead, *gross = (statistics.median(column) for column in zip(*passes[1:], strict=True))
    times = [max(seconds - overhead, _CLOCK) for seconds in gross]
    return [
        {
            "kind": str(operator.kind),
            "output": model.output(operator).name,
            "kernel": info.kernel,
            "macs": info.macs,
            "seconds": seconds,
            "share": seconds / sum(times),
        }
        for operator, info, seconds in zip(model.operators, operators, times, strict=True)
    ]


def measure_peak(tier: str, runs: int) -> float | None:
    """MACs per second of nothing but the multiply instruction of a tier; `None` for a tier without one."""
    done = runtime.multiply(tier, _PEAK_ROUNDS)
    return done / median_seconds(lambda: runtime.multiply(tier, _PEAK_ROUNDS), runs) if done else None


def measure_peer(content: bytes, path: Path, tier: str | None, runs: int) -> dict[str, Any]:
    """Latency beside that of LiteRT, or of another .kq file, on the same values."""
    interpreter = Interpreter(model_content=content, engine="native", isa=tier, num_threads=1)
    model = interpreter.model
    tensors = [model.tensors[index] for index in model.inputs]
    values = [tensor.format.dequantize(stored) for tensor, stored in zip(tensors, random_inputs(model, 1), strict=True)]
    ours = path.suffix == ".kq"
    latencies = in_turn(_invoke(interpreter), open_kq(path, values, tier) if ours else open_peer(path, values), runs)
    return {
        "peer": str(path),
        "peer_engine": "kerasq" if ours else "LiteRT",
        "latency": latencies.first,
        "peer_latency": latencies.second,
        "ratio": latencies.ratio,
        "ratio_quartiles": [latencies.low, latencies.high],
        "pairs": latencies.pairs,
    }


def _configurations(threads: int) -> Iterator[tuple[str, str | None, int]]:
    """Engine, tier and number of threads: 1, 2, 4, ... and all."""
    counts = [count for count in (1 << power for power in range(threads.bit_length())) if count < threads] + [threads]
    tiers = runtime.tiers() if runtime.available() else ()
    for engine, tier in (("reference", None), *(("native", tier) for tier in tiers)):
        yield from ((engine, tier, count) for count in counts)


def measure(path: Path, peer: Path | None, tier: str | None, threads: int, runs: int) -> dict[str, Any]:
    """All that the command shows, as plain values for JSON.

    Raises:
        CommandError: The model, the peer or the kernels can't be had.
    """
    with naming(path):
        model, content = load(path), read_bytes(path)
    network = _network(content, tier, needed=bool(tier or peer))
    beside = None if peer is None else measure_peer(content, peer, tier, 5 * runs)
    configurations = list(_configurations(threads))
    engines = []
    with Progress("measuring", len(configurations) + 1, "measurements") as progress:
        operators = measure_operators(model, network, runs) if network else []
        peak = measure_peak(network.isa, runs) if network else None
        progress.advance()
        for configuration in configurations:
            # The reference is there to be right: fewer runs tell its time well enough.
            few = max(runs // 5, 1) if configuration[0] == "reference" else runs
            engines.append(measure_engine(content, *configuration, few))
            progress.advance()
    return {
        "model": str(path),
        "inputs": {model.tensors[index].name: list(model.tensors[index].shape) for index in model.inputs},
        "macs": sum(operator["macs"] for operator in operators) if network else None,
        "processors": processors(),
        "isa": network.isa if network else None,
        "peak": peak,
        "engines": engines,
        "operators": operators,
        "peer": beside,
    }


def _network(content: bytes, tier: str | None, needed: bool) -> runtime.Network | None:
    """The network in the runtime; `None` where there is no library and none is needed, or named."""
    needed = needed or bool(os.environ.get("KERASQ_LIBRARY"))
    if tier and runtime.available() and tier not in runtime.tiers():
        tiers = ", ".join(runtime.tiers())
        raise UsageError(f"--isa: on this processor, with this build, one of {tiers} was expected. Received: {tier}")
    try:
        return runtime.Network(content, tier) if needed or runtime.available() else None
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error


def report(facts: dict[str, Any]) -> str:
    """What `measure` found, as text."""
    inputs = ", ".join(f"{printable(name)} {'x'.join(map(str, shape))}" for name, shape in facts["inputs"].items())
    header = f"{printable(facts['model'])}: {inputs}"
    if facts["macs"] is not None:
        header += f", {facts['macs']:,} MACs"
    sections = [f"{header}; {facts['processors']} processors", _engine_table(facts)]
    sections.append(
        _operator_table(facts)
        if facts["operators"]
        else "the native engine is not installed: install a C compiler and then kerasq again"
    )
    if facts["peer"]:
        peer = facts["peer"]
        low, high = peer["ratio_quartiles"]
        other = peer["peer_engine"]
        names = (Path(facts["model"]).name, Path(peer["peer"]).name) if other == "kerasq" else ("kerasq", other)
        sections.append(
            f"{printable(peer['peer'])} in {other}, 1 thread: {1000 * peer['peer_latency']:.3f} ms; "
            f"kerasq, {facts['isa']}: {1000 * peer['latency']:.3f} ms\n"
            f"{printable(' / '.join(names))}: {peer['ratio']:.3f} "
            f"(quartiles {low:.3f} .. {high:.3f} over {peer['pairs']} pairs)"
        )
    return "\n\n".join(sections)


def _engine_table(facts: dict[str, Any]) -> str:
    rows = [
        [
            entry["engine"],
            entry["isa"] or "",
            str(entry["threads"]),
            "" if entry["latency"] is None else f"{1000 * entry['latency']:.3f}",
            f"{entry['examples_per_second']:,.1f}",
            _giga(facts["macs"] and facts["macs"] * entry["examples_per_second"]),
        ]
        for entry in facts["engines"]
    ]
    header = ("engine", "kernels", "threads", "latency ms", "examples/s", "GMAC/s")
    return table(header, rows, right=header[2:])


def _operator_table(facts: dict[str, Any]) -> str:
    def rate(macs: int, seconds: float) -> list[str]:
        per_second = macs / seconds
        return [_giga(per_second), f"{100 * per_second / facts['peak']:.0f}" if macs and facts["peak"] else ""]

    rows = [
        [
            str(index),
            entry["kind"],
            printable(entry["output"]),
            entry["kernel"],
            f"{1e6 * entry['seconds']:.1f}",
            f"{100 * entry['share']:.1f}",
            f"{entry['macs']:,}" if entry["macs"] else "",
            *rate(entry["macs"], entry["seconds"]),
        ]
        for index, entry in enumerate(facts["operators"])
    ]
    seconds = sum(entry["seconds"] for entry in facts["operators"])
    rows.append(["", "all", "", "", f"{1e6 * seconds:.1f}", "", f"{facts['macs']:,}", *rate(facts["macs"], seconds)])
    header = ("#", "operator", "output", f"kernel ({facts['isa']})", "us", "%", "MACs", "GMAC/s", "% of peak")
    lines = table(header, rows, right=("#", *header[4:]))
    return f"{lines}\npeak, 1 thread: {_giga(facts['peak'])} GMAC/s" if facts["peak"] else lines


def _giga(per_second: float | None) -> str:
    return f"{per_second / 1e9:.2f}" if per_second else ""


def _define(options: flags.FlagValues) -> None:
    def define(kind: Any, name: str, default: Any, meaning: str, **limits: int) -> None:
        kind(name, default, meaning, flag_values=options, **limits)

    define(flags.DEFINE_string, "peer", None, "A .tflite or .kq `FILE` of the same network to compare with.")
    kernels = "`KERNELS` of the operators' table and of --peer: portable, avx2 or avx512vnni; the fastest unless given."
    define(flags.DEFINE_string, "isa", None, kernels)
    define(flags.DEFINE_integer, "num_threads", None, "Up to `N` threads, not one for each processor.", lower_bound=1)
    define(flags.DEFINE_integer, "runs", 20, "Samples of each time: `N`.", lower_bound=1)
    define(flags.DEFINE_bool, "json", False, "Print a JSON object.")


def _bench(options: flags.FlagValues, names: list[str]) -> None:
    if len(names) != 1:
        raise UsageError("one model is expected")
    peer = Path(options.peer) if options.peer else None
    facts = measure(Path(names[0]), peer, options.isa, options.num_threads or processors(), options.runs)
    print(json.dumps(facts, indent=2) if options.json else report(facts))


COMMAND = Command("kerasq-bench", "model.kq [--peer FILE] [--json] ...", __doc__, _define, _bench, tensorflow=True)
main, run = COMMAND.main, COMMAND.run
