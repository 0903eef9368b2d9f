"""The measurements behind README's figures: commands as anyone would type them, and how their output is read.

They run in one folder, in which `repository` and `examples` lead here, and `models` to what figures.py --models names.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Sequence

from claims import NUMBER
from register import CHIP

Values = dict[str, float]
SHIPPED = "examples/cifar10/models"
AVX2_ONLY = "LD_PRELOAD=$PWD/avx2_only.so "
MAKE_AVX2_ONLY = "gcc -O2 -shared -fPIC examples/benchmarks/avx2_only.c -o avx2_only.so"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Commands, run one after the other, and the values that their standard output has.

    Attributes:
        about: What is measured.
        commands: Lines for a shell.
        read: The outputs of all commands -> values.
        minutes: What it takes, about, on two processors.
        needs: Programs, and files in `models`, that it can't do without.
    """

    about: str
    commands: tuple[str, ...]
    read: Callable[[Sequence[str]], Values]
    minutes: float
    needs: tuple[str, ...] = ()


def chip(outputs: Sequence[str]) -> Values:
    """Of chip.py's table, whose rows are README's."""
    keys = ("macs", "float", "converted", "flash", "ram", "instructions", "instructions_per_mac", "cycles_per_mac", "published")
    rows = [line.strip("| \n").split("|") for line in outputs[-1].splitlines() if line.startswith("|")][2:]
    values = {}
    for (name, _), (_, *cells) in zip(CHIP.rows, rows, strict=True):
        values |= {f"{name}.{key}": number(cell) for key, cell in zip(keys, cells, strict=False) if cell.strip()}
    return values


def evaluated(*names: str) -> Callable[[Sequence[str]], Values]:
    """Of kerasq-eval --json as the last command, whose models get these names; shares in %."""

    def read(outputs: Sequence[str]) -> Values:
        values = {}
        for name, facts in zip(names, json.loads(outputs[-1]), strict=True):
            for key in ("model_bytes", "arena_bytes", "footprint_bytes", "seconds"):
                values[f"{name}.{key}"] = facts[key]
            values |= {f"{name}.{key}": 100 * facts[key] for key in ("top1", "stderr")}
        return {key: value for key, value in values.items() if value is not None}

    return read


def resnet8(outputs: Sequence[str]) -> Values:
    """Of automatic.py and of kerasq-eval for the network in float."""
    (top1, size, arena) = automatic(outputs[0], "8 bit")
    stderr = 100 * (top1 / 100 * (1 - top1 / 100) / 10_000) ** 0.5
    converted = {"top1": top1, "stderr": stderr, "model_bytes": size, "arena_bytes": arena, "footprint_bytes": size + arena}
    return evaluated("resnet8_keras")(outputs) | {f"resnet8.{key}": value for key, value in converted.items()}


def automatic(output: str, row: str) -> list[float]:
    """Top-1 %, and of a conversion model and arena bytes, in a row of automatic.py."""
    line = re.search(rf"^{re.escape(row)} {{2,}}(.*)$", output, re.MULTILINE)[1]
    return [number(text) for text in (re.findall(r"([\d.]+) %", line)[0], *re.findall(r"([\d,]+) bytes|arena ([\d,]+)", line))]


def number(text: str | tuple[str, ...]) -> float:
    return float(NUMBER.search("".join(text))[0].replace(",", ""))


def tuned(outputs: Sequence[str]) -> Values:
    converted, size, _ = automatic(outputs[0], "4 bit, tuned")
    return {"float": automatic(outputs[0], "float")[0], "converted": converted, "bytes": size}


def uneven(outputs: Sequence[str]) -> Values:
    rows = {"float": "float", "converted": "8 bit", "minmax": "8 bit, minmax, no repair"}
    return {key: automatic(outputs[0], row)[0] for key, row in rows.items()}


def desktop(outputs: Sequence[str]) -> Values:
    """Of kerasq-bench's table for several networks."""
    values = {}
    for line in outputs[-1].splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if len(cells) > 6 and ".kq" in cells[0]:
            name = re.search(r"(\w+)\.kq", cells[0])[1]
            row = {"macs": number(cells[1]) / 1e6, "ms": cells[3], "peer_ms": cells[5], "ratio": cells[6]}
            values |= {f"{name}.{key}": float(value) for key, value in row.items()}
    return values


def images(outputs: Sequence[str]) -> Values:
    values = evaluated("ours", "peer")(outputs)
    return {"seconds": values["ours.seconds"], "peer_seconds": values["peer.seconds"]}


def example(outputs: Sequence[str]) -> Values:
    values = evaluated("float", "converted")(outputs)
    return {name: values[f"{name}.top1"] for name in ("float", "converted")}


def agreement(outputs: Sequence[str]) -> Values:
    return {"percent": max(float(share) for share in re.findall(r"([\d.]+)%", outputs[-1]))}


def firmware(outputs: Sequence[str]) -> Values:
    """Thousand bytes of code, of run.py's last table."""
    rows = re.findall(r"^(resnet23\w*) +Cortex-M4 +([\d,]+)", outputs[-1], re.MULTILINE)
    return {f"{name}.code": number(code) / 1000 for name, code in rows}


