"""The networks of the benchmarks on a Cortex-M4: what each keeps, takes and costs, beside the public results of MLPerf Tiny.

    python examples/benchmarks/chip.py --folder work/benchmarks

Needs the files of make.py in that folder, and makes what is missing there; and what examples/cortex_m/run.py needs. Each network
is made for the processor as kerasq-convert --emit_c --target does, compiled with the runtime (-O2) and run on the simulated
processor: flash and RAM are those of that firmware, instructions its count, cycles a model (examples/cortex_m/cycles.py). The two
ResNet23 are those of examples/cifar10, whose accuracies its README has. With --markdown the table is Markdown.
"""

import json
import pathlib
import sys
import tempfile

from absl import app, flags

sys.path.append(str(pathlib.Path(__file__).parents[1] / "cortex_m"))
from counting import Counter
from cycles import MANUALS, Cycles
from firmware import BuildError, build, stored
from make import make
from processors import PROCESSORS
from simulator import simulate
from standins import NETWORKS

from kerasq.format import Model, dumps, loads
from kerasq.runtime import DSP, Network
from kerasq.selftest import random_example, with_selftest
from kerasq.text import table
from kerasq_convert.c_source import for_target

FLAGS = flags.FLAGS
CPU = "m4"
SHIPPED = pathlib.Path(__file__).parents[1] / "cifar10" / "models"
# Top-1 % on CIFAR-10 in float and converted: examples/cifar10/README.md.
RESNET23 = {
    "resnet23": ("ResNet23", (80.44, 80.46)),
    "resnet23_binary": ("ResNet23, binary weights", (77.11, 77.14)),
}
# Milliseconds on an STM32L4R5 at 120 MHz, the least of MLPerf Tiny's closed division (mlcommons.org/benchmarks/inference-tiny):
# X-CUBE-AI 9.0 in v1.2, for ad Plumerai in v1.1. For vww both seem to remove channels that are constant in the published file.
PUBLISHED = {"resnet8": 165.1, "vww": 88.9, "kws": 43.2, "ad": 4.05}
PUBLISHED_KILOHERTZ = 120e3
COLUMNS = (
    "network",
    "million MACs",
    "float %",
    "converted %",
    "flash",
    "RAM",
    "million instructions",
    "a MAC",
    "cycles a MAC, model",
    "best public, silicon",
)


def row(name: str, title: str, scores: tuple[float, float], content: bytes) -> list[str]:
    """What a network keeps, takes and costs."""
    model = loads(for_target(content, "cortex-m4"))
    macs = sum(operator.macs for operator in Network(dumps(model), DSP).operators())
    flash, ram, instructions, cycles = measured(model)
    published = f"{PUBLISHED[name] * PUBLISHED_KILOHERTZ / macs:.2f}" if name in PUBLISHED else ""
    return [
        title,
        f"{macs / 1e6:.2f}",
        *(f"{score:.1f}" for score in scores),
        f"{flash:,}",
        f"{ram:,}",
        f"{instructions / 1e6:.3g}",
        f"{instructions / macs:.2f}",
        f"{cycles / macs:.2f}",
        published,
    ]


def measured(model: Model) -> tuple[int, int, int, int]:
    """Bytes of flash and RAM, instructions and cycles."""
    example = random_example(model, 0)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        firmware = build(with_selftest(model, example), CPU, [stored(model, example[0])], folder, "2")
        counter = Counter(firmware.path, PROCESSORS[CPU], folder)
        outcome = simulate(firmware.path, CPU, counter.arguments)
        if outcome.status:
            raise BuildError(f"the firmware ended with status {outcome.status}: {outcome.text}")
        _, records, *_ = counter.pairs()
        cycles = Cycles(MANUALS[CPU], counter.instructions()).of(records)
    facts = outcome.facts
    flash = len(dumps(model)) + firmware.code + firmware.constants
    ram = facts["arena"] + facts["state"] + max(facts["prepare stack"], facts["selftest stack"])
    return flash, ram, int(records["executed"].sum()), sum(cycles.values())


def rows(folder: pathlib.Path) -> list[list[str]]:
    """Of all networks."""
    table_rows = []
    for name, network in NETWORKS.items():
        path, scores = folder / f"{name}.kq", folder / f"{name}.json"
        if not path.is_file() or not scores.is_file():
            print(f"{name}: made ...", file=sys.stderr, flush=True)
            make(name, network, folder)
        kept = json.loads(scores.read_text())
        table_rows.append(row(name, network.title, (kept["float"], kept["converted"]), path.read_bytes()))
    for name, (title, accuracies) in RESNET23.items():
        table_rows.append(row(name, title, accuracies, (SHIPPED / f"{name}.kq").read_bytes()))
    return table_rows


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"the folder goes with --folder. Received: {' '.join(argv[1:])}")
    folder = pathlib.Path(FLAGS.folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = rows(folder)
    except BuildError as error:
        sys.exit(f"chip.py: {error}")
    if FLAGS.markdown:
        rule = ["---", *["---:"] * (len(COLUMNS) - 1)]
        print("\n".join(f"| {' | '.join(cells)} |" for cells in (COLUMNS, rule, *found)))
    else:
        print(table(COLUMNS, found, right=COLUMNS[1:]))
    print("\ncycles: ours a model after the processor's manual, memory without wait states; theirs were measured on silicon")


if __name__ == "__main__":
    flags.DEFINE_string("folder", None, "Folder of the networks; made if missing.", required=True)
    flags.DEFINE_boolean("markdown", False, "Print the table in Markdown.")
    app.run(main)
