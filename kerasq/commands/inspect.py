"""kerasq-inspect: what is in a .kq file.

Prints its sizes and origin; its inputs and outputs; a line for each operator: the
formats of all that it touches, window, clamp, accumulator width,
multiply-accumulates; and the memory plan as a picture, with the least that any
plan would need.

--target says whether it fits a board or a core, with --flash and --ram other limits
than the board's: what it takes of both with the C runtime, instructions of each
operator, and time where the manual of the core states cycles. Instructions and
cycles are estimates. The exit status is 1 if it does not fit.

--against compares it with the float network that it was converted from, on the
examples of --representative_dataset: the error of every layer, what saturates, and
what 16 bits would cost and give. With another .kq file it tells what that stores
differently, and from which tensor on it computes something else.

--graph writes the network as a picture: operators, formats, bytes. --report writes
a page for a browser: sizes, distributions of the kernels, the memory plan, every
tensor; with --target what it takes there, with --against the errors of its layers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

import kerasq
from kerasq import ops
from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.beside_report import beside_report
from kerasq.commands.graph_picture import graph
from kerasq.commands.outputs import PAGE, PICTURE, Output, check_outputs, report_stream, write_outputs
from kerasq.commands.plan_picture import LEGEND, picture
from kerasq.commands.run import read_inputs
from kerasq.evaluation.beside import beside
from kerasq.footprint import Board, Footprint, FootprintError, board_or_core
from kerasq.footprint.report import fit_report, parsed_size
from kerasq.format import loads
from kerasq.format.model import ABSENT, Model, Operator, Tensor
from kerasq.format.reader import read_bytes, recorded_version
from kerasq.runtime import LibraryMissingError
from kerasq.text import printable, table
from kerasq.verification import plan

_EXAMPLES = 256  # for a comparison


def describe(model: Model) -> dict[str, Any]:
    """Everything that the command shows but the picture, as plain values for JSON.

    Returns:
        `version`, `arena_bytes`, `arena_alignment`, `lower_bound`, `metadata`, `constant_bytes` by type, `macs`, `inputs` and
        `outputs` (index, name, tensor, shape, format, offset, bytes), `operators` (formats by the names of kerasq.ops' operands).
    """
    live = plan.live_bytes(model)
    operators = [{**_operator(model, operator), "live_bytes": live[index]} for index, operator in enumerate(model.operators)]
    constant_bytes: Counter[str] = Counter()
    for tensor in model.constants():
        constant_bytes[tensor.format.family] += tensor.nbytes
    return {
        "version": plan.needed_version(model),
        "arena_bytes": model.arena_bytes,
        "arena_alignment": model.arena_alignment,
        "lower_bound": plan.lower_bound(model),
        "metadata": dict(model.metadata),
        "constant_bytes": dict(constant_bytes.most_common()),
        "macs": sum(operator["macs"] for operator in operators),
        "inputs": [_end(name, index, model.tensors[index]) for name, index in model.named_inputs().items()],
        "outputs": [_end(name, index, model.tensors[index]) for name, index in model.named_outputs().items()],
        "operators": operators,
    }


def _end(name: str, index: int, tensor: Tensor) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "tensor": tensor.name,
        "shape": list(tensor.shape),
        "format": str(tensor.format),
        "offset": tensor.offset,
        "bytes": tensor.nbytes,
    }


def _operator(model: Model, operator: Operator) -> dict[str, Any]:
    spec, output = ops.TABLE[operator.kind], model.output(operator)
    operands = [(operand, model.tensors[index]) for operand, index in spec.listed(operator) if index != ABSENT]
    return {
        "kind": str(operator.kind),
        "output": output.name,
        "shape": list(output.shape),
        "inputs": {operand.name: str(tensor.format) for operand, tensor in operands if not operand.constant},
        "constants": {operand.name: str(tensor.format) for operand, tensor in operands if operand.constant},
        "format": str(output.format),
        "window": list(spec.window(model, operator)),
        "strides": list(operator.strides),
        "dilations": list(operator.dilations),
        "padding": list(operator.padding),
        "groups": operator.groups,
        "centered": bool(operator.centered),
        "zero": operator.zero,
        # JSON has no infinity: a limit that limits nothing is null.
        "clamp": operator.clamp and [None if abs(limit) == float("inf") else limit for limit in operator.clamp],
        "accumulator_bits": operator.accumulator_bits,
        "total_bits": operator.total_bits,
        "macs": spec.macs(model, operator),
    }


def report(facts: dict[str, Any]) -> str:
    """The sections before the memory plan as text, from what `describe` returns, "file" and "file_bytes"."""
    by_type = ", ".join(f"{size:,} {family}" for family, size in facts["constant_bytes"].items()) or "none"
    header = [
        f"{printable(facts['file'])}: {facts['file_bytes']:,} bytes, version {facts['version']}",
        f"constants: {sum(facts['constant_bytes'].values()):,} bytes ({by_type})",
        f"arena: {facts['arena_bytes']:,} bytes, aligned to {facts['arena_alignment']}",
        f"work: {len(facts['operators'])} operators, {facts['macs']:,} multiply-accumulates",
        *(f"{printable(key)}: {printable(value)}" for key, value in facts["metadata"].items()),
    ]
    ends = [
        [end[:-1], str(tensor["index"]), printable(tensor["name"]), _times(tensor["shape"]), tensor["format"]]
        for end in ("inputs", "outputs")
        for tensor in facts[end]
    ]
    operands = (operand for spec in ops.TABLE.values() for operand in spec.operands if operand.constant)
    constants = list(dict.fromkeys(operand.name for operand in operands))
    columns = ("#", "operator", "output", "shape", "x", *constants, "y", "window", "clamp", "bits", "MACs")
    rows = [_cells(index, operator, constants) for index, operator in enumerate(facts["operators"])]
    sections = (
        "\n".join(header),
        table(("", "tensor", "name", "shape", "format"), ends, right=("tensor",)),
        table(columns, rows, right=("#", "MACs")),
    )
    return "\n\n".join(sections)


def _cells(index: int, operator: dict[str, Any], constants: Sequence[str]) -> list[str]:
    limits = ["inf" if limit is None else f"{limit:g}" for limit in operator["clamp"] or ()]
    widths = [str(bits) for bits in (operator["accumulator_bits"], operator["total_bits"]) if bits]
    return [
        str(index),
        operator["kind"],
        printable(operator["output"]),
        _times(operator["shape"]),
        " + ".join(operator["inputs"].values()),
        *(operator["constants"].get(name, "") for name in constants),
        operator["format"],
        _window(operator),
        "..".join(limits),
        "/".join(widths),
        f"{operator['macs']:,}" if operator["macs"] else "",
    ]


def _window(operator: dict[str, Any]) -> str:
    """`3x3 stride 2x2 padding 0,1,0,1`: what differs from a dense window with step 1; without a window, what else is set."""
    parts = [] if operator["window"] == [0, 0] else [_times(operator["window"])]
    for name, value, default in (
        ("stride", _times(operator["strides"]), "1x1"),
        ("dilation", _times(operator["dilations"]), "1x1"),
        ("padding", ",".join(map(str, operator["padding"])), "0,0,0,0"),
        ("groups", str(operator["groups"]), "1"),
        ("centered", str(operator["centered"]), "False"),
        ("zero", str(operator["zero"]), "0"),
    ):
        if value != default:
            parts.append(f"{name} {value}")
    return " ".join(parts)


def memory_plan(model: Model) -> str:
    """The section with the picture of the arena and its lower bound."""
    bound = plan.lower_bound(model)
    gap = plan.aligned(model.arena_bytes, model.arena_alignment) - bound
    verdict = "optimal" if gap <= 0 else f"{gap:,} bytes ({gap / bound:.1%}) above it"
    return f"memory plan   {LEGEND}\n{picture(model)}\narena {model.arena_bytes:,} bytes, lower bound {bound:,} bytes: {verdict}"


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _define(options: flags.FlagValues) -> None:
    flags.DEFINE_bool("json", False, "Print the same facts, but for the picture, as one JSON object.", flag_values=options)
    model = "SavedModel `FOLDER`, .keras or .h5 file that this file was converted from; or another .kq file."
    flags.DEFINE_string("against", None, model, flag_values=options)
    target = "A core (cortex-m4, rv32imc ...) or a `BOARD`: whether the network fits. A wrong name lists them all."
    flags.DEFINE_string("target", None, target, flag_values=options)
    flags.DEFINE_string("flash", None, "`BYTES` that there are for --target, 256K for one.", flag_values=options)
    flags.DEFINE_string("ram", None, "`BYTES` that there are for --target, 64K for one.", flag_values=options)
    examples = "`FILE` (.npy) with examples of what the network will see, for --against; the first 256 are used."
    flags.DEFINE_string("representative_dataset", None, examples, flag_values=options)
    flags.DEFINE_string("graph", None, "SVG `FILE` to write: the network as a picture.", flag_values=options)
    flags.DEFINE_string("report", None, "HTML `FILE` to write: a page with all of this, and distributions.", flag_values=options)


def _inspect(options: flags.FlagValues, names: list[str]) -> None:
    if len(names) != 1:
        raise UsageError(f"one file is expected. Received: {len(names)}")
    if bool(options.against) != bool(options.representative_dataset):
        raise UsageError("--against and --representative_dataset go together")
    board, limits = _wanted_board(options)
    path = Path(names[0])
    asked = (("--graph", options.graph, PICTURE), ("--report", options.report, PAGE))
    outputs = [Output(flag, name, kind) for flag, name, kind in asked if name is not None]
    check_outputs(outputs, [path, options.representative_dataset, options.against])
    with naming(path):
        content = read_bytes(path)
        model = loads(content)
        facts = {"file": str(path), "file_bytes": len(content), **describe(model), "version": recorded_version(content)}
    sections = [report(facts), memory_plan(model)]
    fit = analysis = None
    if board is not None:
        fit = _footprint(content, board, **limits)
        facts["fit"] = fit.to_dict()
        sections.append(fit_report(fit))
    if options.against:
        if Path(options.against).suffix == ".kq":
            facts["beside"], text = _beside(model, options.against, options.representative_dataset)
        else:
            analysis = _compared(model, options.against, options.representative_dataset)
            facts["analysis"], text = analysis.to_dict(), analysis.to_text()
        sections.append(text)
    pages = {
        "--graph": lambda: graph(model),
        "--report": lambda: kerasq.file_report(content, path.name, analysis, fit),
    }
    write_outputs({output.path: pages[output.flag]().encode() for output in outputs})
    print(json.dumps(facts, indent=2) if options.json else "\n\n".join(sections), file=report_stream(outputs))
    if fit is not None and fit.problems:
        raise CommandError(*(f"{printable(str(path))} does not fit {fit.board.name}: {problem}" for problem in fit.problems))


def _wanted_board(options: flags.FlagValues) -> tuple[Board | None, dict[str, int]]:
    """The board of --target, and the limits that the command line sets."""
    limits = {name: options[name].value for name in ("flash", "ram") if options[name].value is not None}
    if options.target is None:
        if limits:
            raise UsageError(f"--{next(iter(limits))} goes with --target")
        return None, {}
    try:
        board = board_or_core(options.target)
    except ValueError as error:
        raise UsageError(f"--target: {error}, and say what there is with --flash and --ram") from error
    sizes = {}
    for name, text in limits.items():
        try:
            sizes[name] = parsed_size(text)
        except ValueError as error:
            raise UsageError(f"--{name}: {error}") from error
    return board, sizes


def _footprint(content: bytes, board: Board, **limits: int) -> Footprint:
    try:
        return kerasq.fit_on(content, board, **limits)
    except (FootprintError, LibraryMissingError) as error:
        raise CommandError(f"--target: {error}") from error


def _compared(model: Model, source: str, dataset: str) -> Any:
    """The comparison with a float network, an `Analysis`."""
    try:
        return kerasq.compare_with_float(model, source, dataset, verbose=True)
    except kerasq.ConversionError as error:
        raise CommandError(str(error)) from error


def _beside(model: Model, other: str, dataset: str) -> tuple[dict[str, Any], str]:
    """The comparison with another .kq file, as JSON values and as text."""
    with naming(other):
        second = loads(read_bytes(other))
    arrays, _ = read_inputs(model, [dataset])
    try:
        result = beside(model, second, [array[:_EXAMPLES] for array in arrays])
    except ValueError as error:
        raise CommandError(f"{other}: {error}") from error
    return result.to_dict(), beside_report(result, other)


COMMAND = Command(
    "kerasq-inspect",
    "model.kq [--json] [--target BOARD [--flash 256K] [--ram 64K]] [--against saved_model --representative_dataset images.npy]",
    __doc__,
    _define,
    _inspect,
    tensorflow=True,
)
main, run = COMMAND.main, COMMAND.run