def light(outputs: Sequence[str]) -> Values:
    return {"megabytes": float(outputs[-1].split()[-1]) / 1e6}


EVAL = "kerasq-eval --json "
FILES = ("resnet23_parameters", "resnet23", "resnet23_binary_parameters", "resnet23_binary", "mobilenet")
TO_CHIP = ("arm-none-eabi-gcc", "qemu-system-arm")
PEER = "python examples/cifar10/litert_peer.py --output peer.tflite"
TEN_THOUSAND = f"{EVAL}{SHIPPED}/resnet23.kq peer.tflite"
SIZE = (
    "import pathlib; print(sum(f.stat().st_size for f in pathlib.Path('light').rglob('*') "
    "if f.is_file() and not str(f).startswith('light/numpy')))"
)
MEASUREMENTS = {
    "files": Measurement(
        "the files of examples/cifar10 over 10,000 test images",
        (EVAL + " ".join(f"{SHIPPED}/{name}.kq" for name in FILES),),
        evaluated(*FILES),
        2,
    ),
    "light": Measurement(
        "kerasq-runtime in a folder of its own, with what it needs but NumPy",
        ("pip install --quiet --upgrade --target light repository/kerasq/runtime/light", f'python -c "{SIZE}"'),
        light,
        1,
    ),
    "firmware": Measurement(
        "ResNet23 in firmware for a Cortex-M4", ("python examples/cortex_m/run.py --images 1",), firmware, 1, TO_CHIP
    ),
    "chip": Measurement(
        "stand-ins of MLPerf Tiny and ResNet23 on a simulated Cortex-M4",
        ("python examples/benchmarks/chip.py --folder benchmarks --markdown",),
        chip,
        8,
        TO_CHIP,
    ),
    "desktop": Measurement(
        "the same networks here, beside LiteRT", ("python examples/benchmarks/desktop.py --output desktop",), desktop, 5
    ),
    "desktop_avx2": Measurement(
        "the same with AVX2 alone",
        (MAKE_AVX2_ONLY, f"{AVX2_ONLY}python examples/benchmarks/desktop.py --output desktop"),
        desktop,
        5,
        ("gcc",),
    ),
    "images": Measurement("10,000 test images through ResNet23", (PEER, TEN_THOUSAND), images, 2),
    "images_avx2": Measurement("the same with AVX2 alone", (MAKE_AVX2_ONLY, PEER, AVX2_ONLY + TEN_THOUSAND), images, 2, ("gcc",)),
    "example": Measurement(
        "README's example",
        (
            "sed '1,/^```python$/d;/^```$/,$d' repository/README.md | python -",
            "kerasq-convert saved_model/ --statistics statistics/ --output model.kq",
            f"{EVAL}--dataset shapes saved_model/ model.kq",
        ),
        example,
        3,
    ),
    "binary_keras": Measurement(
        "the Keras network that the file with binary weights tells",
        (
            f"python examples/cifar10/recover.py --model {SHIPPED}/resnet23_binary_parameters.kq --output binary.keras",
            f"{EVAL}binary.keras",
        ),
        evaluated("resnet23_binary_keras"),
        4,
    ),
    "agreement": Measurement(
        "every tensor of that file beside Keras, 1,000 images",
        (
            f"python examples/cifar10/recover.py --model {SHIPPED}/resnet23_binary_parameters.kq --output binary.keras",
            f"python examples/cifar10/agreement.py --model binary.keras --converted {SHIPPED}/resnet23_binary.kq",
        ),
        agreement,
        4,
    ),
    "resnet8": Measurement(
        "MLPerf Tiny's ResNet-8 in float and converted",
        (
            "python examples/cifar10/automatic.py --model models/mlperf_tiny_resnet8.h5 --only '8 bit'",
            f"{EVAL}models/mlperf_tiny_resnet8.h5",
        ),
        resnet8,
        3,
        ("models/mlperf_tiny_resnet8.h5",),
    ),
    "uneven": Measurement(
        "a MobileNet with uneven channels, converted in two ways",
        (
            "python examples/cifar10/automatic.py --model models/mobilenet_sparse.keras --only '8 bit' "
            "--only '8 bit, minmax, no repair'",
        ),
        uneven,
        3,
        ("models/mobilenet_sparse.keras",),
    ),
    "tuned": Measurement(
        "ResNet23 with kernels of 4 bits, tuned",
        ("python examples/cifar10/automatic.py --model models/resnet23_float.keras --count 512 --only '4 bit, tuned'",),
        tuned,
        5,
        ("models/resnet23_float.keras",),
    ),
    "resnet23_keras": Measurement(
        "ResNet23 of 12 and 3 epochs in Keras",
        (f"{EVAL}models/resnet23.keras",),
        evaluated("resnet23_keras"),
        2,
        ("models/resnet23.keras",),
    ),
    "mobilenet_keras": Measurement(
        "MobileNet of 30 epochs in Keras",
        (f"{EVAL}models/mobilenet.keras",),
        evaluated("mobilenet_keras"),
        2,
        ("models/mobilenet.keras",),
    ),
}
