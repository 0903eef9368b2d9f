"""Writes the pages that follow from the code: limits.md from the tables, api.md from what ARCHITECTURE.md calls public, and
figures.md from README and what examples/benchmarks/figures.py measured.

python docs/generate.py           # after a change of either
python docs/generate.py --check   # exit status 1 where a page is not what it would write
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kerasq
from kerasq.footprint.boards import BOARDS
from kerasq.format import schema, shapes
from kerasq.interpreter.memory import MAX_BYTES
from kerasq.ops import TABLE, Operand, OperatorSpec
from kerasq.ops.windows import MAX_SIDE
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS
from kerasq.verification.verifier import MAX_ARENA_BYTES
from kerasq_convert.frontend.reasons import reasons_by_class

sys.path.append(str(Path(__file__).parents[1] / "examples" / "benchmarks"))
import figures_page

PAGES = Path(__file__).with_name("pages")
WRITTEN = "<!-- Written by docs/generate.py: change what it reads, and run it. -->\n"


def public() -> dict[str, list[str]]:
    """The public names of every module that ARCHITECTURE.md lists."""
    text = Path(kerasq.__file__).with_name("ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.split("## What is public\n")[1].split("\n## ")[0]
    rows = re.findall(r"^    (kerasq\S*) +(.+)$", section, re.MULTILINE)
    return {
        module: list(importlib.import_module(module).__all__) if names == "all of __all__" else names.split()
        for module, names in rows
    }


def api() -> str:
    """The reference: every public name once, at its shortest path; mkdocstrings fills it in."""
    lines = ["# API reference", "", WRITTEN]
    lines += [
        "Everything public, as `help()` shows it; anything else may change from commit to commit",
        "([stability](stability.md)).",
    ]
    modules = public()
    lines += ["The commands and their flags: `kerasq-convert --help` and so on.", ""]
    lines += ["`import kerasq` has the most used names:", ""]
    documented = dict(_documented(modules))
    for name in modules["kerasq"]:
        path = documented.get(id(getattr(kerasq, name)))
        if path:
            lines.append(f"* [`kerasq.{name}`][{path}]")
    for module in modules:
        paths = [path for path in documented.values() if path.rpartition(".")[0] == module]
        if paths:
            lines += ["", f"## {module}", ""]
            lines += ["\n".join(f"::: {path}\n" for path in paths).rstrip()]
    return "\n".join(lines) + "\n"


def _documented(modules: dict[str, list[str]]) -> Iterator[tuple[int, str]]:
    """Classes and functions by identity, with the path that they are documented under: no lazy name, no second one."""
    seen: set[int] = set()
    for module, names in modules.items():
        if module == "kerasq":
            continue
        for name in names:
            value: Any = getattr(importlib.import_module(module), name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and id(value) not in seen:
                seen.add(id(value))
                yield id(value), f"{module}.{name}"


def limits() -> str:
    """Operators, formats, sizes and boards, as the tables have them."""
    parts = ["# Limits", "", WRITTEN, LIMITS_BEGIN.strip(), "", "## Operators", ""]
    parts += ["| operator | since version | attributes | limits |", "|---|---:|---|---|"]
    parts += [_row(spec) for spec in TABLE.values()]
    parts += ["", "What an operator reads, and in which formats:", ""]
    parts += ["| operator | operand | | formats |", "|---|---|---|---|"]
    parts += [_operand_row(spec, operand) for spec in TABLE.values() for operand in spec.operands]
    parts += ["", "## Layers", "", LIMITS_LAYERS.strip(), "", "| layer | what the converter says |", "|---|---|"]
    parts += [f"| {', '.join(names)} | {reason} |" for reason, names in _refused().items()]
    parts += ["", "## Sizes", "", "| what | limit |", "|---|---:|"]
    parts += [f"| {what} | {limit:,} |" for what, limit in SIZES.items()]
    parts += ["", "## Boards", "", LIMITS_BOARDS.strip(), "", "| board | core | MHz | flash | RAM |", "|---|---|---:|---:|---:|"]
    for board in BOARDS.values():
        if board.flash is not None and board.ram is not None:
            row = (board.name, board.core, board.megahertz, f"{board.flash // 1024} KiB", f"{board.ram // 1024} KiB")
            parts.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(parts) + "\n"


def _row(spec: OperatorSpec) -> str:
    numbers = ", ".join(f"{name} {value:,}" for name, value in spec.limits.items())
    return f"| {spec.kind} | {spec.since} | {', '.join(spec.attributes) or 'none'} | {numbers or 'none'} |"


def _refused() -> dict[str, list[str]]:
    """Classes of Keras by the reason that is given where one of them is refused."""
    reasons: dict[str, list[str]] = {}
    for name, reason in reasons_by_class().items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _operand_row(spec: OperatorSpec, operand: Operand) -> str:
    kind = ("optional " if operand.optional or operand.trailing else "") + ("constant" if operand.constant else "activation")
    since = f", since version {operand.since}" if operand.since > spec.since else ""
    return f"| {spec.kind} | {operand.name} | {kind}{since} | {', '.join(operand.families)} |"


LIMITS_BEGIN = """
What a `.kq` file can hold. A model that needs more is refused when it is converted, with the layer's name and a remedy; a file
that says more is refused when it is loaded. [NUMERICS.md](../../kerasq/NUMERICS.md) defines the operators, and what their limits
are of.
"""

LIMITS_LAYERS = """
What converts: Conv1D and Conv2D (grouped, depthwise, separable, dilated, transposed), Dense, EinsumDense where it is one,
BatchNormalization anywhere, Add, Subtract, Multiply, Maximum and Minimum with broadcasting, Concatenate, pooling of any window,
mean, sum, maximum and minimum over any axes, ZeroPadding, mirrored padding, Cropping, UpSampling and Resizing (nearest;
bilinear by whole factors), RepeatVector, Reshape, Flatten, Permute, depth to space and back, slices, splits, stacks and
reversals, TimeDistributed, Embedding (up to 65,536 rows), argmax and argmin at an output or before an Embedding, every
element-wise activation of Keras (one table each), Softmax over any one axis, division by a sum, mean or maximum over axes,
Rescaling and Normalization, layers that do nothing in inference; shared layers, nested models, several inputs and outputs,
channels_first. LayerNormalization, GroupNormalization (one group, one for each channel), RMSNormalization and UnitNormalization
over any axes, and the same written out, of at most 1,048,576 values at once.
LSTM, GRU, SimpleRNN, their cells, ConvLSTM and Bidirectional over a fixed number of steps, 64 at most: operators for every step
(18 of an LSTM, some 2,900 bytes of the file), one copy of the weights; every call begins with the initial state.
Values have two to four axes: an output of shape (batch,) comes as (batch, 1).

