"""kerasq-convert: a SavedModel, .keras or .h5 file becomes one .kq file.

    kerasq-convert saved_model/ --representative_dataset images.npy --output model.kq

The report goes to standard output (--json for machines). --write_settings writes every tensor's format with what is known of
it; edited and given back with --settings it decides the formats.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from kerasq.commands.arguments import CommandError, parse, run_command, wrong_usage
from kerasq.files import write_whole

NAME = "kerasq-convert"
USAGE = "usage: kerasq-convert MODEL [--output model.kq] [--representative_dataset images.npy] [--settings settings.yaml] ..."


def _define(options: flags.FlagValues) -> None:
    def text(name: str, meaning: str) -> None:
        flags.DEFINE_string(name, None, meaning, flag_values=options)

    text("output", "File to write; default: the model's name with .kq, in the current folder.")
    text("representative_dataset", ".npy file of some hundred examples (count, ...): the formats of buffers are chosen on them.")
    text("statistics", "File or folder that kerasq.callbacks.ActivationStatistics wrote, instead of a dataset.")
    text("settings", "YAML file with the format of each tensor.")
    text("write_settings", "YAML file to write: every tensor with its format, to be edited.")
    flags.DEFINE_bool("json", False, "Print the report as JSON.", flag_values=options)


def _convert(argv: Sequence[str]) -> None:
    options, names = parse(NAME, USAGE, __doc__, _define, argv)
    if len(names) != 1:
        raise wrong_usage(NAME, USAGE, f"one model is expected. Received: {len(names)}")
    # TensorFlow, loaded from here on, tells of its own start on standard error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kerasq_convert.converter import Converter
    from kerasq_convert.errors import ConversionError

    source = pathlib.Path(names[0])
    output = pathlib.Path(options.output or f"{source.resolve().name.removesuffix(source.suffix) or 'model'}.kq")
    converter = Converter(source)
    converter.representative_dataset = options.representative_dataset
    converter.statistics = options.statistics
    converter.settings = options.settings
    converter.verbose = True
    try:
        content = converter.convert()
        write_whole(output, content)
        if options.write_settings:
            write_whole(options.write_settings, converter.settings_template().encode())
    except (ConversionError, OSError) as error:
        raise CommandError(str(error)) from error
    if options.json:
        print(json.dumps({"output": str(output)} | converter.report.to_dict()))
    else:
        print(f"{converter.report.to_text()}\nwrote {output}")


def main(argv: Sequence[str]) -> int:
    """The command; `argv` begins with its name. Returns the exit status."""
    return run_command(NAME, _convert, argv)


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv))
