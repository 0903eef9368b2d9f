"""kerasq-convert: from a trained network to one .kq file.

    kerasq-convert model.keras --representative_dataset images.npy

MODEL is a SavedModel folder, as model.export(...) writes it, or a .keras or .h5
file. Binary and fixed-point weights are stored as they were trained, others as
FIXED8. Activations become FIXED8 where it is known what values they take, from
examples (--representative_dataset) or from a training (--statistics); without
either they stay FLOAT32.

--write_settings writes a file with the format of every tensor; edited, and given
back with --settings, it decides them. The report goes to standard output.
"""

from __future__ import annotations

import json
import pathlib

from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.files import write_whole


def _define(options: flags.FlagValues) -> None:
    def text(name: str, meaning: str) -> None:
        flags.DEFINE_string(name, None, meaning, flag_values=options)

    text("output", "`FILE` to write. Default: the model's name with .kq, in the current folder.")
    text("representative_dataset", "`FILE` (.npy) with some hundred examples of what the network will see, shape (count, ...).")
    text("statistics", "`FILE` or folder that kerasq.callbacks.ActivationStatistics wrote.")
    text("settings", "YAML `FILE` with formats by tensor name.")
    text("write_settings", "YAML `FILE` to write: the format chosen for each tensor, and what is known of it.")
    flags.DEFINE_bool("json", False, "Print the report as JSON.", flag_values=options)


def _convert(options: flags.FlagValues, names: list[str]) -> None:
    if len(names) != 1:
        raise UsageError(f"one model is expected. Received: {len(names)}")
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
    except ConversionError as error:
        raise CommandError(str(error)) from error
    written = {output: content}
    if options.write_settings:
        written[pathlib.Path(options.write_settings)] = converter.settings_template().encode()
    for path, data in written.items():
        with naming(path):
            write_whole(path, data)
    if options.json:
        print(json.dumps({"output": str(output)} | converter.report.to_dict()))
    else:
        print(converter.report.to_text(), *(f"wrote {path}" for path in written), sep="\n")


COMMAND = Command(
    "kerasq-convert",
    "MODEL [--representative_dataset images.npy] [--output model.kq] ...",
    __doc__,
    _define,
    _convert,
    tensorflow=True,
)
main, run = COMMAND.main, COMMAND.run
