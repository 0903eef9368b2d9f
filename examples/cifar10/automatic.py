"""What automatic formats cost in accuracy: a float network, its conversions, and LiteRT's int8 of it, on the same images.

    python examples/cifar10/automatic.py --model resnet8.h5
    python examples/cifar10/automatic.py --model resnet8.h5 --count 1024 --only "4 bit" --only "4 bit, tuned"

Ranges and formats are chosen with the first --count training images; accuracy is of all test images, which choose nothing, or
with --validation of the last 5,000 training images, which may choose among these conversions. The network must take pixels of 0
to 255. Beside accuracy is the share of images that get the class that the float network gives them, right or wrong: it tells
much smaller differences from chance.
"""

import time

import keras
import numpy as np
from absl import app, flags, logging
from litert_file import int8_file_of, int8_outputs

import kerasq
from kerasq.datasets import cifar10
from kerasq_convert import Converter
from kerasq_convert.options import Goals

PLAIN = {"per_channel": False, "correct_bias": False}
CONVERSIONS = {
    "8 bit, minmax, no repair": PLAIN | {"criterion": "minmax"},
    "8 bit, no repair": PLAIN,
    "8 bit, equalized": PLAIN | {"equalize": True},
    "8 bit, biases corrected": {"per_channel": False},
    "8 bit, per channel": {"correct_bias": False},
    "8 bit, ranges not filled": {"fill_ranges": False},
    "8 bit": {},
    "16-bit activations": {"bits": 16},
    "8 bit, refined": {"refine": True},
    "8 bit, tuned": {"tune": True},
    "8 bit, one format a kernel, tuned": {"per_channel": False, "tune": True},
    "4 bit": {"weight_bits": 4},
    "4 bit, tuned": {"weight_bits": 4, "tune": True},
    "48,000 bytes": {"goals": Goals(max_model_bytes=48_000)},
    "48,000 bytes, tuned": {"goals": Goals(max_model_bytes=48_000), "tune": True},
}
LITERT = "LiteRT int8"

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, ".keras or .h5 file.", required=True)
flags.DEFINE_integer("count", 256, "Training images that formats are chosen with.", lower_bound=1)
flags.DEFINE_multi_enum("only", None, [*CONVERSIONS, LITERT], "Rows of the table to make; all unless given.")
flags.DEFINE_bool("validation", False, "Whether to measure on the last 5,000 training images, in place of the test images.")
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")


def main(_) -> None:
    logging.set_verbosity(logging.WARNING)
    (train, train_labels), (test, labels) = cifar10.load_data(FLAGS.data_dir)
    if FLAGS.validation:
        test, labels = train[-5000:], train_labels[-5000:]
    chosen_with, images, labels = train[: FLAGS.count].astype(np.float32), test.astype(np.float32), np.ravel(labels)

    model = keras.models.load_model(FLAGS.model, compile=False)
    wanted = model.predict(images, batch_size=100, verbose=0)

    def show(what: str, scores: np.ndarray, size: str = "") -> None:
        noise = np.sum((scores.astype(np.float64) - wanted) ** 2) / np.sum(wanted.astype(np.float64) ** 2)
        decibels = f"{-10 * np.log10(noise):5.1f} dB  " if size else ""
        same = (
            f"{100 * np.mean(scores.argmax(axis=1) == wanted.argmax(axis=1)):6.2f} % the same class  " if what != "float" else ""
        )
        print(f"{what:34}{100 * np.mean(scores.argmax(axis=1) == labels):6.2f} %  {same}{decibels}{size}", flush=True)

    show("float", wanted)
    for what, options in CONVERSIONS.items():
        if FLAGS.only and what not in FLAGS.only:
            continue
        converter = Converter.from_file(FLAGS.model)
        converter.representative_dataset = chosen_with
        for name, value in options.items():
            setattr(converter, name, value)
        start = time.monotonic()
        content = converter.convert()
        size = f"{len(content):,} bytes, arena {converter.report.arena_bytes:,}, {time.monotonic() - start:.0f} s"
        show(what, kerasq.Interpreter(model_content=content).predict(images), size)
    if not FLAGS.only or LITERT in FLAGS.only:
        show(LITERT, int8_outputs(int8_file_of(model, chosen_with), images))


if __name__ == "__main__":
    app.run(main)
