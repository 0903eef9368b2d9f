"""Makes the int8 .tflite file that kerasq-bench --peer compares ResNet23 with.

    python examples/cifar10/litert_peer.py --model work/float/model.keras --output work/resnet23.tflite
    kerasq-bench examples/cifar10/models/resnet23.kq --peer work/resnet23.tflite

Full integer quantization: int8 inputs, outputs and everything in between, ranges from --count training images. Without --model
the network is untrained, with random statistics in its batch normalizations and random pixels as images: good for its time, not
for its scores.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags
from litert_file import int8_file, int8_file_of, untrained

import kerasq
from kerasq.datasets import cifar10
from kerasq.files import write_whole

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "SavedModel folder, .keras or .h5 file; an untrained ResNet23 unless given.")
flags.DEFINE_string("output", None, ".tflite file to write.", required=True)
flags.DEFINE_integer("count", 100, "Images that ranges are taken from.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")


def representative_images() -> np.ndarray:
    """Training images, or random pixels for a network that never saw any."""
    if FLAGS.model is None:
        return np.random.default_rng(0).integers(0, 256, (FLAGS.count, 32, 32, 3)).astype(np.float32)
    (images, _), _ = cifar10.load_data(FLAGS.data_dir)
    return images[-FLAGS.count :].astype(np.float32)


def network() -> keras.Model:
    """The model of --model, or one without a training."""
    if FLAGS.model is not None:
        return keras.models.load_model(FLAGS.model, compile=False)
    keras.utils.set_random_seed(0)
    return untrained(kerasq.models.resnet23("float"))


def main(_) -> None:
    images = representative_images()
    saved = FLAGS.model is not None and pathlib.Path(FLAGS.model).is_dir()
    content = int8_file(FLAGS.model, images) if saved else int8_file_of(network(), images)
    write_whole(FLAGS.output, content)
    print(f"{FLAGS.output}: {len(content):,} bytes")


if __name__ == "__main__":
    app.run(main)
