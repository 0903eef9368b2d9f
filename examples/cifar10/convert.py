"""Converts a trained network into the rows of the tutorial's table: float, parameters quantized, buffers quantized too.

    python examples/cifar10/convert.py --model work/float/saved_model --name resnet23 --output examples/cifar10/models

Writes NAME_float.kq (FLOAT32 throughout), NAME_parameters.kq (kernels SIGN where binary, else FIXED8; buffers FLOAT32) and
NAME.kq (buffers FIXED8 as well, formats chosen on `--count` of the held-out training images), with the settings of the last.
"""

import pathlib

from absl import app, flags

import kerasq
from kerasq.datasets import cifar10
from kerasq.files import write_whole

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "SavedModel folder, .keras or .h5 file.", required=True)
flags.DEFINE_string("name", None, "First part of the files' names.", required=True)
flags.DEFINE_string("output", None, "Folder to write.", required=True)
flags.DEFINE_integer("count", 512, "Images that the formats are chosen on: the last ones of the training set.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")

FLOAT = {"buffers": {"*": "FLOAT32"}, "parameters": {"*": "FLOAT32"}}


def main(_) -> None:
    (images, _), _ = cifar10.load_data(FLAGS.data_dir)
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    rows = {"_float": {"settings": FLOAT}, "_parameters": {}, "": {"representative_dataset": images[-FLAGS.count :]}}
    for suffix, options in rows.items():
        converter = kerasq.Converter(FLAGS.model)
        converter.settings = options.get("settings")
        converter.representative_dataset = options.get("representative_dataset")
        content = converter.convert()
        path = output / f"{FLAGS.name}{suffix}.kq"
        write_whole(path, content)
        print(f"{path}: {len(content):,} bytes, arena {converter.report.arena_bytes:,} bytes")
        if not suffix:
            write_whole(path.with_suffix(".yaml"), converter.settings_template().encode())


if __name__ == "__main__":
    app.run(main)
