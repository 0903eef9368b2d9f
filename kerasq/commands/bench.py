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
    and the quartiles of the ratios of the pairs;

    for a network large enough for it, the latency of one example in all threads
    beside that in one, measured in turn.

Several networks at once, kerasq-bench a.kq b.kq --peer a.tflite b.tflite, make a
table with a row for each: latency in one thread, that of its peer, and the ratio.

Inputs are random. Every time is a median over --runs samples of at least 10 ms,
those of the operators over as many runs of the network between them, with its
quartiles beside it; where these say that the machine is too busy to tell, the
last lines do, too. --json prints an object, for several networks a list of them,
with the keys model, inputs, macs, processors, isa, peak, engines, operators, peer
and divided (one example in several threads), all samples and doubts; times are in
seconds, peak in MACs per second, and what was not measured is null.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from kerasq import runtime
from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.bench_report import comparison, doubts, report
from kerasq.commands.peer import open_kq, open_peer
from kerasq.commands.timing import in_turn, quartiles, samples_of
from kerasq.format import load
from kerasq.format.model import Model
from kerasq.format.reader import read_bytes
from kerasq.interpreter import Interpreter
from kerasq.interpreter.batches import processors
from kerasq.interpreter.profile import described
from kerasq.progress import Progress

_BATCH_SECONDS = 0.05  # about what a batch takes whose examples are counted per second
_MAX_EXAMPLES = 4096
_PEAK_ROUNDS = 1 << 16  # fractions of a millisecond
_RUNS_BETWEEN = 6  # runs of which operators are timed between two samples of the latency; the first is not counted


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


