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
as they are.

What is trusted: a .kq file never is, it is verified. Of a SavedModel only what computes
is run, and its variables are read: an operation that could reach files, text, tables,
processes or devices is refused by its name before anything of it runs. A .keras or .h5
file is loaded in Keras' safe mode.

--refine also tries formats one bit away by what they do to the outputs, for the
first 256 examples, and keeps what helps either half of them. Goals (--min_sqnr_db,
--max_accuracy_drop with --labels) give single activations 16 bits until they are met,
within --max_model_bytes and --max_arena_bytes. Where one is missed, the report tells
how near the network came, nothing is written, and the exit code is 1.

With examples the report says how near the outputs come to the float network's (in dB,
and how often the class is the same, over a half of the first 256), and warns below
15 dB.

--analyze tells the error of every layer against the float network, what saturates,
and what 16 bits would cost and give. --report writes a page for a browser with all
that, the distributions of the tensors and the memory plan.

--write_settings writes a file with the format of every tensor; edited, and given
back with --settings (and --equalize, if that was used), it decides them. The report
goes to standard output.

For a port to check itself (kqrun selftest, or kq_selftest in firmware),
--embed_test adds an example and the checksum of every tensor that it leads to.
For firmware, --emit_c writes the model as a C array, with the sizes that it needs
and a list of the kernels that it uses. MODEL may be a .kq file for these two; it
is changed only if --output names it. --replan gives a .kq file, as older versions
wrote them, the memory plan that it would get today; every result stays what it was.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.outputs import NETWORK, PAGE, SETTINGS, Output, check_outputs, report_stream, write_outputs, writing
from kerasq.commands.run import check_readable, read_inputs
from kerasq.files import check_writable
from kerasq.format import dumps, loads
from kerasq.runtime.library import LibraryMissingError
from kerasq.runtime.library import load as load_library
from kerasq.selftest import random_example, with_selftest

if TYPE_CHECKING:
    from kerasq_convert.converter import Converter

_RANDOM = "random"
_C_NAME = "kerasq_model"
CRITERIA = ("minmax", "percentile", "mse", "kl")
_GOALS = ("min_sqnr_db", "max_accuracy_drop", "max_model_bytes", "max_arena_bytes")
_OF_CONVERSION = (
    "representative_dataset",
    "statistics",
    "allow_float",
    "settings",
    "write_settings",
    "input_type",
    "signature",
    "input_shape",
    "equalize",
    "refine",
    "labels",
    "analyze",
    "report",
    *_GOALS,
)