Of the 143 layer classes of Keras, with arguments as in tests/converters/test_sweep.py, which holds these counts, 99 convert, 31
are refused and 13 make no network; of 158 functions of keras.ops 94 convert and 64 are refused.

Of layers that do not, or not with these arguments, the converter says why and what to do instead, all of them in one message:
"""

LIMITS_BOARDS = """
Names that `kerasq-inspect model.kq --target` and `kerasq.fit_on` take, with what the data sheets say. Any other: the name of a
core with `--flash` and `--ram`.
"""

SIZES = {
    "bytes of a file": schema.MAX_FILE_BYTES,
    "tensors": schema.MAX_TENSORS,
    "operators": schema.MAX_OPERATORS,
    "inputs, outputs": schema.MAX_NAMES,
    "axes of a tensor, batch included": schema.MAX_RANK,
    "elements of a tensor": shapes.MAX_ELEMENTS,
    "side of a window, strides, dilations, groups": MAX_SIDE,
    "least number of fractional bits": MIN_FRAC_BITS,
    "largest number of fractional bits": MAX_FRAC_BITS,
    "bytes of the arena": MAX_ARENA_BYTES,
    "bytes that an interpreter takes, unless `max_bytes` says otherwise": MAX_BYTES,
    "values of multipliers and biases that are read to verify a file": schema.MAX_VECTOR_READS,
    "bytes of a name": schema.MAX_NAME_BYTES,
}

WRITERS = {"limits.md": limits, "api.md": api, "figures.md": figures_page.written}


def main(arguments: list[str]) -> int:
    """Writes or checks the pages; returns the exit status."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for name, write in WRITERS.items():
        path, text = PAGES / name, write()
        if arguments:
            stale += [name] if not path.is_file() or path.read_text(encoding="utf-8") != text else []
        else:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/pages/{name} is not what python docs/generate.py writes", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
