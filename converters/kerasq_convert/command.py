"""kerasq-convert: from a trained network to one .kq file, or to C.

    kerasq-convert model.keras --representative_dataset images.npy
    kerasq-convert model.kq --emit_c firmware/model

MODEL is a SavedModel folder, as model.export(...) writes it, or a .keras or .h5
file. Binary and fixed-point weights are stored as they were trained, others as
FIXED8. Activations become FIXED8 where it is known what values they take, from
examples (--representative_dataset) or from a training (--statistics); without
either they stay FLOAT32.

Kernels whose output channels differ in size get a multiplier per channel where that
gains a bit, and biases take back what rounding does to the means of the channels,
where a half of the examples that had no part in it agrees; --per_channel,
--noper_channel and --nocorrect_bias decide otherwise. --equalize shares
sizes between neighbouring layers instead: for --noper_channel. Weights on a grid stay
as they are. Activations are scaled until they use the whole range of their formats,
whose steps are powers of two, where a half of the examples agrees; --fill_ranges and
--nofill_ranges decide otherwise. --weight_bits quantizes float kernels to 2, 4 or 16
bits, not 8; the first and last ones keep at least 8, unless --end_weight_bits or
--settings say otherwise.

What is trusted: a .kq file never is, it is verified. Of a SavedModel only what computes
is run, and its variables are read: an operation that could reach files, text, tables,
processes or devices is refused by its name before anything of it runs. A .keras or .h5
file is loaded in Keras' safe mode.

--refine also tries formats one bit away by what they do to the outputs, for the
first 256 examples, and keeps what helps either half of them. Goals (--min_sqnr_db,
--max_accuracy_drop with --labels) give single activations 16 bits until they are met,
within the limits --max_model_bytes, --max_arena_bytes and --max_instructions (of an
inference on --target). Where that is not enough, or the network exceeds a limit, every
kernel gets 2, 4, 8 or 16 bits and every activation 8 or 16: of those within the limits
that with the least noise at the outputs; without limits the smallest file that reaches
--min_sqnr_db. What has no limit is used freely. A network within its limits stays as it
is; --weight_bits auto uses the limits up. Where a goal is missed, the report tells how
near the network came, nothing is written, and the exit code is 1.

--pareto writes the trade-off as JSON: "points", the smallest network first, each with
"sqnr_db" (null: no noise), "model_bytes", "arena_bytes", "instructions" (null without
--max_instructions), "formats" of its kernels and activations by name, and "chosen":
whether it is the one that was written. --report has it as a picture.

With examples the report says how near the outputs come to the float network's (in dB,
and how often the class is the same, over a half of the first 256), and warns below
15 dB.

--analyze tells the error of every layer against the float network, what saturates,
and what 16 bits would cost and give. --report writes a page for a browser with all
that, the distributions of the tensors and the memory plan.

--write_settings writes a file with the format of every tensor; edited, and given
back with --settings (and --equalize, if that was used), it decides
them. The report goes to standard output.

For a port to check itself (kqrun selftest, or kq_selftest in firmware),
--embed_test adds an example and the checksum of every tensor that it leads to.
For firmware, --emit_c writes the model as a C array, with the sizes that it needs
and a list of the kernels that it uses. A --target with kernels of its own gets weights
and memory as these want them. With --c_runtime the folder has the runtime's
sources, too, and builds: with CMake, as a component of ESP-IDF, a module of Zephyr, a
library of Arduino or PlatformIO. Several networks share a folder, each with a --c_name
of its own, one command after the other. MODEL may be a .kq file for these two; it
is changed only if --output names it. --output model.tflite writes the same network, of a
model or of a .kq file, for LiteRT, TFLM and Netron: nearly every value is equal, others
are one unit apart. --replan gives a .kq file, as older versions
wrote them, the memory plan that it would get today; every result stays what it was.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shlex
import sys
from typing import Any, TextIO

from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.outputs import FACTS, PAGE, SETTINGS, TFLITE, Output, check_outputs, report_stream
from kerasq.commands.run import check_readable
from kerasq.footprint import Board, FootprintError, board_or_core
from kerasq.runtime import LibraryMissingError
from kerasq.targets import PORTABLE
from kerasq_convert.c_source import for_target
from kerasq_convert.causes.trials import CORE
from kerasq_convert.commandline.c_files import CFiles, c_files, check_c, write_all
from kerasq_convert.commandline.kq_files import RANDOM, replanned, with_test_vector
from kerasq_convert.commandline.tflite_files import network_output, tflite_file
from kerasq_convert.converter import Converter
from kerasq_convert.errors import ConversionError, GoalsMissedError
from kerasq_convert.options import Options, OptionsError
from kerasq_convert.options.flags import define_flags, flags_given, kept_files, options_from
from kerasq_convert.report.costs import layer_costs
from kerasq_convert.report.fit import fit_on
from kerasq_convert.report.html_report import html_report

_C_NAME = "kerasq_model"
_OF_CONVERSION = ("write_settings", "report", "pareto")  # beside the options: what only a conversion has to tell


def _define(values: flags.FlagValues) -> None:
    def text(name: str, meaning: str, default: str | None = None) -> None:
        flags.DEFINE_string(name, default, meaning, flag_values=values)

    text("output", "`FILE` to write; - is standard output; .tflite for TFLite. Default: the model's name with .kq, here.")
    define_flags(Options, values)
    text("write_settings", "YAML `FILE` to write: the format chosen for each tensor, and what is known of it.")
    text("pareto", "JSON `FILE` to write: networks from the smallest to the least noisy; --report shows them, too.")
    text("report", "HTML `FILE` to write; with --representative_dataset it includes what --analyze tells.")
    example = f"`FILE` (.npy) whose first example becomes the test vector, one for each input of the network; or {RANDOM}"
    flags.DEFINE_multi_string("embed_test", [], example, flag_values=values)  # absl adds that the flag may be repeated
    text("emit_c", "`FOLDER` for C files NAME.h and NAME.c. Needs the native library.")
    text("c_name", "`NAME` of these files, and of the symbols in them.", _C_NAME)
    text("target", "Processor, or a `BOARD`, that C files are made for, and of which --report tells what it takes.", PORTABLE)
    whole = "Make that a folder that builds, with the C runtime: CMake, ESP-IDF, Zephyr, Arduino, PlatformIO; see its README."
    flags.DEFINE_bool("c_runtime", False, whole, flag_values=values)
    flags.DEFINE_bool("overwrite", False, "Replace files of yours in such a folder, too.", flag_values=values)
    flags.DEFINE_bool("replan", False, "Plan the memory of a .kq file anew.", flag_values=values)
    flags.DEFINE_bool("json", False, "Print the report as JSON.", flag_values=values)


def _convert(values: flags.FlagValues, names: list[str]) -> None:
    source = _checked(values, names)
    is_kq = _is_kq(source)
    options = _options(values)
    outputs = _outputs(values, source, is_kq)
    check_outputs(outputs, _read_files(values, source, is_kq))
    for name in values.embed_test:
        if name != RANDOM:
            check_readable(name)  # now: a conversion may take long
    if values.emit_c:
        how = {"runtime": values.c_runtime, "overwrite": values.overwrite}
        check_c(values.c_name, pathlib.Path(values.emit_c), **how)
    content, converter = _read(source) if is_kq else _converted(source, options, values, report_stream(outputs))
    planned = ""
    if values.replan:
        content, planned = replanned(content, source)
    if values.embed_test:
        content = with_test_vector(content, source, values.embed_test)
    contents: dict[str, bytes] = {"--output": content}
    if converter is not None:
        contents |= _described(converter, source, content, values)
    told = [planned] if planned else []
    if outputs and outputs[0].kind == TFLITE:
        contents["--output"], lines = tflite_file(content, source)
        told += lines
    written = {output.path: contents[output.flag] for output in outputs}
    c = None
    if values.emit_c:
        title = pathlib.Path(outputs[0].name if outputs else source).name  # the .kq file comes first
        if board := _board(values):
            with naming(title):
                content = for_target(content, board.core)
            title = f"{title} for {board.core}"
        c = c_files(content, values.emit_c, values.c_name, title, **how)
    write_all(written, c)
    _tell(converter, len(content), told, outputs, c, values)


def _board(values: flags.FlagValues) -> Board | None:
    """What --target names; `None` for any processor."""
    if values.target == PORTABLE:
        return None
    try:
        return board_or_core(values.target)
    except ValueError as error:
        raise UsageError(f"--target: {error}") from error


def _is_kq(source: pathlib.Path) -> bool:
    return source.suffix == ".kq" and not source.is_dir()


def _checked(values: flags.FlagValues, names: list[str]) -> pathlib.Path:
    """The model that is converted, if the flags go together."""
    if len(names) != 1:
        raise UsageError(f"one model is expected. Received: {len(names)}")
    if not values.emit_c and (values.c_runtime or values.c_name != _C_NAME):
        raise UsageError("--c_name and --c_runtime go with --emit_c")
    if values.target != PORTABLE and not (values.emit_c or values.report or values.max_instructions):
        raise UsageError("--target goes with --emit_c or --report, or with --max_instructions")
    _board(values)
    if values.embed_test and values.output and network_output(values.output).kind == TFLITE:
        raise UsageError("--embed_test is for .kq files, and --output names a TFLite file")
    if values.overwrite and not values.c_runtime:
        raise UsageError("--overwrite goes with --c_runtime: other files are replaced anyway")
    source = pathlib.Path(names[0])
    if not _is_kq(source):
        if values.replan:
            raise UsageError("--replan is for .kq files: a conversion plans memory anyway")
        return source
    useless = [f"--{name}" for name in (*flags_given(Options, values), *(name for name in _OF_CONVERSION if values[name].value))]
    if useless:
        raise UsageError(f"a .kq file is converted already: {', '.join(useless)} can't be used with it")
    to_tflite = values.output and network_output(values.output).kind == TFLITE
    if not values.emit_c and not to_tflite and not ((values.embed_test or values.replan) and values.output):
        raise UsageError(
            "a .kq file is converted already: give --emit_c, or --output with --embed_test or --replan, or an --output .tflite"
        )
    return source


def _options(values: flags.FlagValues) -> Options:
    """What the flags say of the conversion."""
    try:
        options = options_from(Options, values)
    except OptionsError as error:
        raise UsageError(error.as_flags()) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    options.analyze = options.analyze or bool(values.report and options.representative_dataset)
    options.pareto = bool(values.pareto)
    if options.goals.max_instructions is not None and values.target != PORTABLE:
        options.goals = dataclasses.replace(options.goals, target=values.target)
    options.verbose = True
    return options


def _outputs(values: flags.FlagValues, source: pathlib.Path, is_kq: bool) -> list[Output]:
    """The files to write, C's not among them."""
    output = values.output
    if not is_kq and output is None:
        output = f"{source.resolve().name.removesuffix(source.suffix) or 'model'}.kq"
    kinds = (
        ("--write_settings", values.write_settings, SETTINGS),
        ("--report", values.report, PAGE),
        ("--pareto", values.pareto, FACTS),
    )
    network = [] if output is None else [network_output(output)]
    return [*network, *(Output(flag, name, kind) for flag, name, kind in kinds if name is not None)]