def _define(options: flags.FlagValues) -> None:
    def text(name: str, meaning: str, default: str | None = None) -> None:
        flags.DEFINE_string(name, default, meaning, flag_values=options)

    text("output", "`FILE` to write; - is standard output. Default: the model's name with .kq, in the current folder.")
    text(
        "representative_dataset",
        "`PATH` of examples of what the network will see, some hundred: .npy, .npz, or a folder of images.",
    )
    text("statistics", "`FILE` or folder that kerasq.callbacks.ActivationStatistics wrote.")
    flags.DEFINE_bool(
        "allow_float", False, "Let activations stay FLOAT32 of which examples or statistics tell nothing.", flag_values=options
    )
    flags.DEFINE_enum("criterion", "mse", CRITERIA, "How fractional bits are chosen.", flag_values=options)
    flags.DEFINE_integer("bits", 8, "Width of activations, 8 or 16.", flag_values=options)
    channels = "A multiplier for each output channel of float kernels. Default: where it gains a bit."
    flags.DEFINE_bool("per_channel", None, channels, flag_values=options)
    flags.DEFINE_bool("correct_bias", True, "Biases take back what rounding did to the means.", flag_values=options)
    flags.DEFINE_bool("equalize", False, "Channels of neighbouring layers share their sizes.", flag_values=options)
    flags.DEFINE_bool("refine", False, "Try neighbouring formats on the whole network.", flag_values=options)
    flags.DEFINE_float("min_sqnr_db", None, "Goal: signal-to-noise ratio at the outputs.", flag_values=options)
    flags.DEFINE_float(
        "max_accuracy_drop", None, "Goal: loss of accuracy against float, on 256 examples (0.01: one point).", flag_values=options
    )
    text("labels", "`FILE` (.npy) with the class of each example of the dataset, for --max_accuracy_drop.")
    flags.DEFINE_integer("max_model_bytes", None, "Limit of the file's size.", flag_values=options)
    flags.DEFINE_integer("max_arena_bytes", None, "Limit of the arena's size.", flag_values=options)
    flags.DEFINE_bool("analyze", False, "Tell the error of every layer. Needs --representative_dataset.", flag_values=options)
    text("report", "HTML `FILE` to write; with --representative_dataset it includes what --analyze tells.")
    text("input_type", "`TYPE` of the network's inputs: UFIXED8_0 for raw 8-bit pixels. Default: by the examples.")
    text("signature", "`NAME` of the signature to convert, where a SavedModel has several. Default: the serving one.")
    shape = "`SIZES` of an input whose size the model leaves open, without the batch: 10200,4 or NAME=10200,4"
    flags.DEFINE_multi_string("input_shape", [], shape, flag_values=options)
    text("settings", "YAML `FILE` with formats by tensor name.")
    text("write_settings", "YAML `FILE` to write: the format chosen for each tensor, and what is known of it.")
    example = f"`FILE` (.npy) whose first example becomes the test vector, one for each input of the network; or {_RANDOM}"
    flags.DEFINE_multi_string("embed_test", [], example, flag_values=options)  # absl adds that the flag may be repeated
    text("emit_c", "`FOLDER` for C files NAME.h and NAME.c. Needs the native library.")
    text("c_name", "`NAME` of these files, and of the symbols in them.", _C_NAME)
    flags.DEFINE_bool("c_runtime", False, "Also write the C runtime's sources into that folder.", flag_values=options)
    flags.DEFINE_bool("replan", False, "Plan the memory of a .kq file anew.", flag_values=options)
    flags.DEFINE_bool("json", False, "Print the report as JSON.", flag_values=options)


def _convert(options: flags.FlagValues, names: list[str]) -> None:
    if len(names) != 1:
        raise UsageError(f"one model is expected. Received: {len(names)}")
    if not options.emit_c and (options.c_runtime or options.c_name != _C_NAME):
        raise UsageError("--c_name and --c_runtime go with --emit_c")
    source = pathlib.Path(names[0])
    is_kq = source.suffix == ".kq" and not source.is_dir()
    if is_kq:
        _check_use_of_kq(options)
    elif options.replan:
        raise UsageError("--replan is for .kq files: a conversion plans memory anyway")
    _check_effects(options)
    outputs = _outputs(options, source, is_kq)
    check_outputs(outputs, _read_files(options, source, is_kq))
    for name in options.embed_test:
        if name != _RANDOM:
            check_readable(name)  # now: a conversion may take long
    if options.emit_c:
        _check_c(options.c_name, pathlib.Path(options.emit_c))
    content, converter = _read(source) if is_kq else _converted(source, options, report_stream(outputs))
    planned = ""
    if options.replan:
        content, planned = _replanned(content, source)
    if options.embed_test:
        content = _with_selftest(content, source, options.embed_test)
    contents: dict[str, bytes] = {"--output": content}
    if converter is not None:
        contents |= _described(converter, source, len(content), options)
    written = {output.path: contents[output.flag] for output in outputs}
    if options.emit_c:
        title = outputs[0].name if outputs else source  # the .kq file comes first
        written |= _c_files(content, pathlib.Path(title).name, options)
    _write(written, options.emit_c)
    shown = {output.path: output.name for output in outputs}
    _tell(converter, len(content), planned, outputs, [shown.get(path, str(path)) for path in written], options)


def _check_effects(options: flags.FlagValues) -> None:
    """Flags that would do nothing, beyond what `Converter` can tell: it does not know what was given and is as it would be."""
    if options["correct_bias"].present and options.correct_bias and not options.representative_dataset:
        raise UsageError("--correct_bias compares means: give --representative_dataset")