def measure_engine(
    content: bytes, engine: str, tier: str | None, threads: int, runs: int, between: Callable[[], object] | None = None
) -> dict[str, Any]:
    """Latency (in one thread; `measure_divided` has that in several) and throughput of an engine.

    Args:
        content: Bytes of a .kq file.
        engine, tier, threads: What runs it.
        runs: Samples of each time.
        between: Called before each sample of the latency.
    """
    interpreter = Interpreter(model_content=content, engine=engine, isa=tier, num_threads=threads)
    alone = samples_of(_invoke(interpreter), runs, between)
    examples = int(np.clip(round(_BATCH_SECONDS / statistics.median(alone)), 1, _MAX_EXAMPLES // threads)) * threads
    inputs = random_inputs(interpreter.model, examples)
    x = inputs if len(inputs) > 1 else inputs[0]
    rates = [examples / seconds for seconds in samples_of(lambda: interpreter.predict(x, raw=True), runs)]
    single = threads == 1
    return {
        "engine": engine,
        "isa": tier,
        "threads": threads,
        "latency": statistics.median(alone) if single else None,
        "latency_quartiles": list(quartiles(alone)) if single else None,
        "latency_samples": alone if single else None,
        "examples": examples,
        "examples_per_second": statistics.median(rates),
        "examples_per_second_quartiles": list(quartiles(rates)),
        "examples_per_second_samples": rates,
    }


def _invoke(interpreter: Interpreter) -> Callable[[], None]:
    interpreter.allocate_tensors()
    for index, stored in zip(interpreter.model.inputs, random_inputs(interpreter.model, 1), strict=True):
        interpreter.set_tensor(index, stored)
    return interpreter.invoke


class Operators:
    """Times of a network's operators, taken a few runs at a time: between the samples of the latency that they are beside.

    Args:
        model: The network.
        network: The same in the runtime.
    """

    def __init__(self, model: Model, network: runtime.Network) -> None:
        self._model, self._network = model, network
        self._inputs, self._arena = random_inputs(model, 1), network.arena()
        self._seconds: list[np.ndarray] = []
        network.operator_times(self._arena, self._inputs, 1)

    def measure(self) -> None:
        """Some more runs."""
        self._seconds.append(self._network.operator_times(self._arena, self._inputs, _RUNS_BETWEEN)[1:])

    def described(self) -> list[dict[str, Any]]:
        """Kernel, MACs and times of each operator."""
        return described(self._model, self._network, np.concatenate(self._seconds))


def measure_peak(tier: str, runs: int) -> list[float] | None:
    """Samples of the MACs per second of nothing but the multiply instruction of a tier; `None` for a tier without one."""
    done = runtime.multiply(tier, _PEAK_ROUNDS)
    if not done:
        return None
    return [done / seconds for seconds in samples_of(lambda: runtime.multiply(tier, _PEAK_ROUNDS), runs)]


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
        "samples": [first for first, _ in latencies.samples],
        "peer_samples": [second for _, second in latencies.samples],
    }


def measure_divided(content: bytes, network: runtime.Network, threads: int, runs: int) -> dict[str, Any] | None:
    """Latency of one example in several threads beside one; `None` where the network is too small to gain by them."""
    if threads == 1 or network.threads(threads) == 1:
        return None
    together, alone = (
        _invoke(Interpreter(model_content=content, engine="native", isa=network.isa, num_threads=count)) for count in (threads, 1)
    )
    latencies = in_turn(together, alone, runs)
    return {
        "threads": threads,
        "latency": latencies.first,
        "one_thread_latency": latencies.second,
        "ratio": latencies.ratio,
        "ratio_quartiles": [latencies.low, latencies.high],
        "samples": [first for first, _ in latencies.samples],
        "one_thread_samples": [second for _, second in latencies.samples],
    }


def _configurations(threads: int) -> Iterator[tuple[str, str | None, int]]:
    """Engine, tier and number of threads: 1, 2, 4, ... and all."""
    counts = [count for count in (1 << power for power in range(threads.bit_length())) if count < threads] + [threads]
    tiers = runtime.tiers() if runtime.available() else ()
    for engine, tier in (("reference", None), *(("native", tier) for tier in tiers)):
        yield from ((engine, tier, count) for count in counts)


def measure(path: Path, peer: Path | None, tier: str | None, threads: int, runs: int, *, brief: bool = False) -> dict[str, Any]:
    """All that the command shows, as plain values for JSON; `brief`: of the fastest engine in one thread alone.

    Raises:
        CommandError: The model, the peer or the kernels can't be had.
    """
    with naming(path):
        model, content = load(path), read_bytes(path)
    network = _network(content, tier, needed=bool(tier or peer))
    beside = None if peer is None else measure_peer(content, peer, tier, 5 * runs)
    operators = None if network is None else Operators(model, network)
    peaks = measure_peak(network.isa, runs) if network else None
    configurations = [("native", network.isa, 1)] if brief and network else list(_configurations(1 if brief else threads))
    engines = []
    with Progress("measuring", len(configurations), "measurements") as progress:
        for configuration in configurations:
            # The reference is there to be right: fewer runs tell its time well enough.
            few = max(runs // 5, 1) if configuration[0] == "reference" else runs
            is_theirs = network and configuration == ("native", network.isa, 1)
            between = operators.measure if operators and is_theirs else None
            engines.append(measure_engine(content, *configuration, few, between))
            progress.advance()
    table = [] if operators is None else operators.described()
    facts = {
        "model": str(path),
        "inputs": {model.tensors[index].name: list(model.tensors[index].shape) for index in model.inputs},
        "macs": sum(operator["macs"] for operator in table) if network else None,
        "processors": processors(),
        "isa": network.isa if network else None,
        "peak": statistics.median(peaks) if peaks else None,
        "peak_samples": peaks,
        "engines": engines,
        "operators": table,
        "peer": beside,
        "divided": None if network is None or brief else measure_divided(content, network, threads, runs),
    }
    return facts | {"doubts": doubts(facts, runs)}


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


def _define(options: flags.FlagValues) -> None:
    def define(kind: Any, name: str, default: Any, meaning: str, **limits: int) -> None:
        kind(name, default, meaning, flag_values=options, **limits)

    define(
        flags.DEFINE_multi_string, "peer", None, "A .tflite or .kq `FILE` of the same network to compare with, for each model."
    )
    tiers = "portable, avx2, avx512vnni, neon or dotprod"
    kernels = f"`KERNELS` of the operators' table and of --peer: {tiers}; the fastest unless given."
    define(flags.DEFINE_string, "isa", None, kernels)
    define(flags.DEFINE_integer, "num_threads", None, "Up to `N` threads, not one for each processor.", lower_bound=1)
    define(flags.DEFINE_integer, "runs", 20, "Samples of each time: `N`.", lower_bound=1)
    define(flags.DEFINE_bool, "json", False, "Print a JSON object.")


def _bench(options: flags.FlagValues, names: list[str]) -> None:
    models, peers = _pairs(names, options.peer or [])
    threads = options.num_threads or processors()
    several = len(models) > 1
    found = [
        measure(model, peer, options.isa, threads, options.runs, brief=several) for model, peer in zip(models, peers, strict=True)
    ]
    if options.json:
        print(json.dumps(found if several else found[0], indent=2))
    else:
        print(comparison(found) if several else report(found[0]))


def _pairs(names: list[str], peers: list[str]) -> tuple[list[Path], list[Path | None]]:
    """The models, and the peer of each. What follows `--peer FILE` without a flag comes as names behind those of the models."""
    if not peers:
        if not names:
            raise UsageError("at least one model is expected")
        return [Path(name) for name in names], [None] * len(names)
    models = (len(names) + len(peers)) // 2
    others = [*peers, *names[models:]]
    if not names or len(others) != models:
        expected = "as many peers as models are expected: kerasq-bench a.kq b.kq --peer a.tflite b.tflite"
        raise UsageError(f"{expected}. Received: {len(names) + len(peers)} files")
    return [Path(name) for name in names[:models]], [Path(name) for name in others]


COMMAND = Command("kerasq-bench", "model.kq [...] [--peer FILE [...]] [--json] ...", __doc__, _define, _bench, tensorflow=True)
main, run = COMMAND.main, COMMAND.run
