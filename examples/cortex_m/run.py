"""Runs networks on a simulated Cortex-M or RISC-V, compares every score with the reference engine's, and measures.

    python examples/cortex_m/run.py                                  # both ResNet23 of examples/cifar10, on a Cortex-M4
    python examples/cortex_m/run.py --cpu m7 --model model.kq --images 1

Needs arm-none-eabi-gcc with newlib, and qemu-system-arm; for --cpu rv32 riscv64-unknown-elf-gcc with picolibc, and
qemu-system-riscv32. For each network it embeds a test vector, writes the C files as
kerasq-convert --emit_c does, compiles them with the runtime and the program in firmware/, and runs that. The exit status is 1 if
a score differs, if the test vector fails, or if the runtime does not keep its promises: at most 16 KB of code (18 KB on RV32),
no variables, no heap, no floating point.

Images are CIFAR-10's from --data_dir or the folder that KERASQ_DATA_DIR names, else those of kerasq.datasets.shapes; a network
that takes something else gets noise.
"""

import os
import pathlib
import sys
import tempfile

import numpy as np
from absl import app, flags
from counting import Counter
from cycles import KINDS, MANUALS, Cycles
from firmware import BuildError, Firmware, build, stored
from processors import PROCESSORS
from simulator import Outcome, simulate

from kerasq.datasets import cifar10, shapes
from kerasq.format import Model, dumps, load, loads
from kerasq.interpreter import Interpreter
from kerasq.runtime import DSP, Network
from kerasq.selftest import random_example, with_selftest
from kerasq.targets import PORTABLE
from kerasq.text import table
from kerasq_convert.c_source import for_target

MODELS = pathlib.Path(__file__).parents[1] / "cifar10" / "models"

FLAGS = flags.FLAGS
flags.DEFINE_enum("cpu", "m4", list(PROCESSORS), "Processor to compile for and to simulate.")
shipped = [str(MODELS / name) for name in ("resnet23.kq", "resnet23_binary.kq")]
flags.DEFINE_multi_string("model", shipped, "A .kq file in fixed point throughout, with one input and one output.")
flags.DEFINE_integer("images", 3, "Images to classify.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")
flags.DEFINE_enum("optimize", "s", ["s", "2", "3"], "The compiler's -O: s for little code, 2 or 3 for speed.")
flags.DEFINE_boolean("portable", False, "The kernels in C99, although the processor has the DSP extension: smaller, and slower.")
flags.DEFINE_boolean("per_operator", False, "Print instructions and cycles of each operator, too.")
flags.DEFINE_boolean("cycles", True, "Model the cycles of a processor whose manual states them (m0, m3, m4; see cycles.py).")
flags.DEFINE_string("build", None, "Folder to keep what is built in. Default: a temporary one.")


def kernels() -> str:
    """Those that the processor has, unless others are asked for."""
    return DSP if PROCESSORS[FLAGS.cpu].dsp and not FLAGS.portable else PORTABLE


def load_images(model: Model, count: int, data_dir: str | None) -> np.ndarray:
    """Examples that the network takes, (count, ...)."""
    shape = model.tensors[model.inputs[0]].shape
    if shape != (1, 32, 32, 3):
        return np.concatenate([random_example(model, seed)[0] for seed in range(count)])
    if data_dir or os.environ.get(cifar10.ENVIRONMENT_VARIABLE):
        return cifar10.load_data(data_dir)[1][0][:count]
    return shapes.load_data(train=0, test=count)[1][0]


def load_network(path: str) -> Model:
    model = load(path)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BuildError(f"{path}: the firmware takes a network with one input and one output")
    if any(tensor.format.is_float for tensor in model.tensors):
        raise BuildError(f"{path}: the firmware takes a network without FLOAT32; convert it with --representative_dataset")
    return loads(for_target(dumps(model), PORTABLE if kernels() == PORTABLE else PROCESSORS[FLAGS.cpu].name.lower()))


def problems(model: Model, images: np.ndarray, firmware: Firmware, outcome: Outcome) -> list[str]:
    """What is wrong, one sentence each."""
    if outcome.status:
        return [f"the firmware ended with status {outcome.status}: {outcome.text}"]
    found = []
    expected = Interpreter(model_content=model, engine="reference").predict(images, raw=True).reshape(len(images), -1)
    if [image.scores for image in outcome.images] != expected.tolist():
        found.append(f"scores differ from the reference engine's: {expected.tolist()}")
    limit = PROCESSORS[FLAGS.cpu].code_limit
    if firmware.code > limit and FLAGS.optimize == "s":
        found.append(f"{firmware.code:,} bytes of code; the limit is {limit:,}")
    if firmware.variables:
        found.append(f"{firmware.variables:,} bytes of variables in the runtime; there should be none")
    if firmware.forbidden:
        found.append(f"floating point or heap is linked: {', '.join(firmware.forbidden)}")
    arena = Network(dumps(model), kernels()).arena_bytes
    if outcome.facts["arena"] != arena:
        found.append(f"an arena of {outcome.facts['arena']:,} bytes; the header says {arena:,}")
    return found