def _outputs(options: flags.FlagValues, source: pathlib.Path, is_kq: bool) -> list[Output]:
    """The files to write, C's not among them."""
    output = options.output
    if not is_kq and output is None:
        output = f"{source.resolve().name.removesuffix(source.suffix) or 'model'}.kq"
    kinds = (
        ("--output", output, NETWORK),
        ("--write_settings", options.write_settings, SETTINGS),
        ("--report", options.report, PAGE),
    )
    return [Output(flag, name, kind) for flag, name, kind in kinds if name is not None]


def _read_files(options: flags.FlagValues, source: pathlib.Path, is_kq: bool) -> list[str | pathlib.Path | None]:
    """What is read, and must stay: but settings may be written back, and a .kq file replaced by one with a test or a new plan."""
    examples = [part for name in options.embed_test if name != _RANDOM for part in (name, name.rpartition("=")[2])]
    return [None if is_kq else source, options.representative_dataset, options.statistics, options.labels, *examples]


def _tell(
    converter: Converter | None, size: int, planned: str, outputs: list[Output], written: list[str], options: flags.FlagValues
) -> None:
    """What was done, as JSON or for a person; `size` is that of the .kq file."""
    facts: dict[str, Any] = {"output": outputs[0].name if outputs else None, "written": written}
    text, notes = [], []
    if converter is not None:
        report = dataclasses.replace(converter.report, model_bytes=size)
        facts |= report.to_dict() | ({"figures": converter.figures()} if options.report else {})
        text.append(report.to_text(notes=False))
        notes = report.note_lines()
    if planned:
        text.append(planned)
    if options.json:
        print(json.dumps(facts), file=report_stream(outputs))
    elif not options.quiet:
        print("\n".join([*text, *(f"wrote {name}" for name in written), *notes]), file=report_stream(outputs))


def _check_use_of_kq(options: flags.FlagValues) -> None:
    given = [f"--{name}" for name in _OF_CONVERSION if getattr(options, name) not in (None, False, "", [])]
    given += [f"--{name}" for name in ("criterion", "bits", "per_channel", "correct_bias") if options[name].present]
    if given:
        raise UsageError(f"a .kq file is converted already: {', '.join(given)} can't be used with it")
    if not options.emit_c and not ((options.embed_test or options.replan) and options.output):
        raise UsageError("a .kq file is converted already: give --emit_c, or --output with --embed_test or --replan")


def _read(source: pathlib.Path) -> tuple[bytes, None]:
    with naming(source):
        return source.read_bytes(), None


def _replanned(content: bytes, source: pathlib.Path) -> tuple[bytes, str]:
    """The file with the better one of its own memory plan and a new one, and what that gained."""
    from kerasq_convert.memory.plan import plan

    with naming(source):
        model = loads(content)
    found = plan(model)
    if found.model.arena_bytes >= model.arena_bytes:
        return content, f"arena  {model.arena_bytes:,} bytes: no smaller plan was found"
    return dumps(found.model), f"arena  {found.model.arena_bytes:,} bytes, {found.verdict} (before: {model.arena_bytes:,})"


