"""kerasq-convert: a SavedModel, .keras or .h5 file becomes one .kq file.

    kerasq-convert saved_model/ --representative_dataset images.npy --output model.kq

The report goes to standard output (--json for machines). --write_settings writes every tensor's format with what is known of it;
edited and given back with --settings it decides the formats.
"""

from __future__ import annotations

import json
import pathlib
import sys

from absl import app, flags

from kerasq.files import write_whole

FLAGS = flags.FLAGS
_OUTPUT = flags.DEFINE_string("output", None, "File to write; default: the model's name with .kq, in the current folder.")
_DATASET = flags.DEFINE_string("representative_dataset", None, ".npy file of some hundred examples (count, ...).")
_STATISTICS = flags.DEFINE_string("statistics", None, "File or folder that kerasq.callbacks.ActivationStatistics wrote.")
_SETTINGS = flags.DEFINE_string("settings", None, "YAML file with the format of each tensor.")
_WRITE_SETTINGS = flags.DEFINE_string("write_settings", None, "YAML file to write: every tensor and its format, to be edited.")
_JSON = flags.DEFINE_boolean("json", False, "Print the report as JSON.")


def main(argv: list[str]) -> int:
    """Runs the command; 0 on success, 1 if the model can't be converted, 2 on wrong usage."""
    if len(argv) != 2:
        print("usage: kerasq-convert MODEL [--output model.kq] [--representative_dataset images.npy] ...", file=sys.stderr)
        return 2
    import keras  # noqa: F401  (TensorFlow's own messages come before ours, not between)

    from kerasq_convert.converter import Converter
    from kerasq_convert.errors import ConversionError

    source = pathlib.Path(argv[1])
    output = pathlib.Path(_OUTPUT.value or f"{source.resolve().name.removesuffix(source.suffix) or 'model'}.kq")
    converter = Converter(source)
    converter.representative_dataset = _DATASET.value
    converter.statistics = _STATISTICS.value
    converter.settings = _SETTINGS.value
    converter.verbose = True
    try:
        content = converter.convert()
        write_whole(output, content)
        if _WRITE_SETTINGS.value:
            write_whole(pathlib.Path(_WRITE_SETTINGS.value), converter.settings_template().encode())
    except (ConversionError, OSError) as error:
        print(f"kerasq-convert: {error}", file=sys.stderr)
        return 1
    if _JSON.value:
        print(json.dumps({"output": str(output)} | converter.report.to_dict()))
    else:
        print(f"{converter.report.to_text()}\nwrote {output}")
    return 0


def run() -> None:
    """Console script."""
    app.run(main)
