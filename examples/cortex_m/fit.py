"""Fits the tables that kerasq-inspect --target estimates by: kerasq/footprint/tables/*.json.

    python examples/cortex_m/fit.py                # all processors, some minutes
    python examples/cortex_m/fit.py --cpu m4
    python examples/cortex_m/fit.py --family FIXED2    # new kernels of these weights; costs of all others stay as they are
    python examples/cortex_m/fit.py --kind ARGMAX      # kernels of a new kind of operator; the same

Random networks of one operator each run on the simulated processor, where every instruction is counted. For each kernel,
instructions and, where there is a model of them, cycles become a sum of counts (kerasq.footprint.features) with weights that are
not negative, the relative error the least.
Code and constants are what the linker keeps of the runtime for each kernel; stack is the most that any of the networks took. The
compiler's -O2 is used throughout.
"""

import json
import pathlib
import tempfile
from collections import defaultdict
from typing import Any

import numpy as np
from absl import app, flags
from batches import Program, batches, packed
from code_sizes import code_sizes, state_sizes
from counting import Counter
from cycles import MANUALS, Cycles
from firmware import BuildError
from nonnegative import fitted
from processors import PROCESSORS
from simulator import simulate
from single_operators import single_operators

from kerasq.files import write_whole
from kerasq.footprint import costs
from kerasq.footprint.features import features, fitted_name
from kerasq.format import Model, OperatorKind, dumps
from kerasq.ops.families import KERNELS
from kerasq.runtime import DSP, Network
from kerasq.text import table
from kerasq_convert.memory.target import planned_for

FLAGS = flags.FLAGS
flags.DEFINE_multi_enum("cpu", ["m4", "m3", "m0", "rv32"], list(PROCESSORS), "Processors to fit tables for.")
flags.DEFINE_multi_enum(
    "family", [], KERNELS, "Formats of weights whose kernels are fitted. Default: all, and all other kernels."
)
flags.DEFINE_multi_enum(
    "kind", [], [str(kind) for kind in OperatorKind], "Kinds of operators whose kernels are fitted. Default: all of them."
)
flags.DEFINE_integer("samples", 60, "Networks for each kernel.", lower_bound=20)
flags.DEFINE_integer("drawn", 6000, "Networks to draw at most: rare kernels get fewer.", lower_bound=100)
MAIN = pathlib.Path(__file__).parent / "measuring" / "main.c"
TABLES = pathlib.Path(costs.__file__).parent / "tables"
FEWEST = 12  # networks that a kernel is fitted with
Sample = tuple[Model, str]


def drawn(isa: str, wanted: int, most: int) -> list[Sample]:
    """Networks with what the costs of each are called, `wanted` of a name."""
    samples: list[Sample] = []
    counts: dict[str, int] = defaultdict(int)
    for _, model in zip(range(most), single_operators(seed=1), strict=False):
        if FLAGS.family and not any(tensor.name == "kernel" and tensor.format.family in FLAGS.family for tensor in model.tensors):
            continue
        if FLAGS.kind and str(model.operators[0].kind) not in FLAGS.kind:
            continue
        planned = planned_for(model, isa)
        (operator,) = Network(dumps(planned), isa).operators()
        name = fitted_name(operator.kernel, model.operators[0])
        counts[name] += 1
        if counts[name] <= wanted:
            samples.append((planned, name))
    return samples


def measured_operators(models: list[Model], cpu: str, folder: pathlib.Path) -> tuple[np.ndarray, dict[str, int]]:
    """Instructions and cycles (zeros, where there is no model of them) of every operator of each network, (operators, 2); and
    the most stack that preparing and invoking them took."""
    program = Program(folder, cpu, MAIN)
    counts: list[tuple[int, int]] = []
    stack = {"prepare": 0, "invoke": 0}
    for batch in batches(packed(dumps(model)) for model in models):
        path = program.linked(batch)
        counter = Counter(path, PROCESSORS[cpu], folder)
        outcome = simulate(path, cpu, counter.arguments)
        if outcome.status:
            raise BuildError(f"the program ended with status {outcome.status}: {outcome.text}")
        for line in outcome.text.splitlines():
            what, _, value = line.partition(" stack ")
            stack[what] = max(stack[what], int(value))
        cycles = Cycles(MANUALS[cpu], counter.instructions()) if cpu in MANUALS else None
        for records in counter.pairs():
            counts.append((int(records["executed"].sum()), sum(cycles.of(records).values()) if cycles else 0))
    return np.array(counts, float), stack


def fit(samples: list[Sample], counts: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    """Weights by kernel, by what is counted, by feature. Prints how far they are from what was measured."""
    kernels: dict[str, dict[str, dict[str, float]]] = {}
    rows = []
    for kernel in sorted({kernel for _, kernel in samples}):
        chosen = [position for position, (_, name) in enumerate(samples) if name == kernel]
        if len(chosen) < FEWEST:
            continue
        work = [features(samples[position][0], samples[position][0].operators[0]) for position in chosen]
        names = list(work[0])
        matrix = np.array([[counts_of[name] for name in names] for counts_of in work], float)
        kernels[kernel] = {}
        for column, what in enumerate(("instructions", "cycles")):
            if not counts[:, column].any():
                continue
            weights, error = fitted(matrix, counts[chosen, column])
            kernels[kernel][what] = {name: round(weight, 4) for name, weight in zip(names, weights, strict=True) if weight > 1e-4}
            if what == "instructions":
                rows.append([kernel, str(len(chosen)), f"{100 * np.median(error):.1f} %", f"{100 * error.max():.1f} %"])
    print(table(("kernel", "networks", "median error", "largest"), rows, right=("networks", "median error", "largest")))
    return kernels


def lines_of(costs: dict[str, Any]) -> str:
    """JSON with a line for each part of the runtime and each kernel, so that a new table shows what has changed."""
    small = ",\n".join(f' "{name}": {json.dumps(costs[name])}' for name in ("stack", "state"))
    code = ",\n".join(f"  {json.dumps(part)}" for part in costs["code"])
    kernels = ",\n".join(f"  {json.dumps(name)}: {json.dumps(weights)}" for name, weights in costs["kernels"].items())
    return f'{{\n{small},\n "code": [\n{code}\n ],\n "kernels": {{\n{kernels}\n }}\n}}\n'


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"processors go with --cpu. Received: {' '.join(argv[1:])}")
    samples: dict[str, list[Sample]] = {}
    for cpu in FLAGS.cpu:
        isa = DSP if PROCESSORS[cpu].dsp else "portable"
        if isa not in samples:
            samples[isa] = drawn(isa, FLAGS.samples, FLAGS.drawn)
        print(f"\n{PROCESSORS[cpu].name}: {len(samples[isa])} networks")
        with tempfile.TemporaryDirectory() as folder:
            counts, stack = measured_operators([model for model, _ in samples[isa]], cpu, pathlib.Path(folder))
            kernels = fit(samples[isa], counts)
            path = TABLES / f"{cpu}.json"
            if FLAGS.family or FLAGS.kind:
                others = json.loads(path.read_text())
                stack = {what: max(size, others["stack"][what]) for what, size in stack.items()}
                kernels = dict(sorted((others["kernels"] | kernels).items()))
            costs_of_cpu = {"stack": stack, "state": state_sizes(cpu), "code": code_sizes(cpu, isa), "kernels": kernels}
        write_whole(path, lines_of(costs_of_cpu).encode())


if __name__ == "__main__":
    app.run(main)
