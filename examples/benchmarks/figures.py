"""Reruns every figure that README claims, and writes what came out beside it: docs/pages/figures.md.

    python examples/benchmarks/figures.py --list                        # measurements, their commands and times
    python examples/benchmarks/figures.py --only files --only firmware
    python examples/benchmarks/figures.py --models ~/models             # everything, in about an hour

What was measured before, in --folder, isn't measured again: a run that was stopped goes on, and a new folder begins anew. A
measurement whose programs or files are missing is skipped with a word. Its commands, their output and their errors stay in the
folder, as NAME.log. Values, machine and date go to figures.json beside this file, which keeps those that this run did not make;
python docs/generate.py writes the page from README and from that file, and a test compares both. The exit status is 1 where a
command failed, or a figure is off by more than its error.

--models is a folder with the networks that this repository has not: mlperf_tiny_resnet8.h5 (MLPerf Tiny's), and resnet23.keras,
mobilenet.keras, mobilenet_sparse.keras and resnet23_float.keras, which examples/cifar10 trains.
"""

import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

from absl import app, flags
from claims import README, claims
from figures_page import PAGE, RECORD, page, verdict
from measurements import MEASUREMENTS, Measurement
from register import SENTENCES, TABLES

from kerasq.files import write_whole
from kerasq.text import table

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = flags.FLAGS


def machine() -> str:
    """Processor, system and compiler, in a few words."""
    try:
        model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        model = platform.processor() or platform.machine()
    gcc = subprocess.run("gcc -dumpfullversion", shell=True, capture_output=True, text=True, check=False).stdout.strip()
    parts = [f"{model}, {os.cpu_count()} processors", platform.system(), f"Python {platform.python_version()}"]
    return ", ".join([*parts, *([f"gcc {gcc}"] if gcc else [])])


def missing(measurement: Measurement, folder: pathlib.Path) -> list[str]:
    """What it needs and is not there."""
    return [name for name in measurement.needs if not (folder / name).exists() and shutil.which(name) is None]


def measure(name: str, measurement: Measurement, folder: pathlib.Path) -> dict:
    """Runs the commands; what is recorded of them.

    Raises:
        subprocess.CalledProcessError: One failed.
        ValueError: Their output has not the values that it should.
    """
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    environment["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    begin, outputs = time.monotonic(), []
    with open(folder / f"{name}.log", "w", encoding="utf-8") as log:
        for command in measurement.commands:
            print(f"$ {command}", file=log, flush=True)
            how = {"shell": True, "cwd": folder, "env": environment, "stdout": subprocess.PIPE, "stderr": log}
            result = subprocess.run(command, text=True, check=False, **how)
            print(result.stdout, file=log, flush=True)
            result.check_returncode()
            outputs.append(result.stdout)
    try:
        values = measurement.read(outputs)
    except (LookupError, TypeError) as error:
        raise ValueError(f"its output has not what was expected: {error!r}") from error
    today = datetime.date.today().isoformat()
    return {"date": today, "machine": machine(), "seconds": round(time.monotonic() - begin), "values": values}


def prepare(folder: pathlib.Path, models: str | None) -> None:
    """Links to what the commands name."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = {"repository": ROOT, "examples": ROOT / "examples"} | ({"models": pathlib.Path(models)} if models else {})
    for name, target in targets.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target.resolve())


def run(names: list[str], folder: pathlib.Path) -> tuple[dict, list[str]]:
    """Measures what isn't measured yet; what is recorded, and the names of those that failed."""
    records, failed = {}, []
    for position, name in enumerate(names, 1):
        kept, measurement = folder / f"{name}.json", MEASUREMENTS[name]
        print(f"[{position}/{len(names)}] {name}: {measurement.about} ", end="", file=sys.stderr, flush=True)
        if kept.is_file():
            print("... measured already", file=sys.stderr)
        elif lacking := missing(measurement, folder):
            print(f"... skipped: there is no {' and no '.join(lacking)}", file=sys.stderr)
            continue
        else:
            print(f"(about {measurement.minutes} min) ...", end=" ", file=sys.stderr, flush=True)
            try:
                record = measure(name, measurement, folder)
            except (subprocess.CalledProcessError, ValueError) as error:
                print(f"FAILED: {error}; see {folder / name}.log", file=sys.stderr)
                failed.append(name)
                continue
            write_whole(kept, json.dumps(record).encode())
            print(f"{record['seconds']} s", file=sys.stderr)
        records[name] = json.loads(kept.read_text(encoding="utf-8"))
    return records, failed


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"measurements go with --only. Received: {' '.join(argv[1:])}")
    names = FLAGS.only or [*MEASUREMENTS]
    if FLAGS.list:
        rows = [(name, f"{MEASUREMENTS[name].minutes} min", "; ".join(MEASUREMENTS[name].commands)) for name in names]
        print(table(("measurement", "about", "commands"), rows))
        return 0
    folder = pathlib.Path(FLAGS.folder)
    prepare(folder, FLAGS.models)
    registered = claims(TABLES, SENTENCES, README.read_text(encoding="utf-8"))
    records, failed = run(names, folder)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    record = {name: (record | records)[name] for name in MEASUREMENTS if name in record | records}
    write_whole(RECORD, (json.dumps(record, indent=1) + "\n").encode())
    write_whole(PAGE, page(registered, record).encode())
    judged = [(claim, *verdict(claim, records)) for claim in registered if claim.measurement in records]
    print(table(("figure", "README", "measured", ""), [(claim.where, claim.text, *cells) for claim, *cells in judged]))
    off = sum(cells[-1].startswith("off") for _, *cells in judged)
    print(f"\n{len(judged)} figures, {off} off by more than their error; wrote {RECORD.name} and {PAGE.name}")
    return 1 if failed or off else 0


if __name__ == "__main__":
    flags.DEFINE_string("folder", "work/figures", "Folder of what is built and measured; made if missing.")
    flags.DEFINE_string("models", None, "Folder with networks that the repository has not; see above.")
    flags.DEFINE_multi_enum("only", None, list(MEASUREMENTS), "Measurements to make; all of them unless given.")
    flags.DEFINE_boolean("list", False, "Print what there is to measure, and how, instead.")
    app.run(main)