def _converted(source: pathlib.Path, options: flags.FlagValues, stream: TextIO | None) -> tuple[bytes, Converter]:
    """Bytes of the .kq file, and what tells how they came about; where goals are missed, `stream` gets the report."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # conversion needs it, whatever the user trains with
    from kerasq_convert.converter import Converter
    from kerasq_convert.errors import ConversionError, GoalsMissedError
    from kerasq_convert.frontend import input_sizes
    from kerasq_convert.options import OptionsError
    from kerasq_convert.search.search import Goals

    try:
        input_shape = input_sizes.parse(options.input_shape)
    except ValueError as error:
        raise UsageError(f"--input_shape: {error}") from error

    converter = Converter(source)
    converter.representative_dataset = options.representative_dataset
    converter.statistics = options.statistics
    converter.allow_float = options.allow_float
    converter.settings = options.settings
    converter.criterion, converter.bits, converter.refine = options.criterion, options.bits, options.refine
    converter.equalize = options.equalize
    converter.per_channel, converter.correct_bias = options.per_channel, options.correct_bias
    converter.goals = Goals(**{name: getattr(options, name) for name in _GOALS})
    converter.labels = options.labels
    converter.analyze = options.analyze or bool(options.report and options.representative_dataset)
    converter.input_type = options.input_type
    converter.signature = options.signature
    converter.input_shape = input_shape or None
    converter.verbose = True
    try:
        content = converter.convert()
    except GoalsMissedError as error:
        text = json.dumps(converter.report.to_dict()) if options.json else converter.report.to_text()
        if options.json or not options.quiet:
            print(text, file=stream, flush=True)
        raise CommandError(f"{error}\nnothing was written") from error
    except OptionsError as error:
        raise UsageError(error.as_flags()) from error
    except ConversionError as error:
        raise CommandError(str(error)) from error
    return content, converter


def _described(converter: Converter, source: pathlib.Path, size: int, options: flags.FlagValues) -> dict[str, bytes]:
    """The files that tell what a conversion did, by the flags that ask for them; `size` is that of the .kq file."""
    files = {}
    if options.write_settings:
        files["--write_settings"] = converter.settings_template().encode()
    if options.report:
        from kerasq_convert.report.html_report import html_report

        report = dataclasses.replace(converter.report, model_bytes=size)
        files["--report"] = html_report(source.resolve().name, report, converter.figures()).encode()
    return files


def _with_selftest(content: bytes, source: pathlib.Path, examples: Sequence[str]) -> bytes:
    with naming(source):
        model = loads(content)
    if list(examples) == [_RANDOM]:
        return dumps(with_selftest(model, random_example(model)))
    is_archive = len(examples) == 1 and examples[0].endswith(".npz")
    if len(examples) != len(model.inputs) and not is_archive:
        names = ", ".join(map(repr, model.named_inputs()))
        plural = "" if len(model.inputs) == 1 else "s"
        raise CommandError(
            f"the network has {len(model.inputs)} input{plural} ({names}): --embed_test takes a file for each, in this order, or "
            f"as NAME=FILE, or one .npz file, or once {_RANDOM}. Received: {len(examples)} files"
        )
    arrays, _ = read_inputs(model, examples)
    try:
        return dumps(with_selftest(model, arrays))
    except (ValueError, TypeError) as error:
        raise CommandError(f"--embed_test: {error}") from error


def _check_c(name: str, folder: pathlib.Path) -> None:
    """Before a conversion that may take long."""
    from kerasq_convert.c_source import check_name

    with writing():
        if folder.exists():
            check_writable(folder / f"{name}.h")
    try:
        check_name(name)
        load_library()
    except ValueError as error:
        raise UsageError(f"--c_name: {error}") from error
    except LibraryMissingError as error:
        raise CommandError(f"--emit_c has the native library choose the kernels. {error}") from error


def _c_files(content: bytes, title: str, options: flags.FlagValues) -> dict[pathlib.Path, bytes]:
    from kerasq_convert.c_source import c_source, runtime_source

    with naming(title):
        files = c_source(content, options.c_name, title)
    if options.c_runtime:
        with naming("--c_runtime"):
            files |= runtime_source()
    return {pathlib.Path(options.emit_c, name): data for name, data in files.items()}


def _write(files: dict[pathlib.Path, bytes], c_folder: str | None) -> None:
    """Write everything, or leave everything as it was."""
    folder = pathlib.Path(c_folder) if c_folder else None
    made: list[pathlib.Path] = []
    try:
        with writing():
            if folder is not None:
                made = [each for each in (folder, *folder.parents) if not each.exists()]
                folder.mkdir(parents=True, exist_ok=True)
        write_outputs(files)
    except CommandError:
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


COMMAND = Command(
    "kerasq-convert",
    "MODEL [--representative_dataset images.npy] [--output model.kq] ...",
    __doc__,
    _define,
    _convert,
    tensorflow=True,
)
main, run = COMMAND.main, COMMAND.run