def _read_files(values: flags.FlagValues, source: pathlib.Path, is_kq: bool) -> list[str | pathlib.Path | None]:
    """What is read, and must stay: but settings may be written back, and a .kq file replaced by one with a test or a new plan."""
    examples = [part for name in values.embed_test if name != RANDOM for part in (name, name.rpartition("=")[2])]
    return [None if is_kq else source, *kept_files(Options, values), *examples]


def _tell(
    converter: Converter | None, size: int, told: list[str], outputs: list[Output], c: CFiles | None, values: flags.FlagValues
) -> None:
    """What was done, as JSON or for a person; `size` is that of the .kq file."""
    written = [output.name for output in outputs]
    facts: dict[str, Any] = {
        "output": outputs[0].name if outputs else None,
        "written": [*written, *(str(path) for path in (c.files if c else ()))],
    }
    if c and c.whole:
        facts["kept"] = [str(path) for path in c.kept]
    text, notes = [], []
    if converter is not None:
        report = dataclasses.replace(converter.report, model_bytes=size)
        facts |= report.to_dict() | ({"figures": converter.figures()} if values.report else {})
        text.append(report.to_text(notes=False))
        notes = report.note_lines()
    text += told
    if values.json:
        print(json.dumps(facts), file=report_stream(outputs))
    elif not values.quiet:
        lines = [*(f"wrote {name}" for name in written), *(c.told() if c else ())]
        print("\n".join([*text, *lines, *notes]), file=report_stream(outputs))