def counter_of(firmware: Firmware, folder: pathlib.Path) -> Counter | None:
    """What counts instructions for a model of cycles; `None`, with a word why, where that can't be had."""
    if not FLAGS.cycles or FLAGS.cpu not in MANUALS:
        return None
    try:
        return Counter(firmware.path, PROCESSORS[FLAGS.cpu], folder)
    except BuildError as error:
        print(f"run.py: no cycles: {error}", file=sys.stderr)
        return None


def modelled(counter: Counter | None) -> list[dict[str, int]]:
    """Cycles by kind of instruction: of preparing the network, of every image, of every operator."""
    if counter is None:
        return []
    model = Cycles(MANUALS[FLAGS.cpu], counter.instructions())
    return [model.of(records) for records in counter.pairs()]


def print_operators(model: Model, outcome: Outcome, cycles: list[dict[str, int]]) -> None:
    """Tables: kernel, multiply-accumulates, instructions and cycles of each operator, and its cycles by kind of instruction."""
    rows, by_kind = [], []
    operators = Network(dumps(model), kernels()).operators()
    for position, (operator, instructions) in enumerate(zip(operators, outcome.operators, strict=True)):
        output = model.output(model.operators[position])
        name = [str(position), operator.kernel, output.name]
        counts = [instructions, *([sum(cycles[position].values())] if cycles else [])]
        numbers = [f"{operator.macs:,}", *(text for count in counts for text in (f"{count:,}", a_mac(count, operator.macs)))]
        rows.append([*name, "x".join(map(str, output.shape[1:])), *numbers])
        by_kind += [[*name, *(f"{cycles[position][kind]:,}" for kind in KINDS)]] if cycles else []
    columns = ("#", "kernel", "output", "shape", "MACs", "instructions", "a MAC", *(("cycles", "per MAC") if cycles else ()))
    print(table(columns, rows, right=("#", *columns[4:])))
    if cycles:
        print("\ncycles by kind of instruction:")
        print(table(("#", "kernel", "output", *KINDS), by_kind, right=("#", *KINDS)))


def a_mac(count: int, macs: int) -> str:
    return f"{count / macs:.2f}" if macs else ""


def evaluate(path: str, folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """A row of the table, and what is wrong."""
    model = load_network(path)
    images = load_images(model, FLAGS.images, FLAGS.data_dir)
    name = pathlib.Path(path).stem
    target = folder / f"{name}_{FLAGS.cpu}"
    target.mkdir(parents=True, exist_ok=True)
    examples = [stored(model, image[None]) for image in images]
    firmware = build(with_selftest(model, [images]), FLAGS.cpu, examples, target, FLAGS.optimize, FLAGS.portable)
    counter = counter_of(firmware, target)
    outcome = simulate(firmware.path, FLAGS.cpu, counter.arguments if counter else ())
    wrong = problems(model, images, firmware, outcome)
    if outcome.status:
        return [], [f"{path}: {problem}" for problem in wrong]
    for position, image in enumerate(outcome.images):
        print(f"{name}, image {position}: class {image.best}, {image.instructions:,} instructions, scores {image.scores}")
    cycles = modelled(counter)
    of_images = [sum(kinds.values()) for kinds in cycles[1 : 1 + len(images)]]
    macs = sum(operator.macs for operator in Network(dumps(model), kernels()).operators())
    if FLAGS.per_operator:
        print_operators(model, outcome, cycles[1 + len(images) :])
    mean = sum(image.instructions for image in outcome.images) // len(outcome.images)
    facts = outcome.facts
    stack = (facts["prepare stack"], facts["selftest stack"])
    mean_cycles = [sum(of_images) // len(images)] if cycles else []
    numbers = (firmware.code, firmware.constants, facts["state"], facts["arena"], *stack, mean, *mean_cycles)
    per_mac = [a_mac(mean_cycles[0], macs)] if cycles else []
    row = [name, PROCESSORS[FLAGS.cpu].name, *(f"{number:,}" for number in numbers), *per_mac]
    return row, [f"{path}: {text}" for text in wrong]


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"networks go with --model. Received: {' '.join(argv[1:])}")
    rows, wrong = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for path in FLAGS.model:
            try:
                row, found = evaluate(path, pathlib.Path(FLAGS.build or temporary))
            except (BuildError, OSError, ValueError) as error:
                row, found = [], [str(error)]
            rows += [row] if row else []
            wrong += found
    columns = (
        "network",
        "processor",
        "code",
        "constants",
        "state",
        "arena",
        "stack to prepare",
        "to invoke",
        "instructions/image",
        *(("cycles/image", "a MAC") if rows and len(rows[0]) > 9 else ()),
    )
    if rows:
        print("\nbytes of the runtime with the kernels that the network uses:")
        print(table(columns, rows, right=columns[2:]))
    if FLAGS.cycles and FLAGS.cpu not in MANUALS:
        print(f"\ncycles: no model, as no manual states those of a {PROCESSORS[FLAGS.cpu].name}")
    elif len(columns) > 9:
        print(f"\ncycles: a model (cycles.py) after the {MANUALS[FLAGS.cpu].source}; memory has no wait states in it")
    for problem in wrong:
        print(f"run.py: {problem}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    app.run(main)