def _read(source: pathlib.Path) -> tuple[bytes, None]:
    with naming(source):
        return source.read_bytes(), None


def _converted(
    source: pathlib.Path, options: Options, values: flags.FlagValues, stream: TextIO | None
) -> tuple[bytes, Converter]:
    """Bytes of the .kq file, and what tells how they came about; where goals are missed, `stream` gets the report."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # conversion needs it, whatever the user trains with
    converter = Converter(source, options)
    try:
        content = converter.convert()
    except GoalsMissedError as error:
        text = json.dumps(converter.report.to_dict()) if values.json else converter.report.to_text()
        if values.json or not values.quiet:
            print(text, file=stream, flush=True)
        raise CommandError(f"{error}\nnothing was written") from error
    except OptionsError as error:
        raise UsageError(error.as_flags()) from error
    except ConversionError as error:
        raise CommandError(str(error)) from error
    return content, converter


def _described(converter: Converter, source: pathlib.Path, content: bytes, values: flags.FlagValues) -> dict[str, bytes]:
    """The files that tell what a conversion to a .kq file, `content`, did, by the flags that ask for them."""
    files = {}
    if values.write_settings:
        files["--write_settings"] = converter.settings_template().encode()
    if values.pareto:
        points = [point.to_dict() for point in converter.report.pareto]
        files["--pareto"] = f"{json.dumps({'points': points}, indent=1)}\n".encode()
    if values.report:
        report, board = dataclasses.replace(converter.report, model_bytes=len(content)), _board(values)
        try:
            fit = fit_on(content, board) if board else None
        except (FootprintError, LibraryMissingError) as error:
            raise CommandError(f"--target: {error}\nnothing was written") from error
        core = board.core if board else CORE
        told = (fit, (core, layer_costs(content, core)), _command_line(source, values))
        files["--report"] = html_report(source.resolve().name, report, converter.figures(), *told).encode()
    return files


def _command_line(source: pathlib.Path, values: flags.FlagValues) -> str:
    """What was typed, flag by flag."""
    present = {id(flag): flag for flag in map(values.__getitem__, values) if flag.present}  # some have two names
    typed = [flag.serialize() for flag in present.values()]
    lines = [part for text in typed for part in text.splitlines()]  # of a flag that was repeated
    return shlex.join([COMMAND.name, str(source), *lines])


COMMAND = Command(
    "kerasq-convert",
    "MODEL [--representative_dataset images.npy] [--output model.kq] ...",
    __doc__,
    _define,
    _convert,
    tensorflow=True,
)
main, run = COMMAND.main, COMMAND.run
